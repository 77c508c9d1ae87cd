import type { CompilationUnit } from "../../compiler/abi.ts";
import type { PoolTask } from "../../threads/thread_pool.ts";
import { DeadlineExceeded, WorkerClient } from "../../threads/worker_client.ts";
import type { Job } from "../job.ts";
import { compiledSize } from "./compiled_size.ts";
import { type CodeUnit, packJob, type WorkerReply, type WorkerRequest } from "./messages.ts";

/** A thread of the pool, with the programs that it has compiled. */

const WORKER = new URL("./worker.ts", import.meta.url).href;

/** Compiling may take this many times as long as a job. */
const COMPILING = 10;
/** Bytes that the programs which a thread keeps may take, and how many of them. */
const BYTES_MAX = 64 << 20;
const PROGRAMS_MAX = 512;
/** V8 frees forgotten modules late: a thread that has compiled this many is replaced. */
const COMPILED_MAX = 4096;

/** A second limit on JavaScript's own memory; what runs keep there is counted by themselves. */
const LIMITS = { maxOldGenerationSizeMb: 512 };

/** Work for a thread: a job, or a program to compile. */
export interface Task extends PoolTask {
  job?: Job;
  prepare?: CodeUnit;
  /** ms for the job; compiling has a deadline of its own. */
  limit: number;
  done(reply: WorkerReply): void;
}

export class TimeLimit extends Error {
  override readonly name = "TimeLimit";
}

const failureOf = (error: unknown): Error =>
  error instanceof DeadlineExceeded
    ? new TimeLimit(`the program ran for more than ${error.ms} ms`)
    : (error as Error);

export class Thread {
  readonly #client: WorkerClient<WorkerRequest>;
  readonly #onIdle: (thread: Thread) => void;
  /** Keys of compiled programs, least recently used first, with the bytes that they take. */
  readonly #programs = new Map<string, number>();
  #bytes = 0;
  #compiled = 0;

  constructor(onIdle: (thread: Thread) => void, onEnd: (thread: Thread, error: Error) => void) {
    this.#onIdle = onIdle;
    this.#client = new WorkerClient(WORKER, {
      resourceLimits: LIMITS,
      onReady: () => onIdle(this),
      onEnd: (error) => onEnd(this, error),
    });
  }

  has(key: string): boolean {
    return this.#programs.has(key);
  }

  /** Compiles the programs that the thread lacks, then runs the job. */
  async start(task: Task): Promise<void> {
    try {
      const units = this.#missingUnits(task);
      const job = task.job && packJob(task.job);
      let reply = units.length > 0 || !job ? await this.#compile(units, task) : undefined;
      if (job && (reply === undefined || "ready" in reply)) {
        reply = await this.#client.request<WorkerReply>({ job }, task.limit);
      }
      this.#release();
      task.done(reply as WorkerReply);
    } catch (error) {
      this.#release();
      task.failed(failureOf(error));
    }
  }

  #release(): void {
    if (!this.#client.isAlive) return;
    if (this.#compiled > COMPILED_MAX) this.close();
    else this.#onIdle(this);
  }

  #missingUnits({ job, prepare }: Task): CodeUnit[] {
    const missing: CodeUnit[] = prepare ? [prepare] : [];
    for (const { key, unit } of job?.programs ?? []) {
      if (unit !== undefined && !this.has(key)) missing.push({ key, unit });
      this.#keep(key, unit);
    }
    if (prepare !== undefined) this.#keep(prepare.key, prepare.unit);
    return missing;
  }

  /** Programs that were not compiled are not kept. */
  async #compile(units: readonly CodeUnit[], { job, prepare, limit }: Task): Promise<WorkerReply> {
    const used = new Set((job?.programs ?? [prepare as CodeUnit]).map(({ key }) => key));
    const message = { forget: this.#overflow(used), prepare: units };
    let isCompiled = false;
    try {
      const reply = await this.#client.request<WorkerReply>(message, COMPILING * limit);
      isCompiled = "ready" in reply;
      return reply;
    } finally {
      if (!isCompiled) for (const { key } of units) this.#drop(key);
    }
  }

  #keep(key: string, unit: CompilationUnit | undefined): void {
    const size = this.#programs.get(key) ?? (unit && compiledSize(unit.insns.length));
    if (size === undefined) return;
    if (!this.#programs.delete(key)) {
      this.#bytes += size;
      this.#compiled += 1;
    }
    this.#programs.set(key, size);
  }

  /** Drops the programs for which there is no room, but none of those in use. */
  #overflow(used: ReadonlySet<string>): string[] {
    const forget: string[] = [];
    for (const key of this.#programs.keys()) {
      if (this.#bytes <= BYTES_MAX && this.#programs.size <= PROGRAMS_MAX) break;
      if (used.has(key)) continue;
      this.#drop(key);
      forget.push(key);
    }
    return forget;
  }

  #drop(key: string): void {
    this.#bytes -= this.#programs.get(key) ?? 0;
    this.#programs.delete(key);
  }

  close(): void {
    this.#client.terminate();
  }
}
