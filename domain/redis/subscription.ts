/** One request that waits for records of a ring buffer, until it or the service ends the wait. */

/** Who waits, and for which ring buffer. */
export interface RingReader {
  namespace: string;
  /** Id of the session, and the hash of its token. */
  sid: string;
  hash: string;
  fd: number;
  mapId: number;
  /** On which Redis announces new records. */
  channel: string;
}

/** Where a reader of a ring buffer is: the position behind what it has read, and the drops that it knows. */
export interface RingPosition {
  position: number;
  dropped: number;
}

export class Subscription {
  readonly reader: RingReader;
  closed = false;
  /** Why the wait was ended: its place went to another namespace, or its session has ended. */
  refusal: Error | undefined;
  /** What the reader knows, which a look compares with what is there. */
  known: RingPosition = { position: 0, dropped: 0 };
  readonly #leave: (subscription: Subscription) => void;
  #woken = false;
  #resume: () => void = () => {};
  #onClose: () => void = () => {};

  constructor(reader: RingReader, leave: (subscription: Subscription) => void) {
    this.reader = reader;
    this.#leave = leave;
  }

  /** Resolves when woken since the last sleep, when closed, or after this time. */
  async sleep(ms?: number): Promise<void> {
    if (!this.#woken && !this.closed) {
      await new Promise<void>((resolve) => {
        const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#woken = false;
  }

  /** Resolves as the work does, or to undefined when closed before. */
  waitFor<T>(work: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      if (this.closed) resolve(undefined);
      this.#onClose = () => resolve(undefined);
      work.then(resolve, reject);
    });
  }

  wake(): void {
    this.#woken = true;
    this.#resume();
  }

  refuse(reason: Error): void {
    this.refusal = reason;
    this.close();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#leave(this);
    this.#onClose();
    this.#resume();
  }
}
