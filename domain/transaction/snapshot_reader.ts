import { Errno } from "../errno.ts";
import type { RunFirstHalf } from "../redis/command.ts";
import { list, number } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";
import type { ProgramView, RunDone } from "../runtime/job.ts";
import { FetchSet } from "./fetch_set.ts";
import { LruCache } from "./lru_cache.ts";
import { decodeMapSnapshot, type MapSnapshot } from "./map_snapshot.ts";
import { ProgramCache } from "./program_cache.ts";

/** What one script shows of the programs and maps that a run is expected to come to. */

export interface Snapshot {
  program: number;
  type: string;
  /** The first is the one to run. */
  programs: ProgramView[];
  maps: Map<number, MapSnapshot>;
}

/** prog_test_run or prog_run, with what is wanted. */
export type FetchSnapshot = (wants: Buffer) => ReturnType<RunFirstHalf>;

/** One run's looking: by an fd or a path, at more and more. */
export interface SnapshotRequest {
  namespace: string;
  /** Names the caller and the fd or path. */
  place: string;
  fetch: FetchSnapshot;
  /** The program there last time, and what it came to. */
  program: number;
  fetchSet: FetchSet;
  /** It has begun anew, with nothing of runs before. */
  isRestarted?: boolean;
}

/** Places' programs and programs' sights that are remembered. */
const CACHE_SIZE = 10_000;

/** Each time round there is something new: a program, then its maps. */
const MAX_FETCHES = 100;
/** A sight of more programs or maps is begun anew: most of them are of runs long ago. */
const MAX_FETCH_SET = 64;

export class SnapshotReader {
  readonly #programs = new ProgramCache();
  readonly #places = new LruCache<number>(CACHE_SIZE);
  readonly #sights = new LruCache<FetchSet>(CACHE_SIZE);

  begin(namespace: string, place: string, fetch: FetchSnapshot): SnapshotRequest {
    const program = this.#places.get(`${namespace} ${place}`) ?? 0;
    return { namespace, place, fetch, program, fetchSet: this.#sight(namespace, program) };
  }

  #sight(namespace: string, program: number): FetchSet {
    const known = this.#sights.get(`${namespace} ${program}`);
    if (known) return known.copy();
    const sight = new FetchSet();
    sight.program(program);
    return sight;
  }

  /** The next run of the program will be shown what this one has read, and where it went. */
  remember({ namespace, program, fetchSet }: SnapshotRequest, { reads, chain }: RunDone): void {
    const wide = fetchSet.programs.size > MAX_FETCH_SET || fetchSet.maps.length > MAX_FETCH_SET;
    const next = wide ? new FetchSet() : fetchSet.copy(reads);
    for (const id of [program, ...chain]) next.program(id);
    this.#sights.set(`${namespace} ${program}`, next);
  }

  /** @throws E2BIG for more than one script can show; ENOMEM when what it shows is never known. */
  async look(looking: SnapshotRequest): Promise<Snapshot | { remembered: RedisValue[] }> {
    for (let tries = 0; tries < MAX_FETCHES; tries++) {
      const shown = await this.#once(looking);
      if (shown) return shown;
    }
    throw new Errno("ENOMEM", "the programs that the run may come to are too large");
  }

  /** What runs before came to may be too much by now, and this one need not come to it. */
  #anew(looking: SnapshotRequest, error: unknown): undefined {
    if (!(error instanceof Errno) || error.code !== "E2BIG" || looking.isRestarted) throw error;
    looking.isRestarted = true;
    looking.fetchSet = new FetchSet();
    looking.fetchSet.program(looking.program);
    return undefined;
  }

  /** undefined when there is more to be seen. */
  async #once(
    looking: SnapshotRequest,
  ): Promise<Snapshot | { remembered: RedisValue[] } | undefined> {
    const { namespace, place, program, fetchSet } = looking;
    const asked = { programs: [...fetchSet.programs], maps: fetchSet.maps };
    const wants = fetchSet.pack(program, (id) => this.#programs.loaded(namespace, id));
    const answer = await looking.fetch(wants).catch((error) => this.#anew(looking, error));
    if (!answer) return undefined;
    if (answer.remembered) return { remembered: answer.values };
    const [found, , programs, maps] = answer.values;
    if (number(found) !== program) {
      looking.program = number(found);
      looking.fetchSet = this.#sight(namespace, looking.program);
      this.#places.set(`${namespace} ${place}`, looking.program);
      return undefined;
    }
    const before = fetchSet.size;
    const views = this.#learn(looking, asked.programs, list(programs));
    const known = this.#programs.get(namespace, program);
    if (!views || !known || fetchSet.size !== before) return undefined;
    return {
      program,
      type: known.type,
      programs: views,
      maps: decodeMaps(asked.maps, maps, fetchSet),
    };
  }

  /** undefined when one was forgotten between asking and answer. */
  #learn(
    { namespace, fetchSet }: SnapshotRequest,
    ids: number[],
    rows: RedisValue[],
  ): ProgramView[] | undefined {
    const views: ProgramView[] = [];
    for (const [i, id] of ids.entries()) {
      const row = rows[i] ?? null;
      if (row === null) {
        fetchSet.forget({ program: id });
        continue;
      }
      const same = row === 1 && this.#programs.get(namespace, id);
      const known = row === 1 ? same : this.#programs.keep(namespace, id, row);
      if (!known) return undefined;
      for (const map of known.maps) fetchSet.map(map.id, map.type);
      views.push(known.view);
    }
    return views;
  }
}

function decodeMaps(
  ids: readonly number[],
  rows: RedisValue | undefined,
  sight: FetchSet,
): Map<number, MapSnapshot> {
  const maps = new Map<number, MapSnapshot>();
  for (const [i, row] of list(rows).entries()) {
    const id = ids[i] ?? 0;
    const view = decodeMapSnapshot(row);
    if (view) maps.set(id, view);
    else sight.forget({ map: id });
  }
  return maps;
}
