import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { HttpError } from "../errors/error_to_problem.ts";

/**
 * Receives bodies, no further than their limit, and closes the connections on which a body stays unread.
 * A client that expects 100 Continue gets it when the body is wanted, and else the answer alone.
 */

/** Of an unread body that is longer, only so much is discarded, for at most so long. */
const DISCARDED_BYTES = 1024 * 1024;
const DISCARD_MS = 1000;
/** Shorter ones are read to their end by Node, which keeps the connection. */
const SHORT_BYTES = 64 * 1024;

const expectingContinue = new WeakSet<IncomingMessage>();

function lengthOf({ headers }: IncomingMessage): number | undefined {
  const length = headers["content-length"];
  return length === undefined ? undefined : Number(length);
}

const isChunked = ({ headers }: IncomingMessage) => headers["transfer-encoding"] !== undefined;

export function hasBody(req: IncomingMessage): boolean {
  return isChunked(req) || (lengthOf(req) ?? 0) > 0;
}

/** Asks for the body of a client that waits to be asked. */
export function startBody(req: IncomingMessage, res: ServerResponse): void {
  if (expectingContinue.delete(req)) res.writeContinue();
}

const tooLarge = (limit: number) =>
  new HttpError(413, "too-large", `the body must have at most ${limit} bytes`);

/** A longer body is put into memory that threads share, so that it is copied once, as it arrives. */
const SHARED_BYTES = 256 * 1024;

/** Puts the chunks of a body together; one without a Content-Length at its end. */
class BodyBuffer {
  readonly #whole: Buffer | undefined;
  readonly #chunks: Buffer[] = [];
  size = 0;

  constructor(length: number | undefined) {
    if ((length ?? 0) > SHARED_BYTES) this.#whole = Buffer.from(new SharedArrayBuffer(length ?? 0));
  }

  add(chunk: Buffer): void {
    if (this.#whole) chunk.copy(this.#whole, this.size);
    else this.#chunks.push(chunk);
    this.size += chunk.length;
  }

  take(): Buffer {
    if (this.#whole) return this.#whole;
    return this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
  }
}

/** Calls back with the whole body; never for a client that disconnects before its end. */
export function receiveBody(
  req: IncomingMessage,
  res: ServerResponse,
  limit: number,
  done: (error: HttpError | undefined, octets: Buffer) => void,
): void {
  if ((lengthOf(req) ?? 0) > limit) {
    done(tooLarge(limit), Buffer.alloc(0));
    return;
  }
  startBody(req, res);
  const buffer = new BodyBuffer(lengthOf(req));
  const onData = (chunk: Buffer): void => {
    if (buffer.size + chunk.length <= limit) {
      buffer.add(chunk);
      return;
    }
    req.off("data", onData).off("end", onEnd).pause();
    done(tooLarge(limit), Buffer.alloc(0));
  };
  const onEnd = (): void => done(undefined, buffer.take());
  req.on("data", onData).on("end", onEnd);
}

/**
 * Ends the server's side, and discards what still arrives for a while: a connection that is closed with
 * unread data loses the response.
 */
function linger(socket: Socket): void {
  let left = DISCARDED_BYTES;
  const timer = setTimeout(() => socket.destroy(), DISCARD_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroy();
  });
  socket.end();
  socket.resume();
}

/** Node calls destroySoon() after the response with which it closes the connection. */
function closeUnlessRead(req: IncomingMessage, res: ServerResponse): void {
  const { shouldKeepAlive } = res;
  const { socket } = req;
  res.shouldKeepAlive = false;
  req.once("end", () => {
    res.shouldKeepAlive = shouldKeepAlive;
  });
  res.once("prefinish", () => {
    if (!req.complete) socket.destroySoon = () => linger(socket);
  });
}

/** Wraps the listener of all requests. */
export function withUnreadBodies(listener: RequestListener): RequestListener {
  return (req, res) => {
    const isLong = isChunked(req) || (lengthOf(req) ?? 0) > SHORT_BYTES;
    if (isLong || expectingContinue.has(req)) closeUnlessRead(req, res);
    listener(req, res);
  };
}

/** The listener of requests that expect 100 Continue. */
export function withContinue(listener: RequestListener): RequestListener {
  return (req, res) => {
    expectingContinue.add(req);
    listener(req, res);
  };
}
