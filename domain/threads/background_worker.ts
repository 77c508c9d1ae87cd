import { Errno } from "../errno.ts";
import { DeadlineExceeded, WorkerClient } from "./worker_client.ts";

/** Work that would block the event loop, in one thread, which is started again when it fails. */

/** ms; Linux takes about one second for its million instructions. */
const TIMEOUT_MS = 10_000;
/** Requests that wait for the thread. Beyond them EAGAIN, as from Linux, tells clients to try again. */
const WAITING_MAX = 64;

/**
 * The thread starts with the first request, and never keeps the process alive.
 * Invariant: requests are answered one at a time, in the order in which they came.
 */
export class BackgroundWorker<Request> {
  readonly #url: string;
  #client: WorkerClient<Request> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @param url of a module that calls serveRequests(). */
  constructor(url: string) {
    this.#url = url;
  }

  /** Resolves to undefined when the work takes too long. @throws EAGAIN: too many requests wait. */
  request<T>(request: Request): Promise<T | undefined> {
    if (this.#waiting >= WAITING_MAX) {
      throw new Errno("EAGAIN", `${WAITING_MAX} requests are waiting for a thread`);
    }
    this.#waiting += 1;
    const onSettled = () => {
      this.#waiting -= 1;
    };
    const turn = this.#last.then(() => this.#send<T>(request));
    this.#last = turn.then(onSettled, onSettled);
    return turn;
  }

  async #send<T>(request: Request): Promise<T | undefined> {
    if (!this.#client?.isAlive) this.#client = new WorkerClient(this.#url);
    try {
      return await this.#client.request<T>(request, TIMEOUT_MS);
    } catch (error) {
      if (error instanceof DeadlineExceeded) return undefined;
      throw error;
    }
  }
}
