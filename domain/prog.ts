import { type Call, next, number, type Run } from "./call.ts";
import { Errno } from "./errno.ts";
import { holders, infos, progInfo } from "./object.ts";
import { type MapRef, type Options, relocate } from "./verifier/verifier.ts";
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

/** As many fds as one atomic step looks up; Linux has no such limit. */
const FDS_MAX = 1000;

interface Ref {
  fd: number;
  /** The byte of the map's value that is addressed directly. */
  offset?: number;
}

/**
 * Each fd at its first use, and again where it addresses its value further than before: what is asked
 * of it comes in the order of the instructions. For each reference the place of an entry of its fd.
 */
function distinct(found: readonly MapRef[], fdArray: readonly number[]) {
  const places = new Map<number, number>();
  const furthest = new Map<number, number>();
  const refs: Ref[] = [];
  const indices = found.map(({ kind, value, direct, offset }) => {
    const fd = kind === "fd" ? value : (fdArray[value] ?? -1);
    const further = direct && offset > (furthest.get(fd) ?? -1);
    if (further) furthest.set(fd, offset);
    if (further || !places.has(fd)) {
      places.set(fd, refs.push(further ? { fd, offset } : { fd }) - 1);
    }
    return places.get(fd) ?? 0;
  });
  if (refs.length > FDS_MAX) throw new Errno("ENOMEM", `more than ${FDS_MAX} fds in insns`);
  return { refs, indices };
}

export function progCommands(run: Run) {
  return {
    /** @returns the log too: empty for a program that is accepted. */
    async progLoad(call: Call, attr: ProgAttr, insns: Buffer) {
      const { fd_array, ...stored } = attr;
      const options: Options = { progType: attr.prog_type, logLevel: attr.log_level };
      const all = fd_array ? { ...options, fdArrayLength: fd_array.length } : options;
      const { verdict, tag } = await judge(insns, all);
      const { refs, indices } = distinct(verdict.refs, fd_array ?? []);
      const judged = JSON.stringify({ ...verdict, refs, tag }, (_, value) => value ?? undefined);
      const indexed = relocate(insns, indices, verdict.refs);
      const [fd, id] = await run(call, "prog_load", JSON.stringify(stored), indexed, judged);
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
