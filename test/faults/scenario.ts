/** A scenario hits one kind of fault under load, counts the hits, and says what went wrong. */

/** The short form hits each fault once or so, for the CI; the full form is the one that is reported. */
export type FaultForm = "short" | "full";

export interface FaultOutcome {
  /** How often the fault was hit. */
  hits: number;
  /** Requests that were answered with success while or after the fault was hit. */
  operations: number;
  /** What was measured, for the report. */
  figures: string;
  /** What must not happen and did. */
  problems: readonly string[];
  /** Why this machine cannot hit the fault. */
  skipped?: string;
}

/** By default the shared Redis. */
export type FaultLane = "cluster" | "own";

export interface FaultScenario {
  /** On the command line. */
  name: string;
  /** In the report. */
  fault: string;
  /** The servers that it uses; in the short form scenarios of different servers run side by side. */
  lane?: FaultLane;
  /** A run with fewer hits or operations is void. */
  least: Record<FaultForm, { hits: number; operations: number }>;
  run(form: FaultForm): Promise<FaultOutcome>;
}

export interface FaultResult extends FaultOutcome {
  scenario: FaultScenario;
  verdict: "passed" | "failed" | "void" | "skipped";
  seconds: number;
}

/** At most so many problems are printed of each scenario. */
export const MAX_PROBLEMS = 10;

export function judge(scenario: FaultScenario, form: FaultForm, outcome: FaultOutcome) {
  const least = scenario.least[form];
  if (outcome.problems.length > 0) return "failed";
  if (outcome.skipped !== undefined) return "skipped";
  if (outcome.hits < least.hits || outcome.operations < least.operations) return "void";
  return "passed";
}

/** Runs a scenario; what it throws is a problem. */
export async function runScenario(scenario: FaultScenario, form: FaultForm): Promise<FaultResult> {
  const began = performance.now();
  const outcome = await scenario.run(form).catch((error: Error) => ({
    ...{ hits: 0, operations: 0, figures: "" },
    problems: [error.stack ?? error.message],
  }));
  const verdict = judge(scenario, form, outcome);
  return { ...outcome, scenario, verdict, seconds: (performance.now() - began) / 1000 };
}
