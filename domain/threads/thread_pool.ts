import { type LimitReached, Unavailable } from "../errno.ts";
import { FairQueue } from "../fair_queue.ts";

/**
 * Threads that take tasks from a fair queue. They start when there is work, and never keep the process
 * alive.
 */

/** For whom a thread works; a call of a client is one. */
export interface TaskOwner {
  namespace: string;
  /** Its signal aborts when nobody waits for the task any more. */
  getSignal?(): AbortSignal;
}

export interface PoolTask {
  owner: TaskOwner;
  /** The task was not carried out. */
  failed(error: Error): void;
}

export interface PoolThread<Task> {
  /** Reports by `onIdle` or `onEnd` that the task is over. */
  start(task: Task): Promise<void>;
  close(): void;
}

export interface ThreadEvents<Thread> {
  /** The thread can take a task. */
  onIdle(thread: Thread): void;
  onEnd(thread: Thread, error: Error): void;
}

export interface ThreadPoolOptions<Task, Thread> {
  threads: number;
  /** Name of the limit of waiting tasks, and how many may wait. */
  limit: string;
  places: number;
  /** An owner gets another thread only while it has fewer than are free. */
  hasThreadShares?: boolean;
  createThread(events: ThreadEvents<Thread>): Thread;
  /** Whether an idle thread is better for the task than others. */
  isPreferred?(thread: Thread, task: Task): boolean;
}

const STOPPING = "the service is stopping";
const DISCONNECTED = "the client has disconnected";

interface WaitingTask<Task> {
  task: Task;
  /** Stops listening to the owner's signal. */
  unlisten(): void;
}

export class ThreadPool<Task extends PoolTask, Thread extends PoolThread<Task>> {
  readonly #options: ThreadPoolOptions<Task, Thread>;
  readonly #threads = new Set<Thread>();
  readonly #idle: Thread[] = [];
  /** The namespaces that busy threads work for. */
  readonly #busy = new Map<Thread, string>();
  readonly #queue: FairQueue<WaitingTask<Task>>;
  #starting = 0;
  #isClosed = false;

  constructor(options: ThreadPoolOptions<Task, Thread>) {
    this.#options = options;
    const { limit, places } = options;
    const onRefused = (waiting: WaitingTask<Task>, reason: LimitReached) =>
      this.#fail(waiting, reason);
    this.#queue = new FairQueue({ limit, places, onRefused });
  }

  get isFull(): boolean {
    return this.#queue.isFull;
  }

  /** Starts the task in its turn, or fails it with LimitReached or Unavailable. */
  add(task: Task): void {
    const hasThread = this.#idle.length > 0 && this.#canTakeTurn(task.owner.namespace);
    if (this.#isClosed) task.failed(new Unavailable(STOPPING));
    else if (hasThread) this.#start(task);
    else this.#enqueue(task);
  }

  /** Starts a thread ahead, so that the first task does not wait. */
  warm(): void {
    if (!this.#isClosed && this.#threads.size === 0) this.#startThread();
  }

  /** Ends the threads and fails their tasks. */
  close(): void {
    this.#isClosed = true;
    for (const thread of this.#threads) thread.close();
    this.#failAll(new Unavailable(STOPPING));
  }

  #enqueue(task: Task): void {
    const signal = task.owner.getSignal?.();
    const waiting = { task, unlisten: () => {} };
    try {
      if (signal?.aborted) throw new Unavailable(DISCONNECTED);
      this.#queue.push(task.owner.namespace, waiting);
    } catch (error) {
      task.failed(error as Error);
      return;
    }
    if (signal) this.#listen(signal, waiting);
    if (this.#needsThread()) this.#startThread();
  }

  #listen(signal: AbortSignal, waiting: WaitingTask<Task>): void {
    const onAbort = (): void => {
      if (!this.#queue.remove(waiting.task.owner.namespace, waiting)) return;
      this.#fail(waiting, new Unavailable(DISCONNECTED));
    };
    signal.addEventListener("abort", onAbort);
    waiting.unlisten = () => signal.removeEventListener("abort", onAbort);
  }

  #fail({ task, unlisten }: WaitingTask<Task>, error: Error): void {
    unlisten();
    task.failed(error);
  }

  #failAll(error: Error): void {
    for (const waiting of this.#queue.drain()) this.#fail(waiting, error);
  }

  readonly #canTakeTurn = (namespace: string): boolean => {
    if (!this.#options.hasThreadShares) return true;
    let held = 0;
    for (const owner of this.#busy.values()) if (owner === namespace) held += 1;
    return held < this.#options.threads - this.#busy.size;
  };

  /** Invariant: afterwards no thread is idle that a waiting task could have. */
  #assign(): void {
    while (this.#idle.length > 0) {
      const waiting = this.#queue.shift(this.#canTakeTurn);
      if (waiting === undefined) break;
      waiting.unlisten();
      this.#start(waiting.task);
    }
    if (this.#needsThread()) this.#startThread();
  }

  #start(task: Task): void {
    const thread = this.#takeIdle(task);
    this.#busy.set(thread, task.owner.namespace);
    void thread.start(task);
  }

  #needsThread(): boolean {
    if (this.#isClosed || this.#threads.size >= this.#options.threads) return false;
    return this.#queue.length > this.#starting;
  }

  #takeIdle(task: Task): Thread {
    const { isPreferred = () => false } = this.#options;
    const found = this.#idle.findIndex((thread) => isPreferred(thread, task));
    return this.#idle.splice(found < 0 ? this.#idle.length - 1 : found, 1)[0] as Thread;
  }

  #startThread(): void {
    let hasStarted = false;
    this.#starting++;
    const onReady = (): void => {
      if (!hasStarted) this.#starting--;
      hasStarted = true;
    };
    const onIdle = (thread: Thread): void => {
      onReady();
      this.#busy.delete(thread);
      this.#idle.push(thread);
      this.#assign();
    };
    const onEnd = (thread: Thread, error: Error): void => {
      // Another one would not start either.
      if (!hasStarted) this.#failAll(error);
      onReady();
      this.#threads.delete(thread);
      this.#busy.delete(thread);
      const at = this.#idle.indexOf(thread);
      if (at >= 0) this.#idle.splice(at, 1);
      this.#assign();
    };
    this.#threads.add(this.#options.createThread({ onIdle, onEnd }));
  }
}
