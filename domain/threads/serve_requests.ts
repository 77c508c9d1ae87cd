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
  port.on("message", async (request: Request) => port.postMessage(await replyTo(handle, request)));
  port.postMessage({ ready: true } satisfies ThreadReply);
}
