import { type Call, next, number, type Run } from "./call.ts";
import { holders, infos, progInfo } from "./object.ts";
import type { Options } from "./verifier/verifier.ts";
import { judge } from "./verifier/worker.ts";

/** Programs. Their shape is judged here, their maps and the caller's rights in the script. */

export interface ProgAttr {
  prog_type: string;
  license: string;
  prog_name: string;
  prog_flags: number;
  expected_attach_type: number;
  log_level: number;
  fd_array: number[] | undefined;
}

export function progCommands(run: Run) {
  return {
    /** @returns the log too: empty for a program that is accepted. */
    async progLoad(call: Call, attr: ProgAttr, insns: Buffer) {
      const { fd_array, ...stored } = attr;
      const options: Options = { progType: attr.prog_type, logLevel: attr.log_level };
      const all = fd_array ? { ...options, fdArrayLength: fd_array.length } : options;
      const { verdict, tag } = await judge(insns, all);
      const refs = verdict.refs.map(({ kind, value, ...ref }) => ({
        ...ref,
        fd: kind === "fd" ? value : (fd_array?.[value] ?? -1),
      }));
      const judged = JSON.stringify({ ...verdict, refs, tag }, (_, value) => value ?? undefined);
      const [fd, id] = await run(call, "prog_load", JSON.stringify(stored), insns, judged);
      return { fd: number(fd), id: number(id), log: "" };
    },

    async progGetNextId(call: Call, start: number, limit: number) {
      const [page, more] = await run(call, "prog_get_next_id", start, limit);
      return { progs: infos(page, progInfo), ...next(more) };
    },

    async progGet(call: Call, id: number) {
      const [fields, rows, more] = await run(call, "prog_get", id);
      return { ...progInfo(id, fields), holders: holders(rows, more === 1) };
    },

    progBindMap: (call: Call, fd: number, mapFd: number, flags: number) =>
      run(call, "prog_bind_map", fd, mapFd, flags),
  };
}
