import { availableParallelism } from "node:os";
import type { BackgroundRequest } from "./background_thread.ts";
import {
  type PoolTask,
  type PoolThread,
  type TaskOwner,
  type ThreadEvents,
  ThreadPool,
} from "./thread_pool.ts";
import { DeadlineExceeded, WorkerClient } from "./worker_client.ts";

/** Work that would block the event loop, in threads that all kinds of such work share. */

const MODULE = new URL("./background_thread.ts", import.meta.url).href;

/** ms; Linux takes about one second for its million instructions. */
const TIMEOUT_MS = 10_000;
/** Requests that wait for a thread. Beyond them EAGAIN, as from Linux, tells clients to try again. */
const WAITING_MAX = 64;
/** Each thread may need hundreds of MB. */
const THREADS_MAX = 4;

/**
 * The event loop keeps a core where there are three or more. There are always two threads, because
 * only then can a namespace pass a long request of another.
 */
export function backgroundThreadCount(cores: number): number {
  return Math.min(THREADS_MAX, Math.max(2, cores - 1));
}

interface BackgroundTask extends PoolTask {
  request: BackgroundRequest;
  /** Called with undefined when the work takes too long. */
  done(answer: unknown): void;
}

class BackgroundThread implements PoolThread<BackgroundTask> {
  readonly #client: WorkerClient<BackgroundRequest>;
  readonly #onIdle: (thread: BackgroundThread) => void;

  constructor({ onIdle, onEnd }: ThreadEvents<BackgroundThread>) {
    this.#onIdle = onIdle;
    this.#client = new WorkerClient(MODULE, {
      onReady: () => onIdle(this),
      onEnd: (error) => onEnd(this, error),
    });
  }

  async start({ request, done, failed }: BackgroundTask): Promise<void> {
    try {
      done(await this.#client.request(request, TIMEOUT_MS));
    } catch (error) {
      if (error instanceof DeadlineExceeded) done(undefined);
      else failed(error as Error);
    }
    if (this.#client.isAlive) this.#onIdle(this);
  }

  close(): void {
    this.#client.terminate();
  }
}

export interface BackgroundOptions {
  threads: number;
  /** Name of the limit of waiting requests. */
  limit: string;
  /** The most requests that wait for a thread. */
  waiting: number;
}

/** Threads for the requests of any module; namespaces take turns and share the threads. */
export class BackgroundPool {
  readonly #threads: ThreadPool<BackgroundTask, BackgroundThread>;

  constructor({ threads, limit, waiting }: BackgroundOptions) {
    this.#threads = new ThreadPool({
      ...{ threads, limit, places: waiting, hasThreadShares: true },
      createThread: (events) => new BackgroundThread(events),
    });
  }

  request<T>(owner: TaskOwner, request: BackgroundRequest): Promise<T | undefined> {
    return new Promise<unknown>((resolve, reject) => {
      this.#threads.add({ owner, request, done: resolve, failed: reject });
    }) as Promise<T | undefined>;
  }

  close(): void {
    this.#threads.close();
  }
}

const checks = new BackgroundPool({
  limit: "checks",
  threads: backgroundThreadCount(availableParallelism()),
  waiting: WAITING_MAX,
});

/** One module's requests to threads. */
export class BackgroundWorker<Request> {
  readonly #url: string;
  readonly #pool: BackgroundPool;

  /**
   * @param url of a module that exports handleRequest().
   * @param pool the default is that of the checks of programs, object files and schemas.
   */
  constructor(url: string, pool = checks) {
    this.#url = url;
    this.#pool = pool;
  }

  /** Resolves to undefined when the work takes too long. @throws LimitReached, Unavailable */
  request<T>(owner: TaskOwner, message: Request): Promise<T | undefined> {
    return this.#pool.request(owner, { url: this.#url, message });
  }
}
