import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Requests by hand, which send and read as slowly as a scenario wants. */

export interface SlowRequest {
  base: string;
  token?: string;
  method: string;
  /** In the request line: a path, or an absolute target. */
  target: string;
  headers?: Record<string, string | number>;
}

const MIB = 2 ** 20;
const ANSWER_MS = 30_000;

/** The head of a request, complete. */
export function rawHead({ base, token, method, target, headers = {} }: SlowRequest): string {
  const all: Record<string, string | number> = { host: new URL(base).host, ...headers };
  if (token !== undefined) all.authorization = `Bearer ${token}`;
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

export function rawConnection(base: string): Socket {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname);
  // The service may cut it.
  socket.on("error", () => {});
  return socket;
}

/** Resolves to the status, or to 0 when the connection ends without one. */
export function rawStatus(socket: Socket, limit = ANSWER_MS): Promise<number> {
  return new Promise((resolve) => {
    let text = "";
    const done = (status: number) => {
      clearTimeout(timer);
      resolve(status);
    };
    const timer = setTimeout(() => done(0), limit);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
      if (status >= 200) done(status);
      if (status === 100) text = text.slice(text.indexOf("\r\n\r\n") + 4);
    });
    socket.once("close", () => done(0));
  });
}

/** Sends a body in pieces with a pause before each. Returns the status of the answer. */
export async function uploadSlowly(
  request: SlowRequest,
  body: Buffer,
  pieces: number,
  pause: number,
): Promise<number> {
  const headers = { ...request.headers, "content-length": body.length, connection: "close" };
  const socket = rawConnection(request.base);
  const status = rawStatus(socket);
  socket.write(rawHead({ ...request, headers }));
  const size = Math.ceil(body.length / pieces);
  for (let at = 0; at < body.length; at += size) {
    await delay(pause);
    socket.write(body.subarray(at, at + size));
  }
  const answered = await status;
  socket.destroy();
  return answered;
}

/** Reads an answer with so many pauses, one after each MiB, and then the rest. Returns the number of bytes. */
export async function downloadSlowly(
  request: SlowRequest,
  body: string,
  pauses: number,
  pause: number,
): Promise<number> {
  const headers = { ...request.headers, connection: "close", "content-length": body.length };
  const socket = rawConnection(request.base);
  socket.write(rawHead({ ...request, headers }) + body);
  let bytes = 0;
  let paused = 0;
  for await (const chunk of socket) {
    bytes += (chunk as Buffer).length;
    if (paused >= pauses || bytes < paused * MIB) continue;
    paused += 1;
    await delay(pause);
  }
  return bytes;
}
