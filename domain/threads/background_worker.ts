import { parentPort, type Worker, workerData } from "node:worker_threads";
import { Errno, type ErrnoOptions } from "../errno.ts";
import { workerThread } from "./worker_thread.ts";

/** Work that would hold up the event loop, in a thread of its own. */

type RequestOutcome<T> =
  | { value: T }
  | { errno: Errno["code"]; detail: string; more: ErrnoOptions }
  | { error: string };

/** ms; Linux takes about one second for its million instructions. */
const TIMEOUT_MS = 10_000;
/** Pieces that wait for a thread; Linux, too, answers EAGAIN, and clients come again. */
const WAITING_MAX = 64;

/**
 * A thread costs nothing until its first piece of work, and never keeps the process alive.
 * Invariant: one piece at a time, in the order in which they came.
 */
export class BackgroundWorker<Asked> {
  readonly #url: string;
  #thread: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @param url of a module that serves() this. */
  constructor(url: string) {
    this.#url = url;
  }

  /** Resolves to undefined when it takes too long. @throws EAGAIN: too many are waiting. */
  request<T>(asked: Asked): Promise<T | undefined> {
    if (this.#waiting >= WAITING_MAX) {
      throw new Errno("EAGAIN", `${WAITING_MAX} requests are waiting for a thread`);
    }
    this.#waiting += 1;
    const left = () => {
      this.#waiting -= 1;
    };
    const turn = this.#last.then(() => this.#now<T>(asked));
    this.#last = turn.then(left, left);
    return turn;
  }

  #now<T>(asked: Asked): Promise<T | undefined> {
    this.#thread ??= workerThread(this.#url, { workerData: this.#url });
    const worker = this.#thread;
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        worker.off("message", done).off("error", fail);
      };
      const fail = (error: Error) => {
        this.#thread = undefined;
        over();
        reject(error);
      };
      const done = (told: RequestOutcome<T>) => {
        over();
        if ("value" in told) resolve(told.value);
        else if ("errno" in told) reject(new Errno(told.errno, told.detail, told.more));
        else reject(new Error(told.error));
      };
      const timer = setTimeout(() => {
        this.#thread = undefined;
        over();
        void worker.terminate();
        resolve(undefined);
      }, TIMEOUT_MS);
      worker.once("message", done).once("error", fail);
      worker.postMessage(asked);
    });
  }
}

function outcomeOf<T>(work: () => T): RequestOutcome<T> {
  try {
    return { value: work() };
  } catch (error) {
    if (!(error instanceof Errno)) return { error: String((error as Error).stack ?? error) };
    const { code, message: detail, log, field } = error;
    return {
      errno: code,
      detail,
      more: { ...(log ? { log } : {}), ...(field ? { field } : {}) },
    };
  }
}

/** In the thread of this module, and nowhere else. */
export function serveRequests<Asked>(url: string, answer: (asked: Asked) => unknown): void {
  if (workerData !== url) return;
  parentPort?.on("message", (asked: Asked) =>
    parentPort?.postMessage(outcomeOf(() => answer(asked))),
  );
}
