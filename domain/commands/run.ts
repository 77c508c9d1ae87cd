import type { Call, RunCommand, RunFirstHalf } from "../redis/command.ts";
import { unrecorded } from "../redis/idempotency.ts";
import { RUN_PROG, STEP_PAGES } from "../redis/records.ts";
import { bytes, list } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";
import type { RunAttr, Runner } from "../transaction/runner.ts";

/** Programs that run. `begin` shows a run what it works on; the runner does the rest. */

/** Where a row of a program has its instructions, and its id; see test_run.lua. */
const [INSNS, ID] = [RUN_PROG.length, RUN_PROG.length + 1];

/** The instructions of a program, step by step; null when it is gone meanwhile. */
async function longInsns(run: RunCommand, call: Call, row: RedisValue[]): Promise<Buffer | null> {
  const [load_time = null] = row;
  const parts: Buffer[] = [];
  for (let page = 0; ; page += STEP_PAGES) {
    const args = [Number(row[ID]), bytes(load_time), page];
    const [part = null, more] = await run(unrecorded(call), "prog_pages", ...args);
    if (part === null) return null;
    parts.push(bytes(part));
    if (more !== 1) return Buffer.concat(parts);
  }
}

export function runCommands(begin: RunFirstHalf, run: RunCommand, runner: Runner) {
  /** What a run is shown, with the instructions that one script does not answer. */
  async function whole(call: Call, shown: ReturnType<RunFirstHalf>): ReturnType<RunFirstHalf> {
    const answer = await shown;
    const programs = answer.remembered ? [] : list(answer.values[2]);
    for (const [i, row] of programs.entries()) {
      if (!Array.isArray(row) || row[INSNS] !== null) continue;
      const insns = await longInsns(run, call, row);
      if (insns === null) programs[i] = null;
      else row[INSNS] = insns;
    }
    return answer;
  }

  return {
    progTestRun: (call: Call, fd: number, attr: RunAttr) =>
      runner.run(
        call,
        `${call.sid} ${fd}`,
        (wants) => whole(call, begin(call, "prog_test_run", fd, wants)),
        attr,
      ),

    /** Without an fd, by the path of its pin. */
    progRun: (call: Call, path: string, attr: RunAttr) =>
      runner.run(
        call,
        `at ${path}`,
        (wants) => whole(call, begin(call, "prog_run", path, wants)),
        attr,
      ),
  };
}
