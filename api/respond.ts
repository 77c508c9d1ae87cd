import type { IncomingMessage, ServerResponse } from "node:http";
import type { HandlerResponse } from "./handler.ts";
import { JSON_TYPE, OCTETS } from "./media_types.ts";

/** Writes the responses of both paths; problems and events are written elsewhere. */

let requests = 0;
const BOOT = Date.now().toString(36);
const REQUEST_ID = /^[\w.-]{1,64}$/;

export function nextId(): string {
  requests += 1;
  return `${BOOT}-${requests}`;
}

/** The client's X-Request-Id if it is well-formed, else a new id. */
export function requestId({ headers }: IncomingMessage): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : nextId();
}

export function setCommonHeaders(res: ServerResponse, id: string): void {
  res.setHeader("x-request-id", id);
  res.setHeader("cache-control", "no-store");
  res.setHeader("x-content-type-options", "nosniff");
}

const JSON_UTF8 = `${JSON_TYPE}; charset=utf-8`;

/** Writes all headers at once, because Node copies them one by one if some were set before. */
export function respond(res: ServerResponse, id: string, response: HandlerResponse): void {
  const { status, body, bytes, type = OCTETS, headers } = response;
  const head = ["x-request-id", id, "cache-control", "no-store"];
  head.push("x-content-type-options", "nosniff");
  for (const name in headers) head.push(name, headers[name] as string);
  const content = body === undefined ? bytes : JSON.stringify(body);
  if (content === undefined) {
    res.writeHead(status, head).end();
    return;
  }
  head.push("content-type", body === undefined ? type : JSON_UTF8);
  head.push("content-length", String(Buffer.byteLength(content)));
  res.writeHead(status, head).end(content);
}
