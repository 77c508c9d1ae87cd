// Threads that run programs, so that neither a long nor a hostile one stops the service. They are
// started when there is something to do, the first one ahead, and never keep the process alive.

import type { CompilationUnit } from "../../compiler/abi.ts";
import { TooLarge } from "../../compiler/wasm/v8_limits.ts";
import type { Job, RunOutcome } from "../job.ts";
import { FairQueue } from "./fair_queue.ts";
import { ShortRuns } from "./short_runs.ts";
import { type Task, Thread } from "./thread.ts";
import { unpackOutcome } from "./wire_format.ts";
import type { WorkerReply } from "./worker.ts";

export { TooLarge } from "../../compiler/wasm/v8_limits.ts";
export { TimeLimit } from "./thread.ts";

/** Too many jobs are waiting. */
export class Busy extends Error {
  override readonly name = "Busy";
}

export interface PoolOptions {
  /** How many, at most. */
  threads: number;
  /** ms that a job may take, compiling included. */
  timeLimit: number;
  /** Jobs of one owner that wait for a thread, at most. */
  waiting?: number;
}

const WAITING = 1024;
/** Whose programs are that are compiled ahead. */
const NOBODY = "";

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
      const done = (told: WorkerReply): void => {
        if ("outcome" in told) resolve(unpackOutcome(told.outcome));
        else if ("tooLarge" in told) reject(new TooLarge(told.tooLarge));
        else reject(new Error("error" in told ? told.error : "a thread did not run its job"));
      };
      this.#add(job.owner ?? NOBODY, { job, limit: this.#options.timeLimit, done, failed: reject });
    });
  }

  /** Has a program compiled, so that its first run need not wait for that. */
  prepare(program: { key: string; unit: CompilationUnit }): void {
    const limit = this.#options.timeLimit;
    if (this.#queue.of(NOBODY) >= this.#options.waiting) return;
    this.#add(NOBODY, { prepare: program, limit, done: () => {}, failed: () => {} });
  }

  /** Starts a thread ahead: the first run need not wait for it. */
  warm(): void {
    if (!this.#closed && this.#threads.size === 0) this.#begin();
  }

  #add(owner: string, task: Task): void {
    if (this.#closed || this.#queue.of(owner) >= this.#options.waiting) {
      task.failed(new Busy(`${this.#queue.of(owner)} runs are waiting`));
      return;
    }
    this.#queue.push(owner, task);
    this.#assign();
  }

  #assign(): void {
    while (this.#queue.length > 0 && this.#idle.length > 0) {
      const task = this.#queue.shift() as Task;
      this.#take(task).start(task);
    }
    const room = this.#options.threads - this.#threads.size;
    if (!this.#closed && room > 0 && this.#queue.length > this.#starting) this.#begin();
  }

  /** An idle thread; one that has the program if there is one. */
  #take({ job }: Task): Thread {
    const key = job?.programs[0]?.key;
    const found = key === undefined ? -1 : this.#idle.findIndex((thread) => thread.has(key));
    return this.#idle.splice(found < 0 ? this.#idle.length - 1 : found, 1)[0] as Thread;
  }

  #begin(): void {
    let begun = false;
    void this.#short.load();
    this.#starting++;
    const ready = (): void => {
      if (!begun) this.#starting--;
      begun = true;
    };
    const idle = (thread: Thread): void => {
      ready();
      this.#idle.push(thread);
      this.#assign();
    };
    const gone = (thread: Thread, error: Error): void => {
      // Another one would not start either.
      if (!begun) for (const task of this.#queue.drain()) task.failed(error);
      ready();
      this.#threads.delete(thread);
      const at = this.#idle.indexOf(thread);
      if (at >= 0) this.#idle.splice(at, 1);
      this.#assign();
    };
    this.#threads.add(new Thread(idle, gone));
  }

  /** Ends the threads; what they were doing is rejected. */
  close(): void {
    this.#closed = true;
    for (const thread of this.#threads) thread.close();
    for (const task of this.#queue.drain()) task.failed(new Busy("the pool is closed"));
  }
}
