import type { Miss, RunFault, RunOutcome } from "./job.ts";

/**
 * The ways in which a run ends before its program returns. All are thrown, through the program's
 * frames.
 */

/** The program did something that Linux does not allow. */
export class RunFailure extends Error {
  readonly reason: RunFault["reason"];

  constructor(reason: RunFault["reason"], detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** The run needs data that its snapshot lacks. */
export class MissingData extends Error {
  readonly misses: Miss[];

  constructor(...needs: Miss[]) {
    super("not fetched");
    this.misses = needs;
  }
}

type InputRefusedOutcome = Extract<RunOutcome, { kind: "refused" }>;

/** The input is invalid; `field` is the argument at fault. */
export class InputRefused extends Error {
  readonly errno: InputRefusedOutcome["errno"];
  readonly field: string;

  constructor(errno: InputRefusedOutcome["errno"], field: string, detail: string) {
    super(detail);
    this.errno = errno;
    this.field = field;
  }
}
