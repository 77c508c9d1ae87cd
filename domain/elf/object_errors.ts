import { Errno } from "../errno.ts";

/** The errors in an object file, as an Errno. */

/** The object is invalid. */
export function malformed(detail: string): Errno {
  return new Errno("EINVAL", detail);
}

/** The object is valid but not supported here; also where libbpf returns ENOTSUP. */
export function unsupported(detail: string): Errno {
  return new Errno("EOPNOTSUPP", detail);
}

export function tooBig(detail: string): Errno {
  return new Errno("E2BIG", detail);
}
