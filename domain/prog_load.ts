import { type Begin, type Call, list, number, text } from "./call.ts";
import { Errno } from "./errno.ts";
import type { Unit } from "./exec/abi.ts";
import type { Argument, Value } from "./script.ts";
import {
  type Limits,
  type MapFacts,
  type MapRef,
  type Options,
  type Refusal,
  relocate,
} from "./verifier/verifier.ts";
import { examine, judge } from "./verifier/worker.ts";

/**
 * What comes before a program is loaded: its shape is judged here, its maps and the caller's rights in
 * a first script, its registers here again, with the maps known. The second script loads it only if
 * the fds are the same maps still.
 */

export interface ProgAttr {
  prog_type: string;
  license: string;
  prog_name: string;
  prog_flags: number;
  expected_attach_type: number;
  log_level: number;
  fd_array: number[] | undefined;
  /** The functions are described by BTF, so that callbacks and tail calls of subprograms are allowed. */
  func_info?: boolean;
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

/** Type, sizes, flags and, if there are any, the offsets of locks. */
function shape(words: readonly string[], max_entries: number, btf: boolean): MapFacts {
  const [map_type = "", key_size, value_size, map_flags, locks = ""] = words;
  return {
    ...{ map_type, max_entries, btf },
    ...{ key_size: Number(key_size), value_size: Number(value_size), map_flags: Number(map_flags) },
    ...(locks ? { locks: locks.split(",").map(Number) } : {}),
  };
}

/** A row of prog_resolve: what the registers' check has to know of a map. */
function facts(row: Value): MapFacts {
  const [id, btf, name, locks, type, keys, values, entries, flags, frozen, ...inner] = list(row);
  const words = [type, keys, values, flags, ...(locks ? [locks] : [])].map(text);
  const own = shape(words, number(entries), number(btf) === 1);
  const known = { ...own, id: number(id), name: text(name), frozen: number(frozen) === 1 };
  const [template, innerEntries, innerBtf] = inner;
  if (!template) return known;
  const like = shape(text(template).split(" "), number(innerEntries), number(innerBtf) === 1);
  return { ...known, inner: like };
}

const json = (value: object): string => JSON.stringify(value, (_, part) => part ?? undefined);

export interface Prepared {
  /** Of prog_load. */
  args: Argument[];
  /** The program as it is compiled, unless it is refused. */
  unit?: Unit;
}

/** @returns what prog_load takes, or its first answer when the request is a repeat. */
export async function prepareLoad(
  begin: Begin,
  call: Call,
  { fd_array, ...attr }: ProgAttr,
  insns: Buffer,
  limits: Partial<Limits>,
): Promise<Prepared | { remembered: Value[] }> {
  const told: Options = { progType: attr.prog_type, logLevel: attr.log_level, limits };
  const more = { progFlags: attr.prog_flags, funcInfo: attr.func_info ?? false };
  const options = { ...told, ...more, ...(fd_array ? { fdArrayLength: fd_array.length } : {}) };
  const { verdict, tag } = judge(insns, options);
  const { refs, indices } = distinct(verdict.refs, fd_array ?? []);
  const judged = { ...verdict, refs, tag };
  const indexed = relocate(insns, indices, verdict.refs);
  const args = (rest: { after?: Refusal | null; ids: number[]; log: string }): Argument[] => [
    json(attr),
    indexed,
    json({ ...judged, ...rest }),
  ];
  if (verdict.before || verdict.during) return { args: args({ ids: [], log: "" }) };
  const count = insns.length / 8;
  const answer = await begin(call, "prog_resolve", json(attr), count, json(judged)).catch(
    (error) => {
      // prog_load comes to the same, and keeps it for repeats.
      if (call.record !== "" && error instanceof Errno) return undefined;
      throw error;
    },
  );
  if (!answer) return { args: args({ ids: [], log: "" }) };
  if (answer.remembered) return { remembered: answer.values };
  const [type, attach, gpl, rows] = answer.values;
  const maps = list(rows).map(facts);
  const report = await examine(
    insns,
    indices.map((i) => maps[i] as MapFacts),
    {
      ...options,
      progType: text(type),
      expectedAttachType: number(attach),
      gplCompatible: number(gpl) === 1,
    },
  );
  const ids = maps.map(({ id = 0 }) => id);
  const { refusal: after, log } = report;
  const described = attr.func_info ? { func_info: true } : {};
  const unit = { insns: indexed, maps, prog_type: text(type), ...described };
  return { args: args({ after, ids, log }), ...(after ? {} : { unit }) };
}
