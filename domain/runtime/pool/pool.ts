import { TooLarge } from "../../compiler/wasm/v8_limits.ts";
import { type TaskOwner, ThreadPool } from "../../threads/thread_pool.ts";
import type { Job, RunOutcome } from "../job.ts";
import { type CodeUnit, unpackOutcome, type WorkerReply } from "./messages.ts";
import { ShortRuns } from "./short_runs.ts";
import { type Task, Thread } from "./thread.ts";

/** Threads that run programs, so that neither a long nor a hostile one stops the service. */

export { TooLarge } from "../../compiler/wasm/v8_limits.ts";
export { TimeLimit } from "./thread.ts";

export interface PoolOptions {
  threads: number;
  /** ms that a job may take. */
  timeLimit: number;
  /** The most jobs that wait for a thread. */
  waiting?: number;
}

const WAITING = 1024;
/** Owner of the programs that are compiled ahead. */
const COMPILED_AHEAD: TaskOwner = { namespace: "" };

export class Pool {
  readonly #timeLimit: number;
  readonly #threads: ThreadPool<Task, Thread>;
  readonly #short = new ShortRuns();

  constructor({ threads, timeLimit, waiting = WAITING }: PoolOptions) {
    this.#timeLimit = timeLimit;
    this.#threads = new ThreadPool({
      ...{ threads, limit: "runs", places: waiting },
      createThread: ({ onIdle, onEnd }) => {
        void this.#short.load();
        return new Thread(onIdle, onEnd);
      },
      isPreferred: (thread, { job }) => thread.has(job?.programs[0]?.key ?? ""),
    });
  }

  /** @throws LimitReached, Unavailable, TimeLimit; TooLarge for a program that cannot be compiled. */
  run(job: Job): Promise<RunOutcome> {
    if (this.#short.accepts(job))
      return Promise.resolve(job).then((short) => this.#short.run(short));
    return new Promise((resolve, reject) => {
      const done = (reply: WorkerReply): void => {
        if ("outcome" in reply) resolve(unpackOutcome(reply.outcome));
        else if ("tooLarge" in reply) reject(new TooLarge(reply.tooLarge));
        else reject(new Error("a thread did not run its job"));
      };
      const owner = job.owner ?? COMPILED_AHEAD;
      this.#threads.add({ owner, job, limit: this.#timeLimit, done, failed: reject });
    });
  }

  /** Compiles a program ahead, so that its first run does not wait. */
  prepare(program: CodeUnit): void {
    // A run must not lose its place to a program that is compiled ahead.
    if (this.#threads.isFull) return;
    const ignore = (): void => {};
    const task = { prepare: program, limit: this.#timeLimit, done: ignore, failed: ignore };
    this.#threads.add({ owner: COMPILED_AHEAD, ...task });
  }

  /** Starts a thread ahead, so that the first run does not wait. */
  warm(): void {
    this.#threads.warm();
  }

  /** Ends the threads and rejects their jobs. */
  close(): void {
    this.#threads.close();
  }
}
