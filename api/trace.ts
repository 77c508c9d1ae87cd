import type { IncomingMessage, ServerResponse } from "node:http";

/** The ids by which a person finds a request in logs: the service's own, and that of a distributed trace. */

export interface RequestIds {
  request_id: string;
  trace_id?: string;
}

/** W3C Trace Context, section 3.2: a later version may have more parts. */
const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/** Undefined without a well-formed traceparent; the standard says to ignore another one. */
export function traceId({ headers }: Pick<IncomingMessage, "headers">): string | undefined {
  const { traceparent } = headers;
  if (typeof traceparent !== "string") return undefined;
  const [, version, id, more] = TRACEPARENT.exec(traceparent) ?? [];
  return version === "00" && more !== undefined ? undefined : id;
}

export function requestIds(
  req: Pick<IncomingMessage, "headers">,
  res: Pick<ServerResponse, "getHeader">,
): RequestIds {
  const trace_id = traceId(req);
  const request_id = String(res.getHeader("x-request-id"));
  return { request_id, ...(trace_id === undefined ? {} : { trace_id }) };
}
