import type { Request, RequestHandler } from "express";
import { checkSurrogates, isTooDeep, tooDeep } from "../codec/json.ts";
import { HttpError, InvalidRequest } from "../errors/error_to_problem.ts";
import { INTEGER_PARAMETERS, type Parameter, resolve, routes } from "../openapi/openapi.ts";
import { MAX_QUOTED, quoteText } from "../text.ts";
import { hasOctets, type RawRequest } from "./body.ts";

/** Checks and normalizes a request before the validator sees it. */

interface MatchedRequest extends Request {
  openapi?: {
    openApiRoute: string;
    pathParams?: Record<string, string>;
  };
}

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

/** Rejects deep bodies before anything recursive touches them. */
export const depth: RequestHandler = (req: Request & RawRequest, _res, next) => {
  if (!req.isChecked && isTooDeep(req.body)) throw tooDeep();
  next();
};

/** Rejects lone surrogates; the depth has been checked. */
export const surrogates: RequestHandler = (req: Request & RawRequest, _res, next) => {
  const { octets, isChecked } = req;
  if (octets !== undefined && !isChecked && !hasOctets(req)) checkSurrogates(octets, req.body);
  next();
};
