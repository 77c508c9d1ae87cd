import { randomInt } from "node:crypto";
import { Errno, einval, LimitReached, Stale } from "../errno.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { fromKept, isRecorded, type KeptAnswer, keepFailure } from "../redis/idempotency.ts";
import { text } from "../redis/reply.ts";
import type { Job, RunDone, Seed } from "../runtime/job.ts";
import { type Pool, TimeLimit, TooLarge } from "../runtime/pool/pool.ts";
import { packCommit } from "./commit.ts";
import { type ContextFields, encodeContext } from "./context_fields.ts";
import type { ProofCache } from "./proof_cache.ts";
import { faultToErrno } from "./run_errors.ts";
import { checkCommitSize, coalesceReads, widenMiss } from "./run_limits.ts";
import { encodeResult, type RunResult } from "./run_result.ts";
import {
  type FetchSnapshot,
  type Snapshot,
  SnapshotReader,
  type SnapshotRequest,
} from "./snapshot_reader.ts";

/**
 * Runs programs: reads a snapshot in one script, executes the run on it, and commits the run in a
 * second script, which compares all reads and applies all writes.
 * Invariant: runs are serializable. Each takes effect atomically at its commit; a run without
 * writes, at its snapshot.
 */

export interface RunAttr {
  data: Buffer | undefined;
  /** The bytes of the struct, or its fields by name. */
  ctx: Buffer | ContextFields | undefined;
  repeat: number;
  flags: number;
  seed: Partial<Seed>;
}

/** After so many conflicts, the runs of a program in this process take turns. */
const OPTIMISTIC_TRIES = 3;
/** Time in ms for which a run that takes turns is retried. */
const RETRY_MS = 10_000;
/** How often a run may restart because of a miss. */
const MAX_REFETCHES = 64;
/** After so many restarts, a miss of a key fetches the whole map. */
const KEY_REFETCHES = 8;
const U32 = 0x1_0000_0000;

const EMPTY_COMMIT = packCommit([], [], new Map());

interface RunAttempt {
  call: Call;
  request: SnapshotRequest;
  attr: RunAttr;
  seed: Seed;
}

function completeSeed({ time_ns, random, cpu }: Partial<Seed>): Seed {
  const now = time_ns ?? String(process.hrtime.bigint());
  return { time_ns: now, random: random ?? randomInt(U32), cpu: cpu ?? 0 };
}

/** What the pool says instead of an outcome. */
function rethrowPoolError(error: Error): never {
  if (error instanceof TimeLimit)
    throw new Errno("E2BIG", error.message, { extensions: { fault: { reason: "time" } } });
  if (error instanceof TooLarge) throw new Errno("E2BIG", error.message);
  throw error;
}

export class Runner {
  readonly #run: RunCommand;
  readonly #pool: Pool;
  readonly #budget: number;
  readonly #reader: SnapshotReader;
  readonly #queues = new Map<string, Promise<unknown>>();

  /** @param budget instructions that one repetition may execute. */
  constructor(run: RunCommand, pool: Pool, budget: number, proofs: ProofCache) {
    this.#reader = new SnapshotReader(proofs);
    this.#run = run;
    this.#pool = pool;
    this.#budget = budget;
  }

  /**
   * @param place identifies the caller and the fd or path.
   * @throws EFAULT, E2BIG with the instruction; EAGAIN when every try
   *   conflicts with other changes, or when too many runs wait for a thread.
   */
  async run(call: Call, place: string, fetch: FetchSnapshot, attr: RunAttr): Promise<RunResult> {
    try {
      return await this.#runUntilCommitted(call, place, fetch, attr);
    } catch (error) {
      if (!isRecorded(call) || !(error instanceof Errno)) throw error;
      // The client tries again with the same Idempotency-Key.
      if (error instanceof LimitReached) throw error;
      return this.#commitAndStore(call, EMPTY_COMMIT, keepFailure(error));
    }
  }

  async #runUntilCommitted(
    call: Call,
    place: string,
    fetch: FetchSnapshot,
    attr: RunAttr,
  ): Promise<RunResult> {
    const request = this.#reader.createRequest(call.namespace, place, fetch);
    const attempt = { call, request, attr, seed: completeSeed(attr.seed) };
    for (let tries = 0; tries < OPTIMISTIC_TRIES; tries++) {
      const result = await this.#tryOnce(attempt);
      if (result) return result;
    }
    return this.#serialize(`${call.namespace} ${request.program}`, async () => {
      for (const end = performance.now() + RETRY_MS; performance.now() < end; ) {
        const result = await this.#tryOnce(attempt);
        if (result) return result;
      }
      throw new Errno("EAGAIN", `other changes conflicted with the run for ${RETRY_MS} ms`);
    });
  }

  /** Invariant: at most one of the runs that take turns for a program executes. */
  #serialize<T>(program: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#queues.get(program) ?? Promise.resolve()).then(work);
    const settled: Promise<void> = turn.then(
      () => this.#leaveQueue(program, settled),
      () => this.#leaveQueue(program, settled),
    );
    this.#queues.set(program, settled);
    return turn;
  }

  #leaveQueue(program: string, turn: Promise<void>): void {
    if (this.#queues.get(program) === turn) this.#queues.delete(program);
  }

  /** Returns undefined on a conflict: something that the run read has changed. */
  async #tryOnce(attempt: RunAttempt): Promise<RunResult | undefined> {
    const { request } = attempt;
    for (let refetches = 0; refetches < MAX_REFETCHES; refetches++) {
      const snapshot = await this.#reader.read(request);
      if ("remembered" in snapshot) return fromKept(JSON.parse(text(snapshot.remembered[0])));
      if (attempt.attr.flags !== 0) throw einval(`must be 0, got ${attempt.attr.flags}`, "flags");
      const outcome = await this.#pool.run(this.#job(attempt, snapshot)).catch(rethrowPoolError);
      if (outcome.kind === "fault") throw faultToErrno(outcome, snapshot.programs);
      if (outcome.kind === "refused") {
        const at = outcome.field ? { field: outcome.field } : {};
        throw new Errno(outcome.errno, outcome.detail, at);
      }
      if (outcome.kind === "done") {
        this.#reader.rememberAccesses(request, outcome);
        return this.#commit(attempt, snapshot, outcome);
      }
      const sizeBefore = request.fetchSet.size;
      for (const miss of outcome.misses) {
        request.fetchSet.addMiss(refetches < KEY_REFETCHES ? miss : widenMiss(miss, snapshot.maps));
      }
      if (request.fetchSet.size === sizeBefore)
        throw new Error("the run misses only what its snapshot has");
    }
    throw new Errno("E2BIG", `the run needed more than ${MAX_REFETCHES} snapshot refetches`);
  }

  #job({ call, attr, seed }: RunAttempt, { programs, maps, type }: Snapshot): Job {
    const { data, repeat } = attr;
    const fields = attr.ctx !== undefined && !Buffer.isBuffer(attr.ctx) ? attr.ctx : undefined;
    const ctx = fields
      ? encodeContext(type, fields, data?.length ?? 0)
      : (attr.ctx as Buffer | undefined);
    const views = [...maps.values()].map(({ view }) => view);
    const rest = { data, ctx, repeat, seed, budget: this.#budget };
    return { owner: call, programs, maps: views, prog_type: type, ...rest };
  }

  async #commit(attempt: RunAttempt, { maps, type }: Snapshot, done: RunDone) {
    const { call } = attempt;
    const result = encodeResult(done, attempt.attr.ctx, attempt.seed, type);
    if (done.writes.length === 0 && !isRecorded(call)) return result;
    const reads = coalesceReads(done.reads);
    const packed = packCommit(reads, done.writes, maps);
    checkCommitSize(reads, done.writes, packed);
    try {
      return await this.#commitAndStore(call, packed, result);
    } catch (error) {
      if (error instanceof Stale) return undefined;
      throw error;
    }
  }

  /** With an Idempotency-Key, the result of the first run that committed is returned. */
  async #commitAndStore(
    call: Call,
    commit: Buffer,
    result: KeptAnswer<RunResult>,
  ): Promise<RunResult> {
    const stored = isRecorded(call) ? JSON.stringify(result) : "";
    const [reply] = await this.#run(call, "run_commit", commit, stored);
    return fromKept(stored === "" ? result : JSON.parse(text(reply)));
  }
}
