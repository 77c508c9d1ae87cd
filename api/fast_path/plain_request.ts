import type { IncomingMessage, ServerResponse } from "node:http";
import { type Kernel, UNRECORDED } from "../../domain/bpf.ts";
import type { Caller } from "../../domain/token.ts";
import type { ApiKeys } from "../api_keys.ts";
import { ANONYMOUS, bearer, type HandlerRequest, type ServiceContext } from "../handler.ts";
import { JSON_TYPE, OCTETS } from "../media_types.ts";
import { hasBody } from "../middleware/receive_body.ts";
import type { FoundRoute, PlainRoute, Router } from "./plain_routes.ts";

/**
 * Reads a request in the form that most have: a known path, canonical numbers, JSON or octets. A request
 * in any other form, valid or not, is not plain and takes the general path.
 */

export const BODY_MAX = 65_536;
/** No absolute form, no fragment, and nothing that a URL parser rewrites. */
const PATH = /^\/[\w.~:+,=@%/-]*$/;
const UNRESERVED = /^[\w.~%-]+$/;
const RESERVED_TOO = /^[\w.~%:/,=@-]+$/;
const INTEGER = /^(0|[1-9]\d{0,15})$/;

/** Headers that change the meaning of a request or how its body is read. */
const OTHER_HEADERS = [
  "idempotency-key",
  "if-match",
  "if-none-match",
  "content-encoding",
  "transfer-encoding",
  "expect",
];

function isPlain({ headers }: IncomingMessage, route: PlainRoute): boolean {
  const { accept } = headers;
  if (accept !== undefined && accept !== "*/*" && accept !== route.gives) return false;
  for (const name of OTHER_HEADERS) if (headers[name] !== undefined) return false;
  for (const name of route.headers) if (headers[name] !== undefined) return false;
  return true;
}

function isPlainBody(req: IncomingMessage, route: PlainRoute): boolean {
  if (!hasBody(req)) return !route.bodyRequired;
  const { "content-type": type, "content-length": length } = req.headers;
  if (Number(length) > BODY_MAX) return false;
  if (type === OCTETS) return route.takesOctets;
  return type === JSON_TYPE && route.takesJson;
}

function convert(text: string, type: string | undefined): unknown {
  if (type === "string") return text;
  if (type === "integer") return INTEGER.test(text) ? Number(text) : undefined;
  if (type !== "boolean") return undefined;
  return text === "true" ? true : text === "false" ? false : undefined;
}

function decode(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

type Values = Record<string, unknown>;

/** The parameters of a path with percent-encoding; the router would decode too much. */
function decodeParams({ segments, params }: PlainRoute, path: string): Values | undefined {
  const texts: Values = {};
  const parts = path.split("/");
  let at = 0;
  for (const [i, segment] of segments.entries()) {
    const part = parts[i] ?? "";
    if (segment === undefined) texts[params[at++]?.name ?? ""] = decode(part);
    else if (segment !== part) return undefined;
  }
  return texts;
}

function readParams({ route, params }: FoundRoute, path: string): Values | undefined {
  const texts: Values | undefined = path.includes("%") ? decodeParams(route, path) : params;
  if (texts === undefined) return undefined;
  const values: Values = {};
  for (const { name, type } of route.params) {
    const text = texts[name];
    const value = typeof text === "string" ? convert(text, type) : undefined;
    if (value === undefined) return undefined;
    values[name] = value;
  }
  return values;
}

/** Undefined for a query with an unknown, repeated, empty or malformed parameter. */
function readQuery({ query }: PlainRoute, search: string): Values | undefined {
  const values: Values = {};
  for (const pair of search.split("&")) {
    const end = pair.indexOf("=");
    const name = pair.slice(0, end);
    const parameter = query.get(name);
    const raw = pair.slice(end + 1);
    if (end < 0 || parameter === undefined || Object.hasOwn(values, name)) return undefined;
    if (!(parameter.allowReserved ? RESERVED_TOO : UNRESERVED).test(raw)) return undefined;
    const text = decode(raw);
    const value = text === undefined ? undefined : convert(text, parameter.type);
    if (value === undefined) return undefined;
    values[name] = value;
  }
  return values;
}

export interface PlainRequest {
  route: PlainRoute;
  /** Without its body. */
  request: HandlerRequest;
}

export class PlainRequests {
  readonly #kernel: Kernel;
  readonly #keys: ApiKeys | undefined;
  readonly #find: Router["find"];

  constructor({ kernel, keys }: ServiceContext, find: Router["find"]) {
    this.#kernel = kernel;
    this.#keys = keys;
    this.#find = find;
  }

  /** Undefined for a request that is not plain, or not valid. */
  read(req: IncomingMessage, res: ServerResponse): PlainRequest | undefined {
    const { url = "", method = "" } = req;
    const mark = url.indexOf("?");
    const path = mark < 0 ? url : url.slice(0, mark);
    const found = PATH.test(path) ? this.#find(method, path) : undefined;
    if (!found) return undefined;
    const { route } = found;
    if (!isPlain(req, route) || !isPlainBody(req, route)) return undefined;
    if (route.needsKey && !this.#hasKey(req)) return undefined;
    const caller = route.needsSession ? this.#caller(req) : ANONYMOUS;
    const params = readParams(found, path);
    const query = mark < 0 ? {} : readQuery(route, url.slice(mark + 1));
    if (!caller || !params || !query) return undefined;
    const { namespace, sid, hash } = caller;
    const call = { namespace, sid, hash, ...UNRECORDED };
    const { headers } = req;
    const request = { call, params, query, body: undefined, headers, res };
    return route.validators().parameters(request) ? { route, request } : undefined;
  }

  #hasKey({ headers }: IncomingMessage): boolean {
    try {
      this.#keys?.find(headers["x-api-key"] as string | undefined);
      return true;
    } catch {
      return false;
    }
  }

  #caller({ headers }: IncomingMessage): Caller | undefined {
    try {
      return bearer(this.#kernel, headers.authorization);
    } catch {
      return undefined;
    }
  }
}
