import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Kernel } from "../domain/bpf.ts";
import { Unavailable } from "../domain/errno.ts";
import type { SendError } from "./errors/error_to_problem.ts";
import { bearer } from "./handler.ts";

/**
 * Refuses requests at their headers while their calls of Redis would be refused, because to read and check
 * bodies in vain costs the time that the others need. A client that is refused and comes back before its
 * Retry-After waits here, unread, until there is room or the time is over: the refusals of clients that
 * send at once again would else take most of the processor.
 */

/** Requests of sessions, but not those that keep them alive or end them. */
const REFUSED = /^\/v1\/(?!sessions?(?:[/?]|$))/;
/** Waiting requests are looked at so often, and so many calls of Redis are kept under way by them. */
const TURN_MS = 10;
const UNDER_WAY = 64;
/** One second more for so many that wait, up to the longest. */
const WAITING_A_SECOND = 400;
const LONGEST_S = 5;

interface WaitingRequest {
  req: IncomingMessage;
  res: ServerResponse;
  /** By performance.now(). */
  until: number;
}

class WaitingRoom {
  readonly #kernel: Kernel;
  readonly #listener: RequestListener;
  readonly #sendError: SendError;
  /** When each connection that was refused may come back. */
  readonly #refused = new WeakMap<Socket, number>();
  readonly #waiting = new Set<WaitingRequest>();
  #timer: NodeJS.Timeout | undefined;

  constructor(kernel: Kernel, listener: RequestListener, sendError: SendError) {
    this.#kernel = kernel;
    this.#listener = listener;
    this.#sendError = sendError;
  }

  receive(req: IncomingMessage, res: ServerResponse): void {
    const refusal = this.#refusalOf(req);
    const until = refusal && this.#refused.get(req.socket);
    if (refusal === undefined) this.#listener(req, res);
    else if (until !== undefined && until > performance.now()) this.#wait({ req, res, until });
    else this.#refuse(refusal, req, res);
  }

  #refusalOf(req: IncomingMessage): Unavailable | undefined {
    const { script, tokens } = this.#kernel;
    if (!script.gates.isOverloaded || !REFUSED.test(req.url ?? "")) return undefined;
    try {
      const { namespace } = bearer({ tokens }, req.headers.authorization);
      const gate = script.gates.of(script.masters.slotOf(namespace));
      return gate.refuses(namespace) ? gate.refusal() : undefined;
    } catch {
      // It says what is wrong with the token.
      return undefined;
    }
  }

  #refuse({ message }: Unavailable, req: IncomingMessage, res: ServerResponse): void {
    const seconds = Math.min(LONGEST_S, 1 + Math.floor(this.#waiting.size / WAITING_A_SECOND));
    this.#refused.set(req.socket, performance.now() + seconds * 1000);
    this.#sendError(new Unavailable(message, seconds), req, res);
  }

  #wait(request: WaitingRequest): void {
    this.#waiting.add(request);
    request.res.once("close", () => this.#waiting.delete(request));
    this.#timer ??= setInterval(() => this.#takeTurn(), TURN_MS).unref();
  }

  #takeTurn(): void {
    let room = UNDER_WAY - this.#kernel.script.gates.underWay;
    const now = performance.now();
    for (const request of this.#waiting) {
      if (room <= 0 && request.until > now) continue;
      this.#waiting.delete(request);
      room -= 1;
      this.receive(request.req, request.res);
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

export function withOverloadCheck(
  kernel: Kernel,
  listener: RequestListener,
  sendError: SendError,
): RequestListener {
  const room = new WaitingRoom(kernel, listener, sendError);
  return (req, res) => room.receive(req, res);
}
