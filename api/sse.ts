import type { ServerResponse } from "node:http";
import type { RequestHandler } from "express";
import type { Subscription } from "../domain/redis/notifier.ts";
import { type OnFault, toProblem } from "./errors/errors.ts";

/** Server-sent events: written no faster than the client takes them, for as long as it is there. */

/** A client that takes nothing for so long is cut; the beat keeps one alive that has nothing to take. */
const STALL_MS = 30_000;
const BEAT_MS = 15_000;

/** @param look is called now and then while the client is slow, to renew its session. */
export type EventPoll = () => Promise<unknown>;

export interface Events {
  waiter: Subscription;
  /** Sends until the waiter is closed, or throws what the last event is to tell. */
  run(out: EventStream): Promise<void>;
}

export class EventStream {
  readonly #res: ServerResponse;
  readonly #waiter: Subscription;
  #sent = Date.now();

  constructor(res: ServerResponse, waiter: Subscription) {
    this.#res = res;
    this.#waiter = waiter;
  }

  /** Resolves once the socket has taken the text, or the waiter is closed. */
  async send(text: string, look: EventPoll): Promise<void> {
    const waiter = this.#waiter;
    if (waiter.closed) return;
    let taken = false;
    this.#sent = Date.now();
    this.#res.write(text, () => {
      taken = true;
      waiter.wake();
    });
    for (let looked = this.#sent; !taken && !waiter.closed; ) {
      await waiter.sleep();
      if (taken || waiter.closed || Date.now() - looked < waiter.period) continue;
      looked = Date.now();
      await look();
    }
  }

  /** A comment when nothing was sent for a while; answers whether it was time. */
  async beat(look: EventPoll): Promise<boolean> {
    if (Date.now() - this.#sent < BEAT_MS) return false;
    await this.send(":\n\n", look);
    return true;
  }
}

/** Who has gone waits no more. */
export function closeWith(res: ServerResponse, waiter: Subscription): void {
  if (res.destroyed) waiter.close();
  else res.once("close", () => waiter.close());
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
  const request_id = String(res.getHeader("x-request-id"));
  if (problem.status === 500) onFault(error, request_id);
  return event({ event: "error", data: JSON.stringify({ ...problem, request_id }) });
}

export async function sendEvents(
  { waiter, run }: Events,
  res: ServerResponse,
  onFault: OnFault,
): Promise<void> {
  closeWith(res, waiter);
  if (res.destroyed) return;
  begin(res);
  try {
    await run(new EventStream(res, waiter));
  } catch (error) {
    if (!waiter.closed) res.write(problemEvent(error as Error, res, onFault));
  }
  // What a slow client has not taken when the service stops it will ask for again.
  if (waiter.closed && res.writableLength > 0) res.destroy();
  else res.end();
  waiter.close();
}

/** The events' answer to HEAD would never end. */
export const noEventsToHead: RequestHandler = (req, _res, next) => {
  if (req.method === "HEAD") delete req.headers.accept;
  next();
};
