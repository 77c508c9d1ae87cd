import type { ServerResponse } from "node:http";
import type { Call } from "../domain/bpf.ts";
import type { HandlerRequest } from "./handler.ts";

/** Takes requests whose client has disconnected out of the queues that they wait in. */

function signalOf(res: ServerResponse): AbortSignal {
  const controller = new AbortController();
  if (res.destroyed) controller.abort();
  else res.once("close", () => controller.abort());
  return controller.signal;
}

/** Returns the signal of a response, which is made only when its request waits. */
export function signalFor(res: ServerResponse): () => AbortSignal {
  let signal: AbortSignal | undefined;
  return () => {
    signal ??= signalOf(res);
    return signal;
  };
}

/** The call of a request that may wait for a thread. */
export function cancellableCall({ call, res }: HandlerRequest): Call {
  return { ...call, getSignal: signalFor(res) };
}
