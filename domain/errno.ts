/** The errnos of commands with Linux' numbers, and the failures that Linux does not have. */

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

/** The name of a command's argument, or the path to a part of it. */
export type FieldPath = string | readonly (string | number)[];

/** Optional details of an errno. */
export interface ErrnoOptions {
  log?: string;
  /** The argument that caused the error. */
  field?: FieldPath;
  /** Output that the kernel returns with an errno, such as the count of a batch. */
  extensions?: Record<string, unknown>;
}

/** The last line of a verifier's log that is about the program, not about the check. */
export function reasonOf(log: string): string {
  const lines = log.split("\n").filter((line) => line !== "" && !/^processed \d/.test(line));
  return lines.at(-1) ?? log;
}

/** A command failed with an errno, as it does in Linux. */
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

/** A limit of places in this process, and whose it is. */
export interface PlaceLimit {
  readonly limit: string;
  readonly places: number;
  /** The namespace has its share; otherwise the others have all places. */
  readonly isOfNamespace: boolean;
}

/** @param held places that the namespace has. */
function describeLimit(limit: string, places: number, held: number): string {
  const whose =
    held > 0
      ? `the namespace has ${held} of the ${places} places for ${limit} here, which is its share`
      : `other namespaces have all ${places} places for ${limit} here`;
  return `${whose}: try again`;
}

/** A limit of this process refused the command, and nothing was done. */
export class LimitReached extends Errno implements PlaceLimit {
  readonly limit: string;
  readonly places: number;
  readonly isOfNamespace: boolean;

  constructor(limit: string, places: number, held: number) {
    super("EAGAIN", describeLimit(limit, places, held));
    this.limit = limit;
    this.places = places;
    this.isOfNamespace = held > 0;
  }
}

/** This service did not issue the token, or the session has another secret. */
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

/** The request was carried out before with the same Idempotency-Key, and its answer was too large to keep. */
export class AnswerNotKept extends Error {}

/** The state that a command was prepared for has changed. Nothing was done; the caller prepares again. */
export class Stale extends Error {}

/** Redis cannot be reached or rejected the call, so nothing was done. */
export class Unavailable extends Error {
  /** Seconds after which the caller may try again. */
  readonly retryAfter: number;

  constructor(detail: string, retryAfter = 1) {
    super(detail);
    this.retryAfter = retryAfter;
  }
}

/** The namespace has no room for another answer to a request with an Idempotency-Key. */
export class RecordsFull extends Unavailable {}

/** A limit of this process left no place to wait, or no longer. */
export class NoPlace extends Unavailable implements PlaceLimit {
  readonly limit: string;
  readonly places: number;
  readonly isOfNamespace: boolean;

  constructor(limit: string, places: number, held: number) {
    super(describeLimit(limit, places, held));
    this.limit = limit;
    this.places = places;
    this.isOfNamespace = held > 0;
  }
}

/** Another version of the service stores the namespace. */
export class OtherLayout extends Unavailable {}

/** The connection broke or the deadline passed, so the command may or may not have run. */
export class OutcomeUnknown extends Error {}

/** Makes the EINVAL of an invalid value of the argument `field`. */
export function einval(detail: string, field: FieldPath): Errno {
  return new Errno("EINVAL", detail, { field });
}

/** Extends the path of a field to a part of it. */
export function fieldPath(field: FieldPath, ...steps: (string | number)[]): FieldPath {
  return [...(typeof field === "string" ? [field] : field), ...steps];
}
