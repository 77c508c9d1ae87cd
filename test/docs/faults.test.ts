import { describe, expect, it } from "vitest";
import { FAULTS_DOCUMENT, faultRows } from "../faults/report.ts";
import { judge } from "../faults/scenario.ts";
import { SCENARIOS } from "../faults/scenarios.ts";
import { readText } from "../support/documents.ts";

/** docs/faults.md is a report of a full run, and a run that proves nothing fails. */

describe("docs/faults.md", () => {
  const text = readText(FAULTS_DOCUMENT);
  const rows = faultRows(text);

  it("the table has a row for each scenario, in their order", () => {
    expect(rows.map(([fault]) => fault)).toEqual(SCENARIOS.map(({ fault }) => fault));
  });

  it.each(SCENARIOS)("the row of $name has passed with enough hits and operations", (scenario) => {
    const [, hits, operations, result] = rows.find(([fault]) => fault === scenario.fault) ?? [];
    const { full } = scenario.least;
    expect(result).toBe("passed");
    expect(Number(hits)).toBeGreaterThanOrEqual(full.hits);
    expect(Number(operations)).toBeGreaterThanOrEqual(full.operations);
  });
});

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
    ["skipped", "where the machine cannot hit it", { ...outcome, hits: 0, skipped: "no root" }],
  ] as const)("a run is %s %s", (verdict, _, given) => {
    expect(judge(scenario, "short", given)).toBe(verdict);
  });
});
