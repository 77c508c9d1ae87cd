import { toListingPage } from "../asm/listing.ts";
import { einval } from "../errno.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { bytes, nextPage, number, pairs, text } from "../redis/reply.ts";
import { holders, infos, progInfo } from "./info.ts";
import { loadProgram, type ProgAttr, type ProgLoader } from "./prog_load.ts";

/** Commands that load programs, list them and bind maps to them. */

export function progCommands(run: RunCommand, loader: ProgLoader) {
  return {
    progLoad: (call: Call, attr: ProgAttr, program: LoadedInsns) =>
      loadProgram(loader, call, attr, program),

    async progGetNextId(call: Call, start: number, limit: number) {
      const [page, more] = await run(call, "prog_get_next_id", start, limit);
      return { progs: infos(page, progInfo), ...nextPage(more) };
    },

    async progGet(call: Call, id: number) {
      const [fields, rows, more] = await run(call, "prog_get", id);
      return { ...progInfo(id, fields), holders: holders(rows, more === 1) };
    },

    /** Reads `limit` instructions and the second half of a last ld_imm64. @throws EINVAL inside one. */
    async progInsns(call: Call, id: number, start: number, limit: number) {
      const [count, insns, ids, names] = await run(call, "prog_insns", id, start, limit + 1);
      const named = pairs(names).map(([of, name]): [number, string] => [number(of), text(name)]);
      const page = {
        insn_cnt: number(count),
        start,
        limit,
        insns: bytes(insns),
        names: new Map(named),
      };
      const found = toListingPage(page, text(ids).split(",").map(Number));
      if (found) return found;
      throw einval(
        `start must be the first half of an instruction, got ${start}, the second half of a ld_imm64`,
        "start",
      );
    },

    progBindMap: (call: Call, fd: number, mapFd: number, flags: number) =>
      run(call, "prog_bind_map", fd, mapFd, flags),
  };
}
