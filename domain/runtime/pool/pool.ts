import { TooLarge } from "../../compiler/wasm/v8_limits.ts";
import type { Job, RunOutcome } from "../job.ts";
import { FairQueue } from "./fair_queue.ts";
import { type CodeUnit, unpackOutcome, type WorkerReply } from "./messages.ts";
import { ShortRuns } from "./short_runs.ts";
import { type Task, Thread } from "./thread.ts";

/**
 * Threads that run programs, so that neither a long nor a hostile one stops the service. They start when
 * there is work, the first one ahead of it, and never keep the process alive.
 */

export { TooLarge } from "../../compiler/wasm/v8_limits.ts";
export { TimeLimit } from "./thread.ts";

/** Too many jobs are waiting. */
export class Busy extends Error {
  override readonly name = "Busy";
}

export interface PoolOptions {
  threads: number;
  /** ms that a job may take. */
  timeLimit: number;
  /** The most jobs of one owner that wait for a thread. */
  waiting?: number;
}

const WAITING = 1024;
/** Owner of the programs that are compiled ahead. */
const COMPILED_AHEAD = "";

export class Pool {
  readonly #options: Required<PoolOptions>;
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = [];
  readonly #queue = new FairQueue<Task>();
  readonly #short = new ShortRuns();
  #starting = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = { waiting: WAITING, ...options };
  }

  /** @throws Busy, TimeLimit; TooLarge for a program that cannot be compiled. */
  run(job: Job): Promise<RunOutcome> {
    if (this.#short.accepts(job))
      return Promise.resolve(job).then((short) => this.#short.run(short));
    return new Promise((resolve, reject) => {
      const done = (reply: WorkerReply): void => {
        if ("outcome" in reply) resolve(unpackOutcome(reply.outcome));
        else if ("tooLarge" in reply) reject(new TooLarge(reply.tooLarge));
        else reject(new Error("a thread did not run its job"));
      };
      this.#add(job.owner ?? COMPILED_AHEAD, {
        job,
        limit: this.#options.timeLimit,
        done,
        failed: reject,
      });
    });
  }

  /** Compiles a program ahead, so that its first run does not wait. */
  prepare(program: CodeUnit): void {
    const limit = this.#options.timeLimit;
    if (this.#queue.countOf(COMPILED_AHEAD) >= this.#options.waiting) return;
    this.#add(COMPILED_AHEAD, { prepare: program, limit, done: () => {}, failed: () => {} });
  }

  /** Starts a thread ahead, so that the first run does not wait. */
  warm(): void {
    if (!this.#closed && this.#threads.size === 0) this.#startThread();
  }

  #add(owner: string, task: Task): void {
    if (this.#closed || this.#queue.countOf(owner) >= this.#options.waiting) {
      task.failed(new Busy(`${this.#queue.countOf(owner)} runs are waiting`));
      return;
    }
    this.#queue.push(owner, task);
    this.#assign();
  }

  #assign(): void {
    while (this.#queue.length > 0 && this.#idle.length > 0) {
      const task = this.#queue.shift() as Task;
      void this.#takeIdle(task).start(task);
    }
    const room = this.#options.threads - this.#threads.size;
    if (!this.#closed && room > 0 && this.#queue.length > this.#starting) this.#startThread();
  }

  /** Prefers an idle thread that has compiled the program. */
  #takeIdle({ job }: Task): Thread {
    const key = job?.programs[0]?.key;
    const found = key === undefined ? -1 : this.#idle.findIndex((thread) => thread.has(key));
    return this.#idle.splice(found < 0 ? this.#idle.length - 1 : found, 1)[0] as Thread;
  }

  #startThread(): void {
    let hasStarted = false;
    void this.#short.load();
    this.#starting++;
    const onReady = (): void => {
      if (!hasStarted) this.#starting--;
      hasStarted = true;
    };
    const onIdle = (thread: Thread): void => {
      onReady();
      this.#idle.push(thread);
      this.#assign();
    };
    const onEnd = (thread: Thread, error: Error): void => {
      // Another one would not start either.
      if (!hasStarted) for (const task of this.#queue.drain()) task.failed(error);
      onReady();
      this.#threads.delete(thread);
      const at = this.#idle.indexOf(thread);
      if (at >= 0) this.#idle.splice(at, 1);
      this.#assign();
    };
    this.#threads.add(new Thread(onIdle, onEnd));
  }

  /** Ends the threads and rejects their jobs. */
  close(): void {
    this.#closed = true;
    for (const thread of this.#threads) thread.close();
    for (const task of this.#queue.drain()) task.failed(new Busy("the pool is closed"));
  }
}
