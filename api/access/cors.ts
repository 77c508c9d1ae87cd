import type { IncomingMessage, ServerResponse } from "node:http";
import { document, resolve, resolveResponse, routes } from "../openapi/openapi.ts";

/**
 * CORS for the origins of a list: their pages may send what the contract has and read what it answers.
 * Credentials of the browser are never allowed, because tokens are headers.
 */

/** The contract does not declare these headers, which every operation takes or answers with. */
const COMMON_REQUEST = [
  ...["Authorization", "Content-Type", "Content-Encoding", "If-None-Match"],
  ...["X-Request-Id", "traceparent", "tracestate"],
];
const COMMON_RESPONSE = ["Allow", "ETag", "Retry-After", "WWW-Authenticate", "X-Request-Id"];
/** Chromium remembers a preflight no longer. */
const MAX_AGE_S = 7200;

const listed = (names: Iterable<string>) => [...new Set(names)].sort().join(", ");

function methods(): string {
  return listed(["HEAD", ...routes.map(({ method }) => method.toUpperCase())]);
}

interface HeaderScheme {
  in?: string;
  name?: string;
}

function requestHeaders(): string {
  const parameters = routes.flatMap(({ operation }) => operation.parameters ?? []).map(resolve);
  const schemes = Object.values(document.components.securitySchemes) as HeaderScheme[];
  const named = [...parameters, ...schemes].filter((one) => one.in === "header");
  const names = named.map(({ name = "" }) => name);
  return listed([...COMMON_REQUEST, ...names]);
}

function responseHeaders(): string {
  const responses = routes.flatMap(({ operation }) => Object.values(operation.responses));
  const names = responses.map(resolveResponse).flatMap(({ headers = {} }) => Object.keys(headers));
  return listed([...COMMON_RESPONSE, ...names]);
}

export interface Cors {
  isListed(origin: string): boolean;
  /** Sets the headers of a response to any origin. @returns true if it has answered a preflight. */
  respond(req: IncomingMessage, res: ServerResponse): boolean;
}

/** Most services list none, and need not read the contract for its headers. */
const NO_ORIGINS: Cors = { isListed: () => false, respond: () => false };

export function createCors(origins: readonly string[]): Cors {
  if (origins.length === 0) return NO_ORIGINS;
  const allowed = new Set(origins);
  const exposed = responseHeaders();
  const preflight = {
    "access-control-allow-methods": methods(),
    "access-control-allow-headers": requestHeaders(),
    "access-control-max-age": String(MAX_AGE_S),
  };
  return {
    isListed: (origin) => allowed.has(origin),
    respond({ method, headers }, res) {
      const { origin } = headers;
      // Also for those that are not listed: a cache may keep the response for one that is.
      res.setHeader("vary", "Origin");
      if (origin === undefined || !allowed.has(origin)) return false;
      res.setHeader("access-control-allow-origin", origin);
      if (method === "OPTIONS" && headers["access-control-request-method"] !== undefined) {
        res.writeHead(204, preflight).end();
        return true;
      }
      res.setHeader("access-control-expose-headers", exposed);
      return false;
    },
  };
}
