import { Errno } from "../errno.ts";
import type { RunFirstHalf } from "../redis/command.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { list, number } from "../redis/reply.ts";
import type { ProgramView, RunDone } from "../runtime/job.ts";
import { FetchSet } from "./fetch_set.ts";
import { LruCache } from "./lru_cache.ts";
import { decodeMapSnapshot, type MapSnapshot } from "./map_snapshot.ts";
import { ProgramCache } from "./program_cache.ts";
import type { ProofCache } from "./proof_cache.ts";

/** Reads snapshots: in one script, the programs and maps that a run is expected to access. */

export interface Snapshot {
  program: number;
  type: string;
  /** The first is the one to run. */
  programs: ProgramView[];
  maps: Map<number, MapSnapshot>;
}

/** Sends prog_test_run or prog_run with a packed fetch set. */
export type FetchSnapshot = (packed: Buffer) => ReturnType<RunFirstHalf>;

/** The request of one run, which grows with every miss. */
export interface SnapshotRequest {
  namespace: string;
  /** Identifies the caller and the fd or path. */
  place: string;
  fetch: FetchSnapshot;
  /** The program found there last time, and what it accessed. */
  program: number;
  fetchSet: FetchSet;
  /** The fetch set of earlier runs has been dropped. */
  isRestarted?: boolean;
}

/** Entries of each cache: the program of a place, and the fetch set of a program. */
const CACHE_SIZE = 10_000;

/** Every fetch but the last finds something new: a program, then its maps. */
const MAX_FETCHES = 100;
/** A larger fetch set is dropped: most of it is from runs long ago. */
const MAX_FETCH_SET = 64;

export class SnapshotReader {
  readonly #programs: ProgramCache;
  readonly #programByPlace = new LruCache<number>(CACHE_SIZE);
  readonly #fetchSets = new LruCache<FetchSet>(CACHE_SIZE);

  constructor(proofs: ProofCache) {
    this.#programs = new ProgramCache(proofs);
  }

  createRequest(namespace: string, place: string, fetch: FetchSnapshot): SnapshotRequest {
    const program = this.#programByPlace.get(`${namespace} ${place}`) ?? 0;
    return { namespace, place, fetch, program, fetchSet: this.#fetchSetOf(namespace, program) };
  }

  #fetchSetOf(namespace: string, program: number): FetchSet {
    const cached = this.#fetchSets.get(`${namespace} ${program}`);
    if (cached) return cached.copy();
    const fetchSet = new FetchSet();
    fetchSet.addProgram(program);
    return fetchSet;
  }

  /** The next run of the program starts with what this one has read, and its tail calls. */
  rememberAccesses(
    { namespace, program, fetchSet }: SnapshotRequest,
    { reads, chain }: RunDone,
  ): void {
    const isTooLarge =
      fetchSet.programs.size > MAX_FETCH_SET || fetchSet.mapIds.length > MAX_FETCH_SET;
    const next = isTooLarge ? new FetchSet() : fetchSet.copy(reads);
    for (const id of [program, ...chain]) next.addProgram(id);
    this.#fetchSets.set(`${namespace} ${program}`, next);
  }

  /** @throws E2BIG for more than one script may read; ENOMEM when the programs exceed the cache. */
  async read(request: SnapshotRequest): Promise<Snapshot | { remembered: RedisValue[] }> {
    for (let tries = 0; tries < MAX_FETCHES; tries++) {
      const snapshot = await this.#fetchOnce(request);
      if (snapshot) return snapshot;
    }
    throw new Errno("ENOMEM", "the programs that the run may tail-call are too large");
  }

  /** The fetch set of earlier runs may have grown too large, and this run may not need it. */
  #restart(request: SnapshotRequest, error: unknown): undefined {
    if (!(error instanceof Errno) || error.code !== "E2BIG" || request.isRestarted) throw error;
    request.isRestarted = true;
    request.fetchSet = new FetchSet();
    request.fetchSet.addProgram(request.program);
    return undefined;
  }

  /** Returns undefined when there is more to fetch. */
  async #fetchOnce(
    request: SnapshotRequest,
  ): Promise<Snapshot | { remembered: RedisValue[] } | undefined> {
    const { namespace, place, program, fetchSet } = request;
    const requested = { programs: [...fetchSet.programs], maps: fetchSet.mapIds };
    const packed = fetchSet.pack(program, (id) => this.#programs.loadTimeOf(namespace, id));
    const answer = await request.fetch(packed).catch((error) => this.#restart(request, error));
    if (!answer) return undefined;
    if (answer.remembered) return { remembered: answer.values };
    const [found, , programs, maps] = answer.values;
    if (number(found) !== program) {
      request.program = number(found);
      request.fetchSet = this.#fetchSetOf(namespace, request.program);
      this.#programByPlace.set(`${namespace} ${place}`, request.program);
      return undefined;
    }
    const sizeBefore = fetchSet.size;
    const views = this.#cachePrograms(request, requested.programs, list(programs));
    const cached = this.#programs.get(namespace, program);
    if (!views || !cached || fetchSet.size !== sizeBefore) return undefined;
    return {
      program,
      type: cached.type,
      programs: views,
      maps: decodeMaps(requested.maps, maps, fetchSet),
    };
  }

  /** Returns undefined when the cache evicted a program between request and reply. */
  #cachePrograms(
    { namespace, fetchSet }: SnapshotRequest,
    ids: number[],
    rows: RedisValue[],
  ): ProgramView[] | undefined {
    const views: ProgramView[] = [];
    for (const [i, id] of ids.entries()) {
      const row = rows[i] ?? null;
      if (row === null) {
        fetchSet.remove({ program: id });
        continue;
      }
      const existing = row === 1 && this.#programs.get(namespace, id);
      const cached = row === 1 ? existing : this.#programs.add(namespace, id, row);
      if (!cached) return undefined;
      for (const map of cached.maps) fetchSet.addMap(map.id, map.type);
      views.push(cached.view);
    }
    return views;
  }
}

function decodeMaps(
  ids: readonly number[],
  rows: RedisValue | undefined,
  fetchSet: FetchSet,
): Map<number, MapSnapshot> {
  const maps = new Map<number, MapSnapshot>();
  for (const [i, row] of list(rows).entries()) {
    const id = ids[i] ?? 0;
    const view = decodeMapSnapshot(row);
    if (view) maps.set(id, view);
    else fetchSet.remove({ map: id });
  }
  return maps;
}
