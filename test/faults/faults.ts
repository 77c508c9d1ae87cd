import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FAULTS_DOCUMENT, faultReport } from "./report.ts";
import {
  type FaultForm,
  type FaultResult,
  type FaultScenario,
  MAX_PROBLEMS,
  runScenario,
} from "./scenario.ts";
import { SCENARIOS } from "./scenarios.ts";
import { stopWorlds } from "./world.ts";

/**
 * `npm run test:faults` hits every fault and writes docs/faults.md. `npm run test:faults -- short` is the form
 * of the CI and writes nothing; names of scenarios run only these.
 */

const say = (line: string) => process.stdout.write(`${line}\n`);

function chosen(names: readonly string[]) {
  if (names.length === 0) return SCENARIOS;
  const unknown = names.filter((name) => !SCENARIOS.some((one) => one.name === name));
  if (unknown.length === 0) return SCENARIOS.filter(({ name }) => names.includes(name));
  const all = SCENARIOS.map(({ name }) => name).join(", ");
  throw new Error(`there is no scenario ${unknown.join(", ")}; there are ${all}`);
}

function show(result: FaultResult) {
  const { scenario, verdict, hits, operations, figures, problems, seconds } = result;
  if (verdict === "skipped") return say(`skipped: ${scenario.name}: ${result.skipped}`);
  const counts = `${hits} hits, ${operations} operations, ${seconds.toFixed(1)} s`;
  say(`${verdict}: ${scenario.name} (${counts}) ${figures}`);
  const distinct = [...new Set(problems)];
  for (const problem of distinct.slice(0, MAX_PROBLEMS)) say(`    ${problem}`);
  if (distinct.length > MAX_PROBLEMS) say(`    and ${distinct.length - MAX_PROBLEMS} more`);
}

const isBad = ({ verdict }: FaultResult) => verdict === "failed" || verdict === "void";

const words = process.argv.slice(2);
const form: FaultForm = words.includes("short") ? "short" : "full";
const results: FaultResult[] = [];

async function runAll(scenarios: readonly FaultScenario[]): Promise<void> {
  for (const scenario of scenarios) {
    const result = await runScenario(scenario, form);
    show(result);
    results.push(result);
    if (isBad(result) && form === "full") await stopWorlds();
  }
}

const all = chosen(words.filter((word) => word !== "short"));
const lanes = form === "short" ? [undefined, "cluster", "own"] : [];
if (form === "full") await runAll(all);
await Promise.all(lanes.map((name) => runAll(all.filter(({ lane }) => lane === name))));
await stopWorlds();

if (form === "full") {
  const file = join(import.meta.dirname, "../..", FAULTS_DOCUMENT);
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  writeFileSync(file, faultReport(results, SCENARIOS, before));
}
const bad = results.filter(isBad);
const skipped = results.filter(({ verdict }) => verdict === "skipped");
const passed = results.length - bad.length - skipped.length;
const counts = [`${passed} passed`, `${bad.length} failed or void`];
say([...counts, ...(skipped.length > 0 ? [`${skipped.length} skipped`] : [])].join(", "));
process.exit(bad.length > 0 ? 1 : 0);
