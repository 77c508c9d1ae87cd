import type { Miss, RunFault, RunOutcome } from "./job.ts";

/**
 * The ways in which a run ends before its program returns. All are thrown, through the program's
 * frames.
 */

/** The program did what Linux would not have let it do. */
export class RunFailure extends Error {
  readonly reason: RunFault["reason"];

  constructor(reason: RunFault["reason"], detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** The run has to see more. */
export class MissingData extends Error {
  readonly misses: Miss[];

  constructor(...needs: Miss[]) {
    super("not fetched");
    this.misses = needs;
  }
}

type InputRefusedOutcome = Extract<RunOutcome, { kind: "refused" }>;

/** The input is refused; `field` is the job's. */
export class InputRefused extends Error {
  readonly errno: InputRefusedOutcome["errno"];
  readonly field: string;

  constructor(errno: InputRefusedOutcome["errno"], field: string, detail: string) {
    super(detail);
    this.errno = errno;
    this.field = field;
  }
}
