// Ways in which a run ends before its program does. All are thrown, through the program's frames.

import type { Faulted, Need, Outcome } from "./job.ts";

/** The program did what Linux would not have let it do. */
export class Fault extends Error {
  readonly reason: Faulted["reason"];

  constructor(reason: Faulted["reason"], detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** The run has to see more. */
export class Missing extends Error {
  readonly needs: Need[];

  constructor(...needs: Need[]) {
    super("not fetched");
    this.needs = needs;
  }
}

type Refusal = Extract<Outcome, { kind: "refused" }>;

/** The input is refused; `field` is the job's. */
export class Refused extends Error {
  readonly errno: Refusal["errno"];
  readonly field: string;

  constructor(errno: Refusal["errno"], field: string, detail: string) {
    super(detail);
    this.errno = errno;
    this.field = field;
  }
}
