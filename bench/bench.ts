import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { batches } from "./batches.ts";
import { calls } from "./calls.ts";
import { cluster } from "./cluster.ts";
import { exec } from "./exec.ts";
import { growth } from "./growth.ts";
import { overHttp, overHttpQuickly } from "./http.ts";
import { longest } from "./longest.ts";
import { releases } from "./release.ts";
import { report, reportOf } from "./report.ts";
import { callsChapter, longestChapter, releaseChapter } from "./report_calls.ts";
import { clusterChapter, coreChapter, startupChapter } from "./report_deployment.ts";
import { execChapter } from "./report_exec.ts";
import { growthChapter } from "./report_growth.ts";
import { httpChapter } from "./report_http.ts";
import { batchChapter, typeChapter } from "./report_maps.ts";
import { startup } from "./startup.ts";
import type { Chapter } from "./table.ts";
import { ensureTools } from "./tools.ts";
import { types } from "./types.ts";

/**
 * `npm run bench` measures everything and writes RESULTS.md. `npm run bench -- quick` measures the
 * cost of calls in Redis and of operations beside the bare handler, in fewer rounds. Any other part runs
 * alone by its name. A part prints its report and does not change RESULTS.md.
 */

const CALL_ROUNDS = 15;
const QUICK_CALL_ROUNDS = 5;

const say = (line: string) => process.stderr.write(`[bench] ${line}\n`);

/** The parts that run alone. */
const PARTS: Record<string, () => Promise<Chapter[]>> = {
  quick: async () => [
    callsChapter(await calls(say, QUICK_CALL_ROUNDS)),
    httpChapter(await overHttpQuickly(say)),
  ],
  calls: async () => [
    callsChapter(await calls(say, CALL_ROUNDS)),
    longestChapter(await longest(say)),
  ],
  release: async () => [releaseChapter(await releases(say))],
  http: async () => [httpChapter(await overHttp(say))],
  growth: async () => [growthChapter(await growth(say))],
  batches: async () => [batchChapter(await batches(say))],
  types: async () => [typeChapter(await types(say))],
  exec: async () => [execChapter(await exec(say))],
  cluster: async () => [clusterChapter(await cluster(say))],
  startup: async () => [startupChapter(await startup(say))],
};

async function everything(): Promise<string> {
  const started = performance.now();
  const called = [callsChapter(await calls(say, CALL_ROUNDS)), longestChapter(await longest(say))];
  called.push(releaseChapter(await releases(say)));
  const http = await overHttp(say);
  const growing = growthChapter(await growth(say));
  const maps = [batchChapter(await batches(say)), typeChapter(await types(say))];
  const ran = await exec(say);
  const core = coreChapter({ ...http.elements, ...http.others }, ran.http);
  const deployed = [clusterChapter(await cluster(say)), startupChapter(await startup(say))];
  const chapters = [
    ...[...called, httpChapter(http), growing, ...maps],
    ...[execChapter(ran), core, ...deployed],
  ];
  const seconds = (performance.now() - started) / 1000;
  const text = report(chapters, http.redisVersion, seconds);
  writeFileSync(join(import.meta.dirname, "RESULTS.md"), text);
  return text;
}

async function main(): Promise<void> {
  const [part] = process.argv.slice(2);
  const measure = part !== undefined && Object.hasOwn(PARTS, part) ? PARTS[part] : undefined;
  if (part !== undefined && !measure) {
    throw new Error(`the part must be one of ${Object.keys(PARTS).join(", ")}, got ${part}`);
  }
  ensureTools();
  process.stdout.write(measure ? reportOf(await measure()) : await everything());
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
