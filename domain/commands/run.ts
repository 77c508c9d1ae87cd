import type { Call, RunCommand, RunFirstHalf } from "../redis/command.ts";
import { unrecorded } from "../redis/idempotency.ts";
import { RUN_PROG, STEP_PAGES } from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { bytes, list } from "../redis/reply.ts";
import type { RunAttr, Runner } from "../transaction/runner.ts";

/** Commands that run programs: `begin` reads the program and its maps, the runner does the rest. */

/** Positions of the instructions and the id in a program's row; see test_run.lua. */
const [INSNS, ID] = [RUN_PROG.length, RUN_PROG.length + 1];

/** Reads the instructions of a program in steps; null when it was freed meanwhile. */
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
  /** Adds the instructions of programs that are too long for one script. */
  async function withLongInsns(
    call: Call,
    reply: ReturnType<RunFirstHalf>,
  ): ReturnType<RunFirstHalf> {
    const answer = await reply;
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
        (wants) => withLongInsns(call, begin(call, "prog_test_run", fd, wants)),
        attr,
      ),

    /** Runs a pinned program by its path, without an fd. */
    progRun: (call: Call, path: string, attr: RunAttr) =>
      runner.run(
        call,
        `at ${path}`,
        (wants) => withLongInsns(call, begin(call, "prog_run", path, wants)),
        attr,
      ),
  };
}
