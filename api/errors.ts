import type { IncomingMessage, ServerResponse } from "node:http";
import type { ErrorRequestHandler } from "express";
import {
  BadToken,
  ERRNO,
  Errno,
  type ErrnoName,
  KeyReused,
  OutcomeUnknown,
  SessionEnded,
  Unavailable,
} from "../domain/errno.ts";
import { STRERROR } from "./strerror.ts";

/** Every failure as RFC 9457 problem+json; the one table of errno -> HTTP status. */

export const STATUS: Record<ErrnoName, number> = {
  EPERM: 403,
  EACCES: 403,
  ENOENT: 404,
  ESRCH: 404,
  EBADF: 404,
  EBADFD: 404,
  EEXIST: 409,
  EBUSY: 409,
  ENOTDIR: 409,
  EISDIR: 409,
  ENOTEMPTY: 409,
  ELOOP: 409,
  EAGAIN: 409,
  EMFILE: 409,
  E2BIG: 422,
  ENOTSUPP: 422,
  EOPNOTSUPP: 422,
  ENOMEM: 507,
  ENOSPC: 507,
  EINVAL: 400,
  EFAULT: 400,
  ENAMETOOLONG: 400,
  EPROTO: 400,
};

/** A failure that HTTP itself has a status for. */
export class HttpError extends Error {
  readonly status: number;
  readonly problem: string;

  constructor(status: number, problem: string, detail: string) {
    super(detail);
    this.status = status;
    this.problem = problem;
  }
}

interface Fault {
  pointer: string;
  detail: string;
}

interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  errno?: ErrnoName;
  errno_code?: number;
  reason?: string;
  log?: string;
  errors?: Fault[];
}

/** What express-openapi-validator and body-parser throw. */
interface LibraryError {
  status?: number;
  message: string;
  type?: string;
  errors?: { path: string; message: string }[];
  headers?: Record<string, string>;
}

const TITLES: Record<string, string> = {
  unauthorized: "No valid credentials",
  forbidden: "The API key may not do this",
  "session-ended": "The session has ended",
  "idempotency-key-reused": "The Idempotency-Key was used with another request",
  unavailable: "Redis is away; nothing was done",
  "outcome-unknown": "Not known whether the command was done",
  "not-found": "No such route",
  "method-not-allowed": "The route does not take this method",
  "too-large": "The body is too large",
  "unsupported-media-type": "The content type or encoding is not taken",
  fault: "A fault of the service",
};

function plain(status: number, name: string, detail: string): Problem {
  return { type: `urn:bpf:problem:${name}`, title: TITLES[name] ?? name, status, detail };
}

function ofErrno(code: ErrnoName, detail: string): Problem {
  const status = STATUS[code];
  return {
    type: `urn:bpf:errno:${code}`,
    title: STRERROR[code],
    status,
    detail,
    errno: code,
    errno_code: ERRNO[code],
  };
}

function ofDomain(error: Error, method: string): Problem | undefined {
  if (error instanceof Errno) {
    const problem = ofErrno(error.code, error.message.split("\n").at(-1) ?? "");
    if (error.log !== undefined) problem.log = error.log;
    if (error.pointer) problem.errors = [{ pointer: error.pointer, detail: error.message }];
    return problem;
  }
  if (error instanceof BadToken) return plain(401, "unauthorized", error.message);
  if (error instanceof KeyReused) return plain(422, "idempotency-key-reused", error.message);
  if (error instanceof Unavailable) return plain(503, "unavailable", error.message);
  if (error instanceof HttpError) return plain(error.status, error.problem, error.message);
  if (error instanceof OutcomeUnknown) {
    const name = method === "GET" ? "unavailable" : "outcome-unknown";
    return plain(503, name, error.message);
  }
  if (error instanceof SessionEnded) {
    const problem = plain(410, "session-ended", error.message);
    const reason = error.reason ? { reason: error.reason } : {};
    return { ...problem, errno: "ESRCH", errno_code: ERRNO.ESRCH, ...reason };
  }
  return undefined;
}

const BY_STATUS: Record<number, string> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  405: "method-not-allowed",
  413: "too-large",
  415: "unsupported-media-type",
};

/** A body or parameter that the contract refuses is EINVAL, with the pointer to the field. */
function ofLibrary(error: LibraryError): Problem {
  const status = error.status ?? 500;
  const name = BY_STATUS[status];
  if (name) return plain(status, name, error.message);
  if (status < 400 || status >= 500) return plain(500, "fault", "see the service's log");
  const problem = ofErrno("EINVAL", error.message);
  if (error.errors?.length) {
    problem.errors = error.errors.map(({ path, message }) => ({ pointer: path, detail: message }));
  }
  return problem;
}

export function toProblem(error: Error, method: string): Problem {
  return ofDomain(error, method) ?? ofLibrary(error as LibraryError);
}

function headersOf(problem: Problem, error: LibraryError): Record<string, string> {
  if (problem.status === 401) return { "www-authenticate": 'Bearer error="invalid_token"' };
  if (problem.status === 503) return { "retry-after": "1" };
  return problem.status === 405 ? (error.headers ?? {}) : {};
}

export type OnFault = (error: Error, requestId: string) => void;

export function sendProblem(
  error: Error,
  req: IncomingMessage,
  res: ServerResponse,
  onFault: OnFault,
): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const problem = toProblem(error, req.method ?? "");
  const request_id = String(res.getHeader("x-request-id"));
  if (problem.status === 500) onFault(error, request_id);
  const instance = (req.url ?? "").replace(/\?.*/s, "");
  const text = JSON.stringify({ ...problem, instance, request_id });
  res.writeHead(problem.status, {
    ...headersOf(problem, error as LibraryError),
    "content-type": "application/problem+json",
    "content-length": Buffer.byteLength(text),
  });
  res.end(text);
}

export function problemHandler(onFault: OnFault): ErrorRequestHandler {
  return (error: Error, req, res, _next) => sendProblem(error, req, res, onFault);
}
