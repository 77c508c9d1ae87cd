import type { ServerResponse } from "node:http";
import type { Subscription } from "../domain/redis/notifier.ts";
import { type OnFault, toProblem } from "./errors/error_to_problem.ts";
import { requestIds } from "./trace.ts";

/** Server-sent events, written no faster than the client reads them, until it disconnects. */

/** A client that reads nothing for so long is disconnected; a comment keeps an idle connection alive. */
const STALL_MS = 30_000;
const KEEP_ALIVE_MS = 15_000;
/** The period of one timer for the comments of all streams. */
const COMMENTS_MS = 1000;

export interface Events {
  subscription: Subscription;
  /** Sends until the subscription is closed; what it throws becomes the last event. */
  run(out: EventStream): Promise<void>;
}

/** A piece of the text of events; bytes where a thread has written them. */
export type EventText = string | Buffer;

export class EventStream {
  /** The streams whose clients have taken everything, the one that has been silent for longest first. */
  static readonly #idle = new Set<EventStream>();
  static #timer: NodeJS.Timeout | undefined;
  readonly #res: ServerResponse;
  readonly #subscription: Subscription;
  #sentAt = Date.now();

  constructor(res: ServerResponse, subscription: Subscription) {
    this.#res = res;
    this.#subscription = subscription;
    this.#becomeIdle();
    res.once("close", () => EventStream.#idle.delete(this));
  }

  /** Resolves when the socket has taken the texts or the subscription is closed. */
  async send(texts: readonly EventText[]): Promise<void> {
    const subscription = this.#subscription;
    if (subscription.closed) return;
    EventStream.#idle.delete(this);
    let isTaken = false;
    const onTaken = (): void => {
      isTaken = true;
      subscription.wake();
    };
    for (const [i, text] of texts.entries()) {
      this.#res.write(text, i === texts.length - 1 ? onTaken : undefined);
    }
    while (!isTaken && !subscription.closed) await subscription.sleep();
    if (!this.#res.destroyed) this.#becomeIdle();
  }

  #becomeIdle(): void {
    this.#sentAt = Date.now();
    EventStream.#idle.add(this);
    EventStream.#timer ??= setInterval(EventStream.#sendComments, COMMENTS_MS).unref();
  }

  static readonly #sendComments = (): void => {
    const before = Date.now() - KEEP_ALIVE_MS;
    for (const stream of EventStream.#idle) {
      if (stream.#sentAt > before) break;
      EventStream.#idle.delete(stream);
      // A client that has not taken the last comment gets no other, so that its stall is noticed.
      if (stream.#res.writableLength === 0) stream.#res.write(":\n\n");
      stream.#becomeIdle();
    }
    if (EventStream.#idle.size > 0) return;
    clearInterval(EventStream.#timer);
    EventStream.#timer = undefined;
  };
}

/** Closes the subscription when the client disconnects. */
export function closeWith(res: ServerResponse, subscription: Subscription): void {
  if (res.destroyed) subscription.close();
  else res.once("close", () => subscription.close());
}

export function event(fields: Record<string, string | number>): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  return `${lines.join("")}\n`;
}

function begin(res: ServerResponse): void {
  res.writeHead(200, {
    "content-type": "text/event-stream",
    "x-accel-buffering": "no",
    connection: "close",
  });
  res.flushHeaders();
  res.socket?.setTimeout(STALL_MS);
}

function problemEvent(error: Error, res: ServerResponse, onFault: OnFault): string {
  const problem = toProblem(error, res.req);
  const ids = requestIds(res.req, res);
  if (problem.status === 500) onFault(error, ids);
  return event({ event: "error", data: JSON.stringify({ ...problem, ...ids }) });
}

export async function sendEvents(
  { subscription, run }: Events,
  res: ServerResponse,
  onFault: OnFault,
  isHead = false,
): Promise<void> {
  closeWith(res, subscription);
  if (res.destroyed) return;
  begin(res);
  if (isHead) {
    // The response to a HEAD has no events, so nothing else would end it.
    res.end();
    return;
  }
  let failure: Error | undefined;
  try {
    await run(new EventStream(res, subscription));
  } catch (error) {
    if (!subscription.closed) failure = error as Error;
  }
  failure ??= subscription.refusal;
  if (failure) res.end(problemEvent(failure, res, onFault));
  // A slow client asks again for what it has not read when the service stops.
  else if (subscription.closed && res.writableLength > 0) res.destroy();
  else res.end();
  subscription.close();
}
