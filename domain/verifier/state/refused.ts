import type { RefusalErrno } from "../verdict.ts";

/** Thrown where an instruction is refused. Not an Error: no stack trace is needed. */
export class Refused {
  readonly errno: RefusalErrno;
  readonly message: string;
  /** False where Linux may know more of a number, and so may accept the instruction. */
  readonly isCertain: boolean;

  constructor(errno: RefusalErrno, message: string, isCertain = true) {
    this.errno = errno;
    this.message = message;
    this.isCertain = isCertain;
  }
}
