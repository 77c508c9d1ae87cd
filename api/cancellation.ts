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

/** The call of a request that may wait for a thread. The signal is made only when the request waits. */
export function cancellableCall({ call, res }: HandlerRequest): Call {
  let signal: AbortSignal | undefined;
  const getSignal = (): AbortSignal => {
    signal ??= signalOf(res);
    return signal;
  };
  return { ...call, getSignal };
}
