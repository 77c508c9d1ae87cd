import type { ErrorRequestHandler, NextFunction, Request, RequestHandler } from "express";
import { HttpError, InvalidRequest } from "../errors/error_to_problem.ts";
import { JSON_TYPE, OCTETS } from "../media_types.ts";
import {
  INTEGER_PARAMETERS,
  type Operation,
  type Parameter,
  resolve,
  routes,
} from "../openapi/openapi.ts";
import { MAX_QUOTED, quoteText } from "../text.ts";
import { hasOctets, type RawRequest } from "./body.ts";
import { contentCoding } from "./content_coding.ts";
import { checkSurrogates } from "./unicode.ts";

/** Checks and normalizes a request before the validator sees it. */

interface MatchedRequest extends Request {
  openapi?: {
    openApiRoute: string;
    pathParams?: Record<string, string>;
    schema: Pick<Operation, "requestBody">;
  };
}

const TYPES = [JSON_TYPE, OCTETS];
const MAX_DEPTH = 32;

function hasBody(req: Request): boolean {
  const length = req.headers["content-length"];
  return req.headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

const unsupported = (wrong: string) =>
  new HttpError(415, "unsupported-media-type", `${wrong}; send ${TYPES.join(" or ")}`);

/** The media type without its parameters. @throws 415 */
function mediaType(header: string): string {
  const [type = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?utf-8"?$/.test(charset);
  if (TYPES.includes(type) && isUtf8) return type;
  throw unsupported(`Content-Type ${quoteText(header)} is not supported`);
}

/** Without its type a body would be ignored where it is optional. */
const untyped = () => unsupported("Content-Type is missing");

/** A chunked body may have no octets; only its end or its first octet shows it. */
function checkChunks(req: Request, next: NextFunction): void {
  const accept = () => {
    req.off("data", refuse);
    next();
  };
  const refuse = () => {
    req.off("end", accept);
    next(untyped());
  };
  req.once("end", accept).once("data", refuse);
}

/**
 * The validator keeps a compiled copy for each Content-Type that a client sends and never drops it.
 * So only two pass, without parameters, and none passes without a body.
 */
export const contentType: RequestHandler = (req, _res, next) => {
  contentCoding(req);
  const type = req.headers["content-type"];
  if (!hasBody(req) || req.method === "GET" || req.method === "DELETE") {
    delete req.headers["content-type"];
  } else if (type !== undefined) {
    req.headers["content-type"] = mediaType(type);
  } else if (req.headers["transfer-encoding"] !== undefined) {
    checkChunks(req, next);
    return;
  } else {
    throw untyped();
  }
  next();
};

/** A request without the media type that its operation takes. */
function mediaTypeError({ headers, openapi }: MatchedRequest): Error {
  const { "content-type": type } = headers;
  if (type === undefined) return new InvalidRequest("/body", "is missing");
  const wrong = `Content-Type ${type} is not taken here`;
  const types = Object.keys(openapi?.schema.requestBody?.content ?? {}).join(" or ");
  return new HttpError(415, "unsupported-media-type", `${wrong}; send ${types}`);
}

/** Says what the validator leaves out when it rejects a media type. */
export const mediaTypeErrors: ErrorRequestHandler = (error, req: MatchedRequest, _res, next) => {
  const isUnknown = error.status === 415 && !(error instanceof HttpError);
  next(isUnknown ? mediaTypeError(req) : error);
};

/** The validator and Express would take a path for the one without its last slash. */
export const trailingSlash: RequestHandler = (req, _res, next) => {
  const { path } = req;
  if (path.length > 1 && path.endsWith("/")) {
    throw new HttpError(404, "not-found", `no route ${path.slice(0, MAX_QUOTED)}; see /docs`);
  }
  next();
};

/** Express answers HEAD with the handler of GET, the validator does not. Node sends no body to a HEAD. */
export const headAsGet: RequestHandler = (req, _res, next) => {
  if (req.method === "HEAD") Object.assign(req, { method: "GET", isHead: true });
  next();
};

/** Operations that take a header. */
function takersOf(header: string): ReadonlySet<string> {
  const takes = (parameter: Parameter) => resolve(parameter).name === header;
  return new Set(
    routes
      .filter(({ operation }) => operation.parameters?.some(takes))
      .map(({ method, path }) => `${method.toUpperCase()} ${path}`),
  );
}

const CONDITIONS = ["If-Match", "If-None-Match"].map((header) => ({
  name: header.toLowerCase(),
  takers: takersOf(header),
}));

/** Rejects a condition that the operation would ignore, because its sender relies on it. */
export const conditions: RequestHandler = (req: MatchedRequest, _res, next) => {
  const route = `${req.method} ${req.openapi?.openApiRoute}`;
  for (const { name, takers } of req.method === "GET" ? [] : CONDITIONS) {
    if (req.headers[name] === undefined || takers.has(route)) continue;
    throw new InvalidRequest(`/headers/${name}`, "is not supported by this operation");
  }
  next();
};

const CANONICAL = /^(0|[1-9]\d{0,15})$/;

/** Rejects 0x3, 1e0 and " 3", which the validator takes for numbers. */
export const numbers: RequestHandler = (req: MatchedRequest, _res, next) => {
  const at = req.url.indexOf("?");
  const given: [part: string, name: string, value: string][] = Object.entries(
    req.openapi?.pathParams ?? {},
  ).map(([name, value]) => ["params", name, String(value)]);
  if (at >= 0) {
    for (const [name, value] of new URLSearchParams(req.url.slice(at))) {
      given.push(["query", name, value]);
    }
  }
  for (const [part, name, value] of given) {
    if (!INTEGER_PARAMETERS.has(name) || CANONICAL.test(value)) continue;
    const detail = `must be a decimal integer of at most 16 digits, got ${quoteText(value)}`;
    throw new InvalidRequest(`/${part}/${name}`, detail);
  }
  next();
};

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

function isDeeper(value: unknown, levels: number): boolean {
  if (!isObject(value)) return false;
  if (levels === 0) return true;
  const parts = Array.isArray(value) ? value : Object.values(value);
  for (const part of parts) if (isDeeper(part, levels - 1)) return true;
  return false;
}

export function isTooDeep(body: unknown): boolean {
  return !Buffer.isBuffer(body) && isDeeper(body, MAX_DEPTH);
}

/** Rejects deep bodies before anything recursive touches them. */
export const depth: RequestHandler = (req, _res, next) => {
  if (isTooDeep(req.body)) {
    throw new InvalidRequest("/body", `must be nested at most ${MAX_DEPTH} levels deep`);
  }
  next();
};

/** Rejects lone surrogates; the depth has been checked. */
export const surrogates: RequestHandler = (req: Request & RawRequest, _res, next) => {
  if (req.octets !== undefined && !hasOctets(req)) checkSurrogates(req.octets, req.body);
  next();
};
