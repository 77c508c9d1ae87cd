import type { Begin, Call } from "./call.ts";
import type { RunAttr, Runner } from "./exec/host/runner.ts";

/** Programs that run. `begin` shows a run what it works on; the runner does the rest. */

export function runCommands(begin: Begin, runner: Runner) {
  return {
    progTestRun: (call: Call, fd: number, attr: RunAttr) =>
      runner.run(
        call,
        `${call.sid} ${fd}`,
        (wants) => begin(call, "prog_test_run", fd, wants),
        attr,
      ),

    /** Without an fd, by the path of its pin. */
    progRun: (call: Call, path: string, attr: RunAttr) =>
      runner.run(call, `at ${path}`, (wants) => begin(call, "prog_run", path, wants), attr),
  };
}
