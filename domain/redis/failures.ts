import {
  BadToken,
  Errno,
  type ErrnoOptions,
  isErrno,
  KeyReused,
  OtherLayout,
  OutcomeUnknown,
  SessionEnded,
  Stale,
  Unavailable,
} from "../errno.ts";
import { bundle } from "./lua_bundle.ts";
import { LAYOUT } from "./records.ts";

/** Turns failures of a call (of the command, of Redis or of ioredis) into those of errno.ts. */

/** Redis replies with these before it has written anything. */
const REFUSED =
  /^(LOADING|READONLY|MISCONF|MASTERDOWN|NOREPLICAS|BUSY|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOAUTH|NOPERM)\b/;

/** The cluster client of ioredis says this when the last reply was one of those. */
const TOO_MANY = /^Too many Cluster redirections.*: (MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/;

export const FULL = "Redis has reached its maxmemory: free objects or raise maxmemory";

/** @param code an errno, or a code of syscall.lua. */
export function fromReply(code: string, detail: string, more: ErrnoOptions): Error {
  if (isErrno(code)) return new Errno(code, detail, more);
  if (code === "TOKEN") return new BadToken(detail);
  if (code === "ENDED") return new SessionEnded(detail);
  if (code === "IDEMPOTENCY") return new KeyReused(detail);
  if (code === "STALE") return new Stale(detail);
  if (code === "LAYOUT") {
    const found = `the namespace is stored in layout ${detail.slice(0, 40)}`;
    return new OtherLayout(`${found}, this version of the service supports layout ${LAYOUT}`);
  }
  return refused(detail);
}

/** Redis itself reports that it is full, that it cannot work now, or that the Lua has a fault. */
function refused(detail: string): Error {
  if (/^OOM\b/.test(detail)) return new Errno("ENOMEM", FULL);
  if (REFUSED.test(detail)) return new Unavailable(detail);
  return new Error(bundle.locate(detail));
}

/** What ioredis rejects a call with that has no connection, or loses it. */
const NO_CONNECTION = /enableOfflineQueue|Cluster isn't ready|^Connection is closed|startup nodes/;

/** True if a call failed because Redis is away, which the connection reports by itself. */
export function isOutage(error: unknown): boolean {
  if (error instanceof Unavailable || error instanceof OutcomeUnknown) return true;
  return error instanceof Error && NO_CONNECTION.test(error.message);
}

/** Turns what ioredis rejects a call with. */
export function fromRejection(error: Error): Error {
  if (/enableOfflineQueue|Cluster isn't ready/.test(error.message)) {
    return new Unavailable("no connection to Redis");
  }
  if (TOO_MANY.test(error.message)) return new Unavailable(error.message);
  if (error.name === "ReplyError") return refused(error.message);
  return new OutcomeUnknown("the connection to Redis broke while the command ran");
}

/** Redis checks this before it runs anything, so the call may be sent again. */
export const isMissing = (error: unknown) =>
  error instanceof Error && /^(ERR )?Function not found/.test(error.message);

export const isMoved = (error: unknown) =>
  error instanceof Unavailable && /^(MOVED|ASK) /.test(error.message);
