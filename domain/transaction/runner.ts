import { randomInt } from "node:crypto";
import { Errno, einval, Stale } from "../errno.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { fromKept, isRecorded, type KeptAnswer, keepFailure } from "../redis/idempotency.ts";
import { text } from "../redis/reply.ts";
import type { Job, RunDone, Seed } from "../runtime/job.ts";
import { Busy, type Pool, TimeLimit, TooLarge } from "../runtime/pool/pool.ts";
import { packCommit } from "./commit.ts";
import { type ContextFields, contextBytes } from "./context_fields.ts";
import { faultOf } from "./fault.ts";
import { checkSize, compared, widened } from "./limits.ts";
import { type RunResult, result } from "./result.ts";
import {
  type FetchSnapshot,
  type Snapshot,
  SnapshotReader,
  type SnapshotRequest,
} from "./snapshot_reader.ts";

/**
 * Runs programs. A run sees what one script showed it, works on it in a thread, and takes effect by a
 * second script, which compares all that was read and writes what was changed. So runs are
 * serializable: each takes effect as if alone at the moment of its second script, one that changes
 * nothing at that of its first.
 */

export interface RunAttr {
  data: Buffer | undefined;
  /** The struct's bytes, or fields of it by name. */
  ctx: Buffer | ContextFields | undefined;
  repeat: number;
  flags: number;
  seed: Partial<Seed>;
}

/** Runs that lost to others so often take turns with those of the same program, in this process. */
const OPTIMISTIC_TRIES = 3;
/** ms, in which a run that takes turns is tried again. */
const RETRY_MS = 10_000;
/** How often a run may start again because it came to something new. */
const MAX_REFETCHES = 64;
/** After so many times maps that are not too large are shown whole. */
const KEY_REFETCHES = 8;
const U32 = 0x1_0000_0000;

/** Commits nothing. */
const NOTHING = packCommit([], [], new Map());

interface RunAttempt {
  call: Call;
  looking: SnapshotRequest;
  attr: RunAttr;
  seed: Seed;
}

function seedOf({ time_ns, random, cpu }: Partial<Seed>): Seed {
  const now = time_ns ?? String(process.hrtime.bigint());
  return { time_ns: now, random: random ?? randomInt(U32), cpu: cpu ?? 0 };
}

/** What the pool says instead of an outcome. */
function fromPool(error: Error): never {
  if (error instanceof TimeLimit)
    throw new Errno("E2BIG", error.message, { extensions: { fault: { reason: "time" } } });
  if (error instanceof Busy) throw new Errno("EAGAIN", error.message);
  if (error instanceof TooLarge) throw new Errno("E2BIG", error.message);
  throw error;
}

export class Runner {
  readonly #run: RunCommand;
  readonly #pool: Pool;
  readonly #budget: number;
  readonly #looks = new SnapshotReader();
  readonly #turns = new Map<string, Promise<unknown>>();

  /** @param budget instructions that one repetition may take. */
  constructor(run: RunCommand, pool: Pool, budget: number) {
    this.#run = run;
    this.#pool = pool;
    this.#budget = budget;
  }

  /**
   * @param place names the caller and the fd or path.
   * @throws EFAULT, E2BIG with the instruction; EAGAIN when others change faster than it can run.
   */
  async run(call: Call, place: string, look: FetchSnapshot, attr: RunAttr): Promise<RunResult> {
    try {
      return await this.#untilDone(call, place, look, attr);
    } catch (error) {
      if (!isRecorded(call) || !(error instanceof Errno)) throw error;
      return this.#answer(call, NOTHING, keepFailure(error));
    }
  }

  async #untilDone(
    call: Call,
    place: string,
    look: FetchSnapshot,
    attr: RunAttr,
  ): Promise<RunResult> {
    const looking = this.#looks.begin(call.namespace, place, look);
    const attempt = { call, looking, attr, seed: seedOf(attr.seed) };
    for (let tries = 0; tries < OPTIMISTIC_TRIES; tries++) {
      const done = await this.#attempt(attempt);
      if (done) return done;
    }
    return this.#inTurn(`${call.namespace} ${looking.program}`, async () => {
      for (const end = performance.now() + RETRY_MS; performance.now() < end; ) {
        const done = await this.#attempt(attempt);
        if (done) return done;
      }
      throw new Errno("EAGAIN", `for ${RETRY_MS} ms what the run reads has changed under it`);
    });
  }

  /** Invariant: of the runs that take turns for a program, one is under way. */
  #inTurn<T>(program: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(program) ?? Promise.resolve()).then(work);
    const over: Promise<void> = turn.then(
      () => this.#leave(program, over),
      () => this.#leave(program, over),
    );
    this.#turns.set(program, over);
    return turn;
  }

  #leave(program: string, turn: Promise<void>): void {
    if (this.#turns.get(program) === turn) this.#turns.delete(program);
  }

  /** undefined when what was read has changed meanwhile. */
  async #attempt(attempt: RunAttempt): Promise<RunResult | undefined> {
    const { looking } = attempt;
    for (let sights = 0; sights < MAX_REFETCHES; sights++) {
      const shown = await this.#looks.look(looking);
      if ("remembered" in shown) return fromKept(JSON.parse(text(shown.remembered[0])));
      if (attempt.attr.flags !== 0) throw einval(`must be 0, got ${attempt.attr.flags}`, "flags");
      const outcome = await this.#pool.run(this.#job(attempt, shown)).catch(fromPool);
      if (outcome.kind === "fault") throw faultOf(outcome, shown.programs);
      if (outcome.kind === "refused") {
        const at = outcome.field ? { field: outcome.field } : {};
        throw new Errno(outcome.errno, outcome.detail, at);
      }
      if (outcome.kind === "done") {
        this.#looks.remember(looking, outcome);
        return this.#commit(attempt, shown, outcome);
      }
      const before = looking.fetchSet.size;
      for (const need of outcome.needs) {
        looking.fetchSet.add(sights < KEY_REFETCHES ? need : widened(need, shown.maps));
      }
      if (looking.fetchSet.size === before) throw new Error("a run asks for what it was shown");
    }
    throw new Errno(
      "E2BIG",
      `the run came ${MAX_REFETCHES} times to elements that it had not been shown`,
    );
  }

  #job({ call, attr, seed }: RunAttempt, { programs, maps, type }: Snapshot): Job {
    const { data, repeat } = attr;
    const fields = attr.ctx !== undefined && !Buffer.isBuffer(attr.ctx) ? attr.ctx : undefined;
    const ctx = fields
      ? contextBytes(type, fields, data?.length ?? 0)
      : (attr.ctx as Buffer | undefined);
    const views = [...maps.values()].map(({ view }) => view);
    const given = { data, ctx, repeat, seed, budget: this.#budget };
    return { owner: call.namespace, programs, maps: views, prog_type: type, ...given };
  }

  async #commit(attempt: RunAttempt, { maps, type }: Snapshot, done: RunDone) {
    const { call } = attempt;
    const answer = result(done, attempt.attr.ctx, attempt.seed, type);
    if (done.ops.length === 0 && !isRecorded(call)) return answer;
    const reads = compared(done.reads);
    const packed = packCommit(reads, done.ops, maps);
    checkSize(reads, done.ops, packed);
    try {
      return await this.#answer(call, packed, answer);
    } catch (error) {
      if (error instanceof Stale) return undefined;
      throw error;
    }
  }

  /** Commits. With an Idempotency-Key the answer is that of the first run to come to one. */
  async #answer(call: Call, commit: Buffer, answer: KeptAnswer<RunResult>): Promise<RunResult> {
    const kept = isRecorded(call) ? JSON.stringify(answer) : "";
    const [first] = await this.#run(call, "run_commit", commit, kept);
    return fromKept(kept === "" ? answer : JSON.parse(text(first)));
  }
}
