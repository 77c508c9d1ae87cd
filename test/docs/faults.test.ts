import { describe, expect, it } from "vitest";
import { judge } from "../faults/scenario.ts";

/** A run of the fault tests that proves nothing fails. */

describe("the verdict of a run", () => {
  const least = { hits: 2, operations: 10 };
  const scenario = {
    ...{ name: "one", fault: "one", least: { short: least, full: least } },
    run: () => Promise.reject(new Error("not run")),
  };
  const outcome = { hits: 2, operations: 10, figures: "", problems: [] };

  it.each([
    ["passed", "with enough hits and operations", outcome],
    ["void", "with too few hits", { ...outcome, hits: 1 }],
    ["void", "with too few operations", { ...outcome, operations: 9 }],
    ["failed", "with a problem, however few hits", { ...outcome, hits: 0, problems: ["lost"] }],
  ] as const)("a run is %s %s", (verdict, _, given) => {
    expect(judge(scenario, "short", given)).toBe(verdict);
  });
});
