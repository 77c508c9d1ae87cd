/** The errnos that a command can give, with Linux' numbers, and the failures that are no errno. */

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  EMFILE: 24,
  EFBIG: 27,
  ENOSPC: 28,
  ENAMETOOLONG: 36,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EPROTO: 71,
  EOVERFLOW: 75,
  EBADFD: 77,
  EOPNOTSUPP: 95,
  ESTALE: 116,
  ENOTSUPP: 524,
} as const;

export type ErrnoName = keyof typeof ERRNO;

export function isErrno(name: string): name is ErrnoName {
  return Object.hasOwn(ERRNO, name);
}

/** An argument of a command by its name, or a part of it by the path to that part. */
export type FieldPath = string | readonly (string | number)[];

/** What an errno comes with. */
export interface ErrnoOptions {
  log?: string;
  /** The argument that caused the error. */
  field?: FieldPath;
  /** What the kernel tells beside an errno: a batch's count, and what it read until then. */
  extensions?: Record<string, unknown>;
}

/** The last line of a verifier's log that is about the program, not about the check. */
export function reasonOf(log: string): string {
  const lines = log.split("\n").filter((line) => line !== "" && !/^processed \d/.test(line));
  return lines.at(-1) ?? log;
}

/** A command refused, as Linux refuses it. */
export class Errno extends Error {
  readonly code: ErrnoName;
  readonly log: string | undefined;
  readonly field: FieldPath | undefined;
  readonly extensions: Record<string, unknown> | undefined;

  constructor(code: ErrnoName, detail: string, more: ErrnoOptions = {}) {
    super(detail);
    this.code = code;
    this.log = more.log;
    this.field = more.field;
    this.extensions = more.extensions;
  }
}

/** The token was never given out, or its session's secret is another. */
export class BadToken extends Error {}

/** The session has ended; the reason is known for a quarter of an hour. */
export class SessionEnded extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason ? `the session has ended: ${reason}` : "the session has ended");
    this.reason = reason;
  }
}

/** The Idempotency-Key was used with another request. */
export class KeyReused extends Error {}

/** What the command was prepared for is no longer so; nothing was done, and it is prepared again. */
export class Stale extends Error {}

/** Redis cannot be reached or refuses to work: nothing was done. */
export class Unavailable extends Error {}

/** The connection broke or the deadline passed after the command was sent: done or not done. */
export class OutcomeUnknown extends Error {}

/** The argument `field` has an invalid value. */
export function einval(detail: string, field: FieldPath): Errno {
  return new Errno("EINVAL", detail, { field });
}

/** The path to a part of a field. */
export function fieldPath(field: FieldPath, ...steps: (string | number)[]): FieldPath {
  return [...(typeof field === "string" ? [field] : field), ...steps];
}
