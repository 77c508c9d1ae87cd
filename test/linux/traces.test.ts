import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { testService } from "../support/service.ts";
import { replay } from "./replay.ts";
import { Player, type Trace } from "./trace.ts";

/** The service replays every trace of Linux 6.18, step by step; skipped steps are listed with the reason. */

const FOLDER = join(import.meta.dirname, "traces");

/** Files in another format, which other tests read. */
const LATER: Record<string, string> = {
  "verifier-verdicts.json": "its verdicts are in verifier_verdicts.test.ts",
  "verifier-locks.json": "its verdicts are in verifier_verdicts.test.ts",
};

/** Replays one trace in so many, because a share of them suffices to compare the paths. */
const SHARE = Number(process.env.TRACE_SHARE ?? 1);

const service = await testService();
const skipped = new Map<string, number>();
let compared = 0;

afterAll(() => {
  const rows = [...skipped].sort(([, a], [, b]) => b - a).map(([why, n]) => `  ${n} ${why}`);
  process.stdout.write(`traces: ${compared} steps agree, not compared:\n${rows.join("\n")}\n`);
});

for (const file of readdirSync(FOLDER).sort()) {
  if (LATER[file]) {
    it.skip(`${file}: ${LATER[file]}`);
    continue;
  }
  const traces = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Trace[];
  const chosen = traces.filter((_, i) => i % SHARE === 0);
  describe(file, () => {
    it.each(chosen.map((trace) => [trace.name, trace] as const))(
      "the service replays the trace %s as Linux did",
      async (_name, trace) => {
        const player = new Player(service, service.namespace());
        for (const [i, step] of trace.steps.entries()) {
          const outcome = await replay(player, step);
          if ("skipped" in outcome) {
            skipped.set(outcome.skipped, (skipped.get(outcome.skipped) ?? 0) + 1);
          } else {
            compared += 1;
            const got = outcome.agrees ? step.result : outcome.got;
            expect(got, `step ${i}: ${JSON.stringify({ ...step, result: undefined })}`).toEqual(
              step.result,
            );
          }
        }
      },
    );
  });
}
