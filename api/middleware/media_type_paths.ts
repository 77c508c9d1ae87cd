import type { IncomingMessage, RequestListener } from "node:http";
import { JSON_TYPE } from "../media_types.ts";

/**
 * Each operation has one media type. A request that chooses another one by its headers or by `format`, as
 * clients of the first version do, is led to the path of the operation that has it.
 */

interface Alternative {
  method: string;
  path: RegExp;
  /** What the request's path lacks. */
  suffix: string;
}

const ELEMENT = /^\/v1\/fds\/\d+\/elements\/[^/]+$/;
const BATCH = /^\/v1\/fds\/\d+\/batch$/;
const RECORDS = /^\/v1\/fds\/\d+\/records$/;
const INSTRUCTIONS = /^\/v1\/progs\/\d+\/instructions$/;

const SENT_OCTETS: readonly Alternative[] = [
  { method: "PUT", path: ELEMENT, suffix: "/bytes" },
  { method: "POST", path: BATCH, suffix: "/write-bytes" },
  { method: "POST", path: RECORDS, suffix: "/bytes" },
  { method: "POST", path: /^\/v1\/elf$/, suffix: "/bytes" },
];
const ACCEPTED_OCTETS: readonly Alternative[] = [
  { method: "GET", path: ELEMENT, suffix: "/bytes" },
  { method: "POST", path: BATCH, suffix: "/read-bytes" },
];
const ACCEPTED_EVENTS: readonly Alternative[] = [
  { method: "GET", path: RECORDS, suffix: "/events" },
];
const TEXT_FORMAT: readonly Alternative[] = [
  { method: "GET", path: INSTRUCTIONS, suffix: "/text" },
];

const OCTETS_FIRST = /^\s*application\/octet-stream\s*(?:[;,]|$)/i;
const EVENTS_FIRST = /^\s*text\/event-stream\s*(?:[;,]|$)/i;
const NOT_JSON = /[?&]format=(?:text|raw)(?:&|$)/;

const USUAL: readonly unknown[] = [undefined, JSON_TYPE, "*/*"];

/** Most requests choose nothing; they are not looked at further. */
function isUsual({ headers, url = "" }: IncomingMessage): boolean {
  const { accept, "content-type": type } = headers;
  return USUAL.includes(accept) && USUAL.includes(type) && !url.includes("format=");
}

/** What a request sends decides before what it accepts. */
function alternativesFor({ headers, url = "" }: IncomingMessage): readonly Alternative[] {
  const { accept = "", "content-type": type = "" } = headers;
  return [
    ...(OCTETS_FIRST.test(type) ? SENT_OCTETS : []),
    ...(OCTETS_FIRST.test(accept) ? ACCEPTED_OCTETS : []),
    ...(EVENTS_FIRST.test(accept) ? ACCEPTED_EVENTS : []),
    ...(NOT_JSON.test(url) ? TEXT_FORMAT : []),
  ];
}

function leadToMediaType(req: IncomingMessage): void {
  if (isUsual(req)) return;
  const { url = "" } = req;
  const method = req.method === "HEAD" ? "GET" : req.method;
  const [path = "", ...query] = url.split("?");
  const found = alternativesFor(req).find((one) => one.method === method && one.path.test(path));
  if (found) req.url = [`${path}${found.suffix}`, ...query].join("?");
}

/** Wraps a listener, so that the fast and the general path see the same URL. */
export function withMediaTypePaths(listener: RequestListener): RequestListener {
  return (req, res) => {
    leadToMediaType(req);
    listener(req, res);
  };
}
