import type { Worker, WorkerOptions } from "node:worker_threads";
import { Errno } from "../errno.ts";
import type { ThreadReply } from "./serve_requests.ts";
import { workerThread } from "./worker_thread.ts";

/** The only way to have a thread: it starts, answers one request at a time, and ends. */

/** The thread did not answer in time, and was ended. */
export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded";
  readonly ms: number;

  constructor(ms: number) {
    super(`no answer within ${ms} ms`);
    this.ms = ms;
  }
}

interface PendingRequest {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  timer: NodeJS.Timeout;
}

export interface WorkerClientOptions {
  resourceLimits?: WorkerOptions["resourceLimits"];
  /** The thread's module is loaded. */
  onReady?(): void;
  /** The thread has ended, by itself or by terminate(). */
  onEnd?(error: Error): void;
}

function settle(reply: ThreadReply, { resolve, reject }: PendingRequest): void {
  if ("value" in reply) resolve(reply.value);
  else if ("errno" in reply) reject(new Errno(reply.errno, reply.detail, reply.options));
  else reject(new Error("error" in reply ? reply.error : "the thread did not answer"));
}

/** Invariant: at most one request is under way; an ended thread is not started again. */
export class WorkerClient<Request> {
  readonly #worker: Worker;
  readonly #onReady: () => void;
  readonly #onEnd: (error: Error) => void;
  #pending: PendingRequest | undefined;
  #isTerminated = false;
  #hasEnded = false;

  /** @param url of a module that calls serveRequests(). */
  constructor(url: string, { resourceLimits, onReady, onEnd }: WorkerClientOptions = {}) {
    this.#onReady = onReady ?? (() => {});
    this.#onEnd = onEnd ?? (() => {});
    const limits = resourceLimits ? { resourceLimits } : {};
    this.#worker = workerThread(url, { ...limits, workerData: url });
    this.#worker.on("message", (reply: ThreadReply) => this.#receive(reply));
    this.#worker.on("error", (error) => this.#end(error as Error));
    this.#worker.on("exit", () => this.#end(new Error("a thread has ended")));
  }

  /** True until the thread fails or is terminated. */
  get isAlive(): boolean {
    return !this.#isTerminated && !this.#hasEnded;
  }

  /**
   * @param deadline ms, after which the thread is terminated.
   * @throws DeadlineExceeded, what the thread's handler throws, or why the thread ended.
   */
  request<T>(message: Request, deadline: number): Promise<T> {
    return new Promise<unknown>((resolve, reject) => {
      this.#worker.postMessage(message); // first, because it throws for what cannot be cloned
      const timer = setTimeout(() => this.#expire(deadline), deadline);
      this.#pending = { resolve, reject, timer };
    }) as Promise<T>;
  }

  terminate(): void {
    this.#isTerminated = true;
    void this.#worker.terminate();
  }

  #take(): PendingRequest | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    clearTimeout(pending?.timer);
    return pending;
  }

  #receive(reply: ThreadReply): void {
    if (this.#isTerminated) return;
    if ("ready" in reply) {
      this.#onReady();
      return;
    }
    const pending = this.#take();
    if (pending !== undefined) settle(reply, pending);
  }

  #expire(deadline: number): void {
    this.terminate();
    this.#take()?.reject(new DeadlineExceeded(deadline));
  }

  #end(error: Error): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#take()?.reject(error);
    this.#onEnd(error);
  }
}
