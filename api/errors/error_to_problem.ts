import type { IncomingMessage, ServerResponse } from "node:http";
import type { ErrorRequestHandler } from "express";
import {
  AnswerNotKept,
  BadToken,
  ERRNO,
  Errno,
  KeyReused,
  OutcomeUnknown,
  SessionEnded,
  Unavailable,
} from "../../domain/errno.ts";
import { sendText } from "../compression.ts";
import { stringify } from "../json_text.ts";
import { escapeLines, escapeText } from "../text.ts";
import { type RequestIds, requestIds } from "../trace.ts";
import { limitHeaders } from "./limit_headers.ts";
import { fieldPointer, type LocatedRequest } from "./pointers.ts";
import {
  errnoProblem,
  type Problem,
  type ProblemName,
  type ProblemSource,
  problem,
} from "./problem.ts";

/** Turns every failure into a problem: those of the domain, of the libraries, and of HTTP itself. */

/** A failure with a status of HTTP and without an errno. */
export class HttpError extends Error {
  readonly status: number;
  readonly problem: ProblemName;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    problem: ProblemName,
    detail: string,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail);
    this.status = status;
    this.problem = problem;
    this.headers = headers;
  }
}

/** A request that does not match the document, found by a check of the service's own. */
export class InvalidRequest extends Error {
  readonly pointer: string;

  constructor(pointer: string, detail: string) {
    super(detail);
    this.pointer = pointer;
  }
}

/** What express-openapi-validator and body-parser throw. */
interface LibraryError {
  status?: number;
  message: string;
  path?: string;
  type?: string;
  errors?: { path: string; message: string }[];
  headers?: Record<string, string>;
  /** Bytes that the body may have, for type entity.too.large. */
  limit?: number;
}

/** At most so much of the caller's text is quoted in a detail. */
const MAX_QUOTED = 100;

/** Adds the fields; the detail begins with the name of the first. */
function withFields(
  problem: Problem,
  [first, ...more]: [ProblemSource, ...ProblemSource[]],
): Problem {
  const name = first.pointer.replace(/^\/((body|query|params|headers)\/)?/, "");
  const field = name.slice(0, MAX_QUOTED);
  return { ...problem, detail: `${field}: ${first.detail}`, errors: [first, ...more] };
}

function errnoToProblem(error: Errno, request: LocatedRequest): Problem {
  const { code, message: detail, log, field, extensions } = error;
  const problem = errnoProblem(code, detail);
  if (log !== undefined) problem.log = log;
  if (field === undefined) return { ...problem, ...extensions };
  return {
    ...withFields(problem, [{ pointer: fieldPointer(field, request), detail }]),
    ...extensions,
  };
}

function domainProblem(error: Error, request: LocatedRequest): Problem | undefined {
  if (error instanceof Errno) return errnoToProblem(error, request);
  if (error instanceof InvalidRequest) {
    const { pointer, message: detail } = error;
    return withFields(errnoProblem("EINVAL", detail), [{ pointer, detail }]);
  }
  if (error instanceof BadToken) return problem(401, "unauthorized", error.message);
  if (error instanceof AnswerNotKept) return problem(422, "answer-not-kept", error.message);
  if (error instanceof KeyReused) return problem(422, "idempotency-key-reused", error.message);
  if (error instanceof Unavailable) return problem(503, "unavailable", error.message);
  if (error instanceof HttpError) return problem(error.status, error.problem, error.message);
  if (error instanceof OutcomeUnknown) {
    if (request.method === "GET") return problem(503, "unavailable", error.message);
    const hint = "to learn the outcome, repeat the request with the same Idempotency-Key";
    return problem(503, "outcome-unknown", `${error.message}; ${hint}`);
  }
  if (error instanceof SessionEnded) {
    const ended = problem(410, "session-ended", error.message);
    const reason = error.reason ? { reason: error.reason } : {};
    return { ...ended, errno: "ESRCH", errno_code: ERRNO.ESRCH, ...reason };
  }
  return undefined;
}

const BY_STATUS: Record<number, ProblemName> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  405: "method-not-allowed",
  413: "too-large",
  415: "unsupported-media-type",
};

const PLACE = /^\/(body|query|params|headers)(\/|$)/;

/** A body that is not JSON has no path, nor has a malformed URL; an empty name loses its path. */
function sourcesOf(error: LibraryError): ProblemSource[] {
  if (error.type === "entity.parse.failed") {
    return [{ pointer: "/body", detail: `is not valid JSON: ${error.message}` }];
  }
  if (error.type !== undefined) return [{ pointer: "/body", detail: error.message }];
  return (error.errors ?? []).map(({ path, message }) => {
    const pointer = PLACE.test(path) ? path : path === "" ? "/body" : "/params";
    return { pointer, detail: message };
  });
}

function detailOf({ status, message, path = "", headers, limit }: LibraryError): string {
  if (status === 404) return `no route ${path.slice(0, MAX_QUOTED)}; see /docs`;
  if (status === 413) return `the body must have at most ${limit} bytes`;
  if (status === 401) return "Authorization: Bearer <session token> is missing";
  if (status !== 405) return message;
  return `${message.split(" ")[0]} is not allowed; allowed: ${allowedMethods(headers)}`;
}

/** HEAD is allowed wherever GET is; the validator does not say so. */
function allowedMethods(headers: LibraryError["headers"]): string {
  return (headers?.Allow ?? "").replace(/\bGET\b/, "GET, HEAD");
}

/** A body or parameter that does not match the document is EINVAL with the pointer to the field. */
function libraryProblem(error: LibraryError): Problem {
  const status = error.status ?? 500;
  const name = BY_STATUS[status];
  if (name) return problem(status, name, detailOf(error));
  if (status < 400 || status >= 500)
    return problem(500, "fault", "internal error; the service's log has the request id");
  const mismatch = errnoProblem("EINVAL", error.message);
  const [first, ...more] = sourcesOf(error);
  return first ? withFields(mismatch, [first, ...more]) : mismatch;
}

/** Details quote what strangers sent, so they are escaped for the terminals that show them. */
function escapeDetails(problem: Problem): Problem {
  const { detail, errors, log } = problem;
  const sources = errors?.map((one) => ({ ...one, detail: escapeText(one.detail) }));
  return {
    ...problem,
    detail: escapeText(detail),
    ...(log !== undefined && { log: escapeLines(log) }),
    ...(sources && { errors: sources }),
  };
}

export function toProblem(error: Error, request: LocatedRequest): Problem {
  return escapeDetails(domainProblem(error, request) ?? libraryProblem(error as LibraryError));
}

function headersOf(
  problem: Problem,
  error: Error | LibraryError,
): Readonly<Record<string, string>> {
  if (error instanceof HttpError && problem.status !== 401) return error.headers;
  if (problem.status === 401) return { "www-authenticate": 'Bearer error="invalid_token"' };
  if (problem.status === 503) {
    return { "retry-after": String(error instanceof Unavailable ? error.retryAfter : 1) };
  }
  if (problem.status !== 405) return {};
  return { allow: allowedMethods((error as LibraryError).headers) };
}

export type OnFault = (error: Error, ids: RequestIds) => void;

/** The path as it was sent, with characters encoded that a URI cannot contain. */
function instanceOf(url: string): string {
  return url
    .replace(/\?.*/s, "")
    .replace(/%(?![0-9A-Fa-f]{2})|[^!-~]|["<>\\^`{|}#]/g, encodeURIComponent);
}

/** Answers a request with the problem of an error, where sendProblem() knows who hears of faults. */
export type SendError = (error: Error, req: IncomingMessage, res: ServerResponse) => void;

export function sendProblem(
  error: Error,
  req: IncomingMessage & LocatedRequest,
  res: ServerResponse,
  onFault: OnFault,
): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const problem = toProblem(error, req);
  const ids = requestIds(req, res);
  if (problem.status === 500) onFault(error, ids);
  const instance = instanceOf(req.url ?? "");
  const text = stringify({ ...problem, instance, ...ids });
  const headers = { ...headersOf(problem, error), ...limitHeaders(error) };
  const head = ["content-type", "application/problem+json", ...Object.entries(headers).flat()];
  sendText(res, problem.status, head, text);
}

/** @param onError for tests. */
export function problemHandler(
  onFault: OnFault,
  onError?: (req: IncomingMessage, error: Error) => void,
): ErrorRequestHandler {
  return (error: Error, req, res, _next) => {
    onError?.(req, error);
    sendProblem(error, req, res, onFault);
  };
}
