import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Kernel } from "../domain/bpf.ts";
import type { HeldSession } from "../domain/session_renewals.ts";
import type { Caller } from "../domain/token.ts";
import { bearer } from "./handler.ts";
import { SlowReaders } from "./slow_readers.ts";

/**
 * Looks after requests that take long, from their headers to the end of their answer: renews their sessions,
 * and cuts clients that do not read. A request that takes less than a turn costs one entry in a map.
 */

/** Every request is seen before it is twice as old, well within the slack that deadlines have. */
const TURN_MS = 100;
/** Turns from one look for slow readers to the next. */
const READERS_TURNS = 10;

/** A ticket counts once the request is authenticated. */
function callerOf(kernel: Kernel, req: IncomingMessage & { caller?: Caller }): Caller | undefined {
  if (req.caller) return req.caller;
  try {
    return bearer(kernel, req.headers.authorization);
  } catch {
    return undefined;
  }
}

export class RequestsUnderWay {
  readonly #kernel: Kernel;
  /** Requests that are not looked after yet, oldest first, with the turn in which each began. */
  readonly #young = new Map<ServerResponse, number>();
  /** All others, oldest first, with their sessions. */
  readonly #held = new Map<ServerResponse, HeldSession | undefined>();
  readonly #readers = new SlowReaders();
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** Looks after every request that the listener gets. */
  watch(listener: RequestListener): RequestListener {
    const end = (res: ServerResponse) => this.#end(res);
    function onClose(this: ServerResponse): void {
      end(this);
    }
    return (req, res) => {
      this.#young.set(res, this.#turn);
      this.#timer ??= setInterval(() => this.#takeTurn(), TURN_MS).unref();
      res.on("close", onClose);
      listener(req, res);
    };
  }

  #takeTurn(): void {
    for (const [res, turn] of this.#young) {
      if (turn === this.#turn) break;
      this.#young.delete(res);
      this.#hold(res);
    }
    this.#turn += 1;
    if (this.#turn % READERS_TURNS === 0) this.#readers.check(this.#held.keys());
    const isIdle = !this.#kernel.renewals.renewDue() && this.#young.size + this.#held.size === 0;
    if (!isIdle) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #hold(res: ServerResponse): void {
    const { req } = res;
    if (req.socket.destroyed) return;
    const caller = callerOf(this.#kernel, req);
    this.#held.set(res, caller && this.#kernel.renewals.hold(caller));
    // A response that still waits for those before it is not told that the connection closes.
    if (res.socket === null) req.socket.once("close", () => this.#end(res));
  }

  #end(res: ServerResponse): void {
    if (this.#young.delete(res)) return;
    const session = this.#held.get(res);
    if (!this.#held.delete(res)) return;
    this.#readers.release(res);
    if (session) this.#kernel.renewals.release(session);
  }
}
