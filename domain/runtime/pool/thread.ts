// A thread of the pool: what it does, and which programs it has.

import type { CompilationUnit } from "../../compiler/abi.ts";
import { workerThread } from "../../threads/worker_thread.ts";
import type { Job } from "../job.ts";
import { type PackedJob, packJob } from "./wire_format.ts";
import type { CodeUnit, WorkerReply, WorkerRequest } from "./worker.ts";

const WORKER = new URL("./worker.ts", import.meta.url).href;

/** Compiling may take so many times as long as a job. */
const COMPILING = 10;
/** Bytes of instructions of the programs that a thread keeps, and how many of them. */
const BYTES_MAX = 16 << 20;
const PROGRAMS_MAX = 512;

/** V8 gives the room of forgotten modules back late: a thread that has compiled so many makes way. */
const COMPILED_MAX = 4096;

/** Of JavaScript's own memory: what runs keep there is counted, so that this is a second wall. */
const LIMITS = { maxOldGenerationSizeMb: 512 };

/** Something for a thread to do; a job, or a program to compile. */
export interface Task {
  job?: Job;
  prepare?: CodeUnit;
  /** ms, without what compiling takes. */
  limit: number;
  done(told: WorkerReply): void;
  failed(error: Error): void;
}

export class TimeLimit extends Error {
  override readonly name = "TimeLimit";
}

export class Thread {
  readonly #worker = workerThread(WORKER, { resourceLimits: LIMITS });
  /** Least recently used first, with the bytes of their instructions. */
  readonly #programs = new Map<string, number>();
  #bytes = 0;
  #compiled = 0;
  #task: Task | undefined;
  /** Waits until its programs are compiled. */
  #next: PackedJob | undefined;
  /** Being compiled, which may fail. */
  #coding: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #closing = false;

  /** It is `idle` when it has nothing to do, and `gone` when it has ended. */
  constructor(idle: (thread: Thread) => void, gone: (thread: Thread, error: Error) => void) {
    const end = (error: Error): void => {
      clearTimeout(this.#timer);
      this.#task?.failed(error);
      this.#task = undefined;
      gone(this, error);
    };
    this.#worker.on("message", (told: WorkerReply) => {
      if (this.#closing) return;
      clearTimeout(this.#timer);
      const [task, next, coding] = [this.#task, this.#next, this.#coding];
      this.#next = undefined;
      this.#coding = [];
      if (!("ready" in told)) for (const key of coding) this.#drop(key);
      if (next !== undefined && task !== undefined && "ready" in told) {
        this.#send({ job: next }, task.limit);
        return;
      }
      this.#task = undefined;
      if (this.#compiled > COMPILED_MAX) this.close();
      else idle(this);
      task?.done(told);
    });
    this.#worker.on("error", end);
    this.#worker.on("exit", () => end(new Error("a thread that runs programs ended")));
  }

  has(key: string): boolean {
    return this.#programs.has(key);
  }

  start(task: Task): void {
    this.#task = task;
    const { job, prepare, limit } = task;
    const coded: CodeUnit[] = prepare ? [prepare] : [];
    for (const { key, unit } of job?.programs ?? []) {
      if (unit !== undefined && !this.has(key)) coded.push({ key, unit });
      this.#keep(key, unit);
    }
    if (prepare !== undefined) this.#keep(prepare.key, prepare.unit);
    const packed = job && packJob(job);
    if (packed !== undefined && coded.length === 0) {
      this.#send({ job: packed }, limit);
      return;
    }
    const used = new Set((job?.programs ?? [prepare as CodeUnit]).map(({ key }) => key));
    this.#next = packed;
    this.#coding = coded.map(({ key }) => key);
    this.#send({ forget: this.#overflow(used), prepare: coded }, COMPILING * limit);
  }

  #send(asked: WorkerRequest, limit: number): void {
    this.#worker.postMessage(asked);
    this.#timer = setTimeout(() => this.#late(limit), limit);
    this.#timer.unref();
  }

  #late(limit: number): void {
    this.#task?.failed(new TimeLimit(`the program ran for more than ${limit} ms`));
    this.#task = undefined;
    this.close();
  }

  #keep(key: string, unit: CompilationUnit | undefined): void {
    const size = this.#programs.get(key) ?? unit?.insns.length;
    if (size === undefined) return;
    if (!this.#programs.delete(key)) {
      this.#bytes += size;
      this.#compiled += 1;
    }
    this.#programs.set(key, size);
  }

  /** Programs that it no longer keeps; none of those in use. */
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
    this.#closing = true;
    clearTimeout(this.#timer);
    void this.#worker.terminate();
  }
}
