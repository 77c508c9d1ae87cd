import { Unavailable } from "../errno.ts";
import type { Master } from "./connection.ts";
import type { RedisValue } from "./redis_value.ts";

/**
 * Sends the calls of one connection in batches: while Redis answers one, the next gathers.
 * Invariants: one batch is under way at a time; a call that is dropped is never sent.
 */

type SendCall = () => Promise<RedisValue[]>;

/** One call of a batch: waiting, sent or dropped. */
export class BatchedCall {
  readonly answered: Promise<RedisValue[]>;
  readonly #send: SendCall;
  #state: "waiting" | "sent" | "dropped" = "waiting";
  #resolve: (reply: RedisValue[]) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor(send: SendCall) {
    this.#send = send;
    this.answered = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get isWaiting(): boolean {
    return this.#state === "waiting";
  }

  /** Resolves when it is answered, well or not. */
  async send(): Promise<void> {
    this.#state = "sent";
    try {
      this.#resolve(await this.#send());
    } catch (error) {
      this.#reject(error as Error);
    }
  }

  /** Rejects the call if it is not sent yet. Returns whether it was. */
  drop(reason: string): boolean {
    if (this.#state === "waiting") {
      this.#state = "dropped";
      this.#reject(new Unavailable(reason));
    }
    return this.#state === "dropped";
  }
}

export class CallBatches {
  readonly #master: Master;
  #next: BatchedCall[] = [];
  /** Calls of the batch under way. */
  #unanswered = 0;
  #isScheduled = false;

  constructor(master: Master) {
    this.#master = master;
  }

  add(send: SendCall): BatchedCall {
    const call = new BatchedCall(send);
    this.#next.push(call);
    if (this.#unanswered === 0 && !this.#isScheduled) {
      this.#isScheduled = true;
      // Requests that were read in the same turn share a batch.
      setImmediate(() => {
        this.#isScheduled = false;
        this.#flush();
      });
    }
    return call;
  }

  #flush(): void {
    const batch = this.#next.filter(({ isWaiting }) => isWaiting);
    this.#next = [];
    const { status, stream } = this.#master;
    if (status !== "ready" || !stream.writable) {
      for (const call of batch) call.drop("no connection to Redis");
      return;
    }
    this.#unanswered = batch.length;
    const onAnswer = () => this.#answered();
    stream.cork();
    for (const call of batch) void call.send().then(onAnswer);
    stream.uncork();
  }

  #answered(): void {
    this.#unanswered -= 1;
    if (this.#unanswered === 0 && this.#next.length > 0) this.#flush();
  }
}
