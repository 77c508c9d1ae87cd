import type { IncomingMessage, ServerResponse } from "node:http";
import type { Request, Response } from "express";
import { sendAsIs, sendText, varyWith } from "./compression.ts";
import type { HandlerResponse } from "./handler.ts";
import { stringify } from "./json_text.ts";
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

const TEXT_TYPE = /^text\/|json|yaml/;

/** The headers of a response, those of its own in place of the common ones. */
function headOf(res: ServerResponse, id: string, { headers = {} }: HandlerResponse): string[] {
  const head = ["x-request-id", id, "x-content-type-options", "nosniff"];
  if (headers["cache-control"] === undefined) head.push("cache-control", "no-store");
  for (const [name, value] of Object.entries(headers)) {
    head.push(name, name === "vary" ? varyWith(res, value) : value);
  }
  return head;
}

/** Writes all headers at once, because Node copies them one by one if some were set before. */
export function respond(res: ServerResponse, id: string, response: HandlerResponse): void {
  const { status, body, bytes, type = OCTETS, headers } = response;
  const head = headOf(res, id, response);
  const content = body === undefined ? bytes : stringify(body);
  if (content === undefined) {
    res.writeHead(status, head).end();
    return;
  }
  head.push("content-type", body === undefined ? type : JSON_UTF8);
  // An ETag names the bytes as they are; what is kept is compressed already.
  if (headers?.etag === undefined && (body !== undefined || TEXT_TYPE.test(type))) {
    sendText(res, status, head, content);
    return;
  }
  sendAsIs(res, status, head, content);
}

/** True if the client has this response (If-None-Match); Express reads the ETag from `res`. */
function isFresh(req: Request, res: Response, { status, headers }: HandlerResponse): boolean {
  if (req.headers["if-none-match"] === undefined || status !== 200) return false;
  // Without an ETag, Express takes a "*" for a match.
  if (headers?.etag === undefined) return false;
  res.set("etag", headers.etag);
  return req.fresh;
}

/** Responds on the general path, with 304 if the client has the response already. */
export function respondIfNew(req: Request, res: Response, response: HandlerResponse): void {
  const id = String(res.getHeader("x-request-id"));
  const { "content-encoding": _coding, ...headers } = response.headers ?? {};
  respond(res, id, isFresh(req, res, response) ? { status: 304, headers } : response);
}
