import {
  AnswerNotKept,
  BadToken,
  Errno,
  type ErrnoOptions,
  isErrno,
  KeyReused,
  OtherLayout,
  OutcomeUnknown,
  RecordsFull,
  SessionEnded,
  Stale,
  Unavailable,
} from "../errno.ts";
import { bundle } from "./lua_bundle.ts";
import { LAYOUT } from "./records.ts";

/** Turns failures of a call (of the command, of Redis or of ioredis) into those of errno.ts. */

/** Redis replies with these codes before it has done anything, and what each means to who operates it. */
const REFUSALS: Readonly<Record<string, string>> = {
  ASK: "the slot of the namespace is moving to another master",
  BUSY: "Redis is busy with a long script",
  CLUSTERDOWN: "the cluster has no master for some slots",
  LOADING: "Redis is loading its data",
  MASTERDOWN: "REDIS_URL leads to a replica that has lost its master",
  MISCONF: "Redis cannot write its files, so check its disk",
  MOVED: "the slot of the namespace has moved to another master",
  NOAUTH: "Redis asks for a password, which REDIS_URL can have",
  NOPERM: "Redis denies its user a command that the service needs",
  NOREPLICAS: "Redis has fewer replicas in sync than min-replicas-to-write asks for",
  NOSCRIPT: "Redis has lost a script",
  READONLY: "REDIS_URL leads to a replica, or to a master that has just become one",
  TRYAGAIN: "the slot of the namespace is moving to another master",
  WRONGPASS: "Redis rejects the user or the password of REDIS_URL",
};

/** Replies with the code ERR before Redis has done anything, by their text. */
const REFUSAL_TEXTS: readonly (readonly [code: string, text: RegExp])[] = [
  ["MISSING", /^Function not found/],
  ["CLIENTS", /^max number of clients reached/],
  ["COMMAND", /^unknown command/],
  // FUNCTION KILL ends only what has not written.
  ["KILLED", /^Script killed by user/],
  ["MASTERDOWN", /^Can not execute the command on a stale replica/],
];

/** A function found a key of its namespace on another master, perhaps after its first write. */
const TORN = /^ERR (Script attempted to (access a non local key|execute a))/;

/** The cluster client of ioredis says this when the last reply was a refusal. */
const TOO_MANY = /^Too many Cluster redirections\. Last error: (?:\w*Error: )?(.*)$/s;

/** Redis rejected the call, so nothing was done. */
class RedisRefusal extends Unavailable {
  readonly code: string;

  constructor(code: string, reply: string) {
    const meaning = REFUSALS[code];
    super(meaning ? `${meaning}: ${reply}` : `Redis rejected the call: ${reply}`);
    this.code = code;
  }
}

/** A refusal as such, or undefined. @param reply of Redis, or what a function raised. */
function toRefusal(reply: string): RedisRefusal | undefined {
  const [, code = "", text = ""] = /^(\w+) ?(.*)$/s.exec(reply) ?? [];
  if (Object.hasOwn(REFUSALS, code)) return new RedisRefusal(code, reply);
  if (code !== "ERR") return undefined;
  const [known] = REFUSAL_TEXTS.find(([, pattern]) => pattern.test(text)) ?? [];
  return known === undefined ? undefined : new RedisRefusal(known, reply);
}

export const FULL = "Redis has reached its maxmemory: free objects or raise maxmemory";

/** @param code an errno, or a code of syscall.lua. */
export function fromReply(code: string, detail: string, more: ErrnoOptions): Error {
  if (isErrno(code)) return new Errno(code, detail, more);
  if (code === "TOKEN") return new BadToken(detail);
  if (code === "ENDED") return new SessionEnded(detail);
  if (code === "IDEMPOTENCY") return new KeyReused(detail);
  if (code === "LARGE") return new AnswerNotKept(detail);
  if (code === "RECORDS") return new RecordsFull(detail);
  if (code === "STALE") return new Stale(detail);
  if (code === "LAYOUT") {
    const found = `the namespace is stored in layout ${detail.slice(0, 40)}`;
    return new OtherLayout(`${found}, this version of the service supports layout ${LAYOUT}`);
  }
  return refused(detail);
}

/** Where in the library a function raised an error, which Redis adds to its text. */
const RAISED_AT =
  /^user_(?:function|script):\d+: (?=[A-Z]+\b)|^-|(?: script: \S+,)? on @user_\w+:\d+\.?$/g;

/** Redis itself reports that it is full, that it cannot work now, or that the Lua has a fault. */
function refused(detail: string): Error {
  const reply = detail.replace(RAISED_AT, "");
  if (/^OOM\b/.test(reply)) return new Errno("ENOMEM", FULL);
  if (TORN.test(reply)) return new OutcomeUnknown(`the slot of the namespace has moved: ${reply}`);
  return toRefusal(reply) ?? new Error(bundle.locate(detail));
}

/** ioredis rejects a call with these before it has sent it. */
const NOT_SENT =
  /enableOfflineQueue|Cluster isn't ready|Cluster is ended|startup nodes|Failed to refresh slots/;

/** Commands that are not calls are rejected with this, too, when there is no connection. */
const CLOSED = /^Connection is closed/;

/** True if a call failed because Redis is away, which the connection reports by itself. */
export function isOutage(error: unknown): boolean {
  if (error instanceof Unavailable || error instanceof OutcomeUnknown) return true;
  if (!(error instanceof Error)) return false;
  const { message } = error;
  return NOT_SENT.test(message) || CLOSED.test(message) || toRefusal(message) !== undefined;
}

/** Turns what ioredis rejects a call with. */
export function fromRejection(error: Error): Error {
  const { name, message } = error;
  if (error instanceof Unavailable) return error;
  if (name === "ReplyError") return refused(message);
  if (NOT_SENT.test(message)) return new Unavailable("no connection to Redis");
  // Redirected often enough already, so it is not sent again.
  const last = toRefusal(TOO_MANY.exec(message)?.[1] ?? "");
  if (last) return new Unavailable(last.message);
  return new OutcomeUnknown("the connection to Redis broke while the command ran");
}

const hasCode = (error: unknown, ...codes: string[]) =>
  error instanceof RedisRefusal && codes.includes(error.code);

/** Redis has no such function: it lost the library. */
export const isMissing = (error: unknown) => hasCode(error, "MISSING");

/** Redis has no such script. */
export const isForgotten = (error: unknown) => hasCode(error, "NOSCRIPT");

/** The slot is on another master, or moves there; or no master has it, which a failover ends. */
export const isMoved = (error: unknown) =>
  hasCode(error, "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN");
