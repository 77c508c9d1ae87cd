import { toListingPage } from "../asm/listing.ts";
import { einval } from "../errno.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import type { Call, RunCommand } from "../redis/command.ts";
import { bytes, number, pairs, text } from "../redis/reply.ts";
import {
  nextCursor,
  type PageRequest,
  readCursor,
  readStart,
  type StartedPageRequest,
} from "./cursor.ts";
import { holders, infos, progInfo } from "./info.ts";
import { loadProgram, type ProgAttr, type ProgLoader } from "./prog_load.ts";

/** Commands that load programs, list them and bind maps to them. */

/** A page of programs; the filters select them by type, and by name or the beginning of one with a *. */
export interface ProgPageRequest extends StartedPageRequest {
  prog_type?: string | undefined;
  prog_name?: string | undefined;
}

/** A page of instructions. */
export interface InsnPageRequest extends PageRequest {
  /** Number of the first instruction. */
  start?: number | undefined;
}

/** @throws EINVAL */
function firstInsn({ cursor, start }: InsnPageRequest): number {
  if (cursor === undefined) return start ?? 0;
  if (start === undefined) return readCursor(cursor);
  throw einval("must not be sent together with cursor", "start");
}

export function progCommands(run: RunCommand, loader: ProgLoader) {
  return {
    progLoad: (call: Call, attr: ProgAttr, program: LoadedInsns) =>
      loadProgram(loader, call, attr, program),

    async progGetNextId(call: Call, request: ProgPageRequest) {
      const { limit, prog_type = "", prog_name = "" } = request;
      const filters = [prog_type, prog_name];
      const reply = await run(call, "prog_get_next_id", readStart(request), limit, ...filters);
      const [page, last] = reply;
      return { progs: infos(page, progInfo), ...nextCursor(last) };
    },

    async progGet(call: Call, id: number) {
      const [fields, rows, more] = await run(call, "prog_get", id);
      return { ...progInfo(id, fields), holders: holders(rows, more === 1) };
    },

    /** Reads `limit` instructions and the second half of a last ld_imm64. @throws EINVAL inside one. */
    async progInsns(call: Call, id: number, request: InsnPageRequest) {
      const { limit } = request;
      const start = firstInsn(request);
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
        `must be the first half of an instruction, got ${start}, the second half of a ld_imm64`,
        request.cursor === undefined ? "start" : "cursor",
      );
    },

    progBindMap: (call: Call, fd: number, mapFd: number, flags: number) =>
      run(call, "prog_bind_map", fd, mapFd, flags),
  };
}
