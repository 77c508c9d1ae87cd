import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { Errno, type ErrnoOptions } from "../errno.ts";

/** The thread's side of WorkerClient. */

export type ThreadReply =
  | { ready: true }
  | { value: unknown }
  | { errno: Errno["code"]; detail: string; options: ErrnoOptions }
  | { error: string };

function errnoReply({ code, message: detail, log, field }: Errno): ThreadReply {
  const options = { ...(log ? { log } : {}), ...(field ? { field } : {}) };
  return { errno: code, detail, options };
}

/** A message copies a shorter array in less time. */
const MIN_HANDED_OVER = 64 * 1024;

/** The memory of the long byte arrays in a value, each of which has it for itself. */
function memoryOf(value: unknown): ArrayBuffer[] {
  if (value instanceof Uint8Array) {
    const { buffer, length } = value;
    const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === length;
    return isOwn && length >= MIN_HANDED_OVER ? [buffer] : [];
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(memoryOf);
}

/** An answer whose long byte arrays are handed over instead of copied; the thread must not keep them. */
export class HandedOver<T extends object> {
  readonly answer: T;

  constructor(answer: T) {
    this.answer = answer;
  }

  get memory(): ArrayBuffer[] {
    return [...new Set(memoryOf(this.answer))];
  }
}

type Handle<Request> = (request: Request) => unknown;

async function replyTo<Request>(handle: Handle<Request>, request: Request): Promise<ThreadReply> {
  try {
    return { value: await handle(request) };
  } catch (error) {
    if (error instanceof Errno) return errnoReply(error);
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/**
 * Answers requests, in a thread that was started for the module at `url`. Elsewhere it does nothing, so
 * that the module can also be imported by those who send the requests.
 */
export function serveRequests<Request>(url: string, createHandler: () => Handle<Request>): void {
  if (isMainThread || parentPort === null || workerData !== url) return;
  const port = parentPort;
  const handle = createHandler();
  port.on("message", async (request: Request) => {
    const reply = await replyTo(handle, request);
    const value = "value" in reply ? reply.value : undefined;
    if (value instanceof HandedOver) port.postMessage({ value: value.answer }, value.memory);
    else port.postMessage(reply);
  });
  port.postMessage({ ready: true } satisfies ThreadReply);
}
