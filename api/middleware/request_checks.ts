import type { Request, RequestHandler } from "express";
import { einval } from "../../domain/errno.ts";
import { HttpError } from "../errors/errors.ts";
import { INTEGER_PARAMETERS, routes } from "../openapi/openapi.ts";

/** What is refused or put in order before the validator sees a request. */

const TYPES = ["application/json", "application/octet-stream"];
const DEPTH = 32;

function hasBody(req: Request): boolean {
  const length = req.headers["content-length"];
  return req.headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

/**
 * The validator keeps a compiled copy per Content-Type that a client sends, for ever: only two get
 * through, without parameters, and none where there is no body.
 */
export const contentType: RequestHandler = (req, _res, next) => {
  if (req.headers["content-encoding"] !== undefined) {
    throw new HttpError(415, "unsupported-media-type", "Content-Encoding is not taken");
  }
  const given = req.headers["content-type"];
  if (!hasBody(req) || req.method === "GET" || req.method === "DELETE") {
    delete req.headers["content-type"];
  } else if (given !== undefined) {
    const [type = "", ...parameters] = given.split(";").map((part) => part.trim().toLowerCase());
    const charset = parameters.find((parameter) => parameter.startsWith("charset="));
    const utf8 = charset === undefined || /^charset="?utf-8"?$/.test(charset);
    if (!TYPES.includes(type) || !utf8) {
      throw new HttpError(
        415,
        "unsupported-media-type",
        `send Content-Type: ${TYPES.join(" or ")}`,
      );
    }
    req.headers["content-type"] = type;
  }
  next();
};

/** Express answers HEAD from GET; the validator would not. Node sends no body to a HEAD. */
export const head: RequestHandler = (req, _res, next) => {
  if (req.method === "HEAD") req.method = "GET";
  next();
};

interface Matched extends Request {
  openapi?: { openApiRoute: string; pathParams?: Record<string, string> };
}

/** Operations that take If-Match. */
const CONDITIONAL = new Set(
  routes
    .filter(({ operation }) => operation.parameters?.some(({ $ref }) => $ref?.endsWith("/IfMatch")))
    .map(({ method, path }) => `${method.toUpperCase()} ${path}`),
);

/** A condition that would not be kept is refused, for who sends one counts on it. */
export const conditions: RequestHandler = (req: Matched, _res, next) => {
  const { "if-match": match, "if-none-match": none } = req.headers;
  const route = `${req.method} ${req.openapi?.openApiRoute}`;
  if (req.method !== "GET" && none !== undefined) {
    const how = "to create only, send flags 1 (BPF_NOEXIST)";
    throw einval(`is not taken; ${how}`, "/headers/if-none-match");
  }
  if (req.method !== "GET" && match !== undefined && !CONDITIONAL.has(route)) {
    throw einval("is not taken here", "/headers/if-match");
  }
  next();
};

const CANONICAL = /^(0|[1-9]\d{0,15})$/;

/** The validator takes 0x3, 1e0 and " 3" for numbers; here a number has one form. */
export const numbers: RequestHandler = (req: Matched, _res, next) => {
  const at = req.url.indexOf("?");
  const given: [string, string, string][] = Object.entries(req.openapi?.pathParams ?? {}).map(
    ([name, value]) => ["params", name, String(value)],
  );
  if (at >= 0) {
    for (const [name, value] of new URLSearchParams(req.url.slice(at)))
      given.push(["query", name, value]);
  }
  for (const [place, name, value] of given) {
    if (INTEGER_PARAMETERS.has(name) && !CANONICAL.test(value)) {
      throw einval(
        `${JSON.stringify(value.slice(0, 40))} is not a plain number`,
        `/${place}/${name}`,
      );
    }
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
  return !Buffer.isBuffer(body) && isDeeper(body, DEPTH);
}

/** Deep bodies are refused before anything recursive touches them. */
export const depth: RequestHandler = (req, _res, next) => {
  if (isTooDeep(req.body)) throw einval(`is nested more than ${DEPTH} deep`, "/body");
  next();
};
