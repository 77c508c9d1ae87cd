import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { ERRNO, type ErrnoName } from "../../domain/errno.ts";
import { STRERROR } from "./strerror.ts";

/** RFC 9457 problem+json: its form, its titles, and the only table from errno to HTTP status. */

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
  ESTALE: 412,
  EFBIG: 413,
  E2BIG: 422,
  ENODEV: 422,
  ENOTSUPP: 422,
  EOPNOTSUPP: 422,
  EOVERFLOW: 422,
  ENOMEM: 507,
  ENOSPC: 507,
  EINVAL: 400,
  EFAULT: 400,
  ENAMETOOLONG: 400,
  EPROTO: 400,
};

export interface ProblemSource {
  pointer: string;
  detail: string;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  errno?: ErrnoName;
  errno_code?: number;
  reason?: string;
  log?: string;
  errors?: ProblemSource[];
}

/** The problems without an errno of their own. */
export const PROBLEM_TITLES = {
  unauthorized: "No valid credentials",
  forbidden: "Not allowed for this API key",
  "host-not-allowed": "The service has another name",
  "origin-not-allowed": "Not allowed for pages of other origins",
  "session-ended": "The session has ended",
  "answer-not-kept": "Carried out before; the answer was too large to keep",
  "idempotency-key-reused": "The Idempotency-Key was used with another request",
  unavailable: "Service unavailable; nothing was done",
  "outcome-unknown": "Unknown whether the command ran",
  "not-found": "No such route",
  "method-not-allowed": "Method not allowed",
  "too-large": "Body too large",
  "unsupported-media-type": "Unsupported content type or encoding",
  fault: "Internal error of the service",
  "headers-too-large": "Headers too large",
  timeout: "Request timed out",
  malformed: "Malformed request",
} as const;

export type ProblemName = keyof typeof PROBLEM_TITLES;

/** A reference relative to the request, where the service has a page about the problem. */
export const typeOfProblem = (name: ErrnoName | ProblemName) => `/docs/errors/${name}`;

export function problem(status: number, name: ProblemName, detail: string): Problem {
  return { type: typeOfProblem(name), title: PROBLEM_TITLES[name], status, detail };
}

export function errnoProblem(code: ErrnoName, detail: string): Problem {
  const status = STATUS[code];
  return {
    type: typeOfProblem(code),
    title: STRERROR[code],
    status,
    detail,
    errno: code,
    errno_code: ERRNO[code],
  };
}

type Rejection = [status: number, name: ProblemName, detail: string];

const REJECTED_BY_NODE: Record<string, Rejection> = {
  HPE_HEADER_OVERFLOW: [431, "headers-too-large", "the headers must have at most 16 KiB"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "timeout", "the request must arrive within 30 seconds"],
};
const MALFORMED: Rejection = [400, "malformed", "the request must be valid HTTP/1.1"];

/** Writes the problem of a request that node:http rejects before it makes a request object. */
export function sendRawProblem(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  request_id: string,
): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, name, detail] = REJECTED_BY_NODE[error.code ?? ""] ?? MALFORMED;
  const text = JSON.stringify({ ...problem(status, name, detail), request_id });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\nx-request-id: ${request_id}\r\n` +
      `connection: close\r\n\r\n${text}`,
  );
}
