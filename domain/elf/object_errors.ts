import { Errno } from "../errno.ts";

/** The errors in an object file, as an Errno. */

/** The bytes contradict themselves, or what they describe cannot be. */
export function malformed(detail: string): Errno {
  return new Errno("EINVAL", detail);
}

/** A good object, of a kind that is not loaded here; where libbpf says ENOTSUP, too. */
export function unsupported(detail: string): Errno {
  return new Errno("EOPNOTSUPP", detail);
}

export function tooBig(detail: string): Errno {
  return new Errno("E2BIG", detail);
}
