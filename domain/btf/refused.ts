/** Why a BTF is refused. */

export type BtfErrno = "E2BIG" | "EEXIST" | "EFAULT" | "EINVAL" | "ELOOP" | "ENOENT" | "ENOTSUPP";

/** The check found a fault. Not an Error: no stack trace is needed. */
export class BtfRefused {
  readonly errno: BtfErrno;
  readonly detail: string;

  constructor(errno: BtfErrno, detail: string) {
    this.errno = errno;
    this.detail = detail;
  }
}
