import { constantBy } from "./asm/grammar.ts";
import { type Begin, type Call, list, number, text } from "./call.ts";
import { Errno, reasonOf } from "./errno.ts";
import type { Unit } from "./exec/abi.ts";
import { locksOf } from "./exec/host/view.ts";
import type { Argument, Value } from "./script.ts";
import { disasm } from "./verifier/disasm.ts";
import { decode, type Insn, SIZE } from "./verifier/insn.ts";
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

export interface Program {
  insns: Buffer;
  /** The instructions that name their map by its id, where others have an fd. */
  byId?: ReadonlySet<number>;
}

/** As many fds as one atomic step looks up; Linux has no such limit. */
const FDS_MAX = 1000;

/** A map by the caller's fd or, where the text of the program says so, by its id. */
interface Ref {
  fd?: number;
  id?: number;
  /** The byte of the map's value that is addressed directly. */
  offset?: number;
}

/**
 * Each map at its first use, and again where its value is addressed further than before: what is asked
 * of it comes in the order of the instructions. For each reference the place of an entry of its map.
 */
function distinct(found: readonly MapRef[], fdArray: readonly number[], byId: Program["byId"]) {
  const places = new Map<string, number>();
  const furthest = new Map<string, number>();
  const refs: Ref[] = [];
  const indices = found.map(({ insn, kind, value, direct, offset }) => {
    const fd = kind === "fd" ? value : (fdArray[value] ?? -1);
    const ref = byId?.has(insn) ? { id: value >>> 0 } : { fd };
    const name = Object.entries(ref).join();
    const further = direct && offset > (furthest.get(name) ?? -1);
    if (further) furthest.set(name, offset);
    if (further || !places.has(name)) {
      places.set(name, refs.push(further ? { ...ref, offset } : ref) - 1);
    }
    return places.get(name) ?? 0;
  });
  if (refs.length > FDS_MAX) throw new Errno("ENOMEM", `more than ${FDS_MAX} maps in insns`);
  return { refs, indices };
}

/** Type, sizes, flags and, if there are any, the offsets of locks. */
function shape(words: readonly string[], max_entries: number, btf: boolean): MapFacts {
  const [map_type = "", key_size, value_size, map_flags, locks = ""] = words;
  return {
    ...{ map_type, max_entries, btf },
    ...{ key_size: Number(key_size), value_size: Number(value_size), map_flags: Number(map_flags) },
    ...(locks ? locksOf(locks) : {}),
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

/** A refusal with its detail: the instruction, where it is one, and the last line of the log. */
function detailed(refusal: Refusal | null, { insns, byId }: Program, at?: number) {
  if (refusal === null) return null;
  const reason = reasonOf(refusal.log);
  if (at === undefined) return { ...refusal, detail: reason };
  const [insn, next] = decode(insns.subarray(at * SIZE, (at + 2) * SIZE));
  const shown = disasm(insn as Insn, next, constantBy(byId?.has(at) ? "id" : "fd"));
  const place = `insn ${at}, ${shown.replace(/^\(..\) /, "")}`;
  return { ...refusal, detail: reason === "" ? place : `${place}: ${reason}` };
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
  prog: Program,
  limits: Partial<Limits>,
): Promise<Prepared | { remembered: Value[] }> {
  const { insns } = prog;
  const told: Options = { progType: attr.prog_type, logLevel: attr.log_level, limits };
  const more = { progFlags: attr.prog_flags, funcInfo: attr.func_info ?? false };
  const options = { ...told, ...more, ...(fd_array ? { fdArrayLength: fd_array.length } : {}) };
  const { verdict, tag } = judge(insns, options);
  const { refs, indices } = distinct(verdict.refs, fd_array ?? [], prog.byId);
  const during = detailed(verdict.during, prog, verdict.at);
  const judged = { ...verdict, before: detailed(verdict.before, prog), during, refs, tag };
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
  const [type, attach, gpl, rows, perfmon] = answer.values;
  const maps = list(rows).map(facts);
  const report = await examine(
    insns,
    indices.map((i) => maps[i] as MapFacts),
    {
      ...options,
      progType: text(type),
      expectedAttachType: number(attach),
      gplCompatible: number(gpl) === 1,
      perfmon: number(perfmon) === 1,
    },
  );
  const ids = maps.map(({ id = 0 }) => id);
  const after = detailed(report.refusal, prog, report.at);
  const described = attr.func_info ? { func_info: true } : {};
  const unit = { insns: indexed, maps, prog_type: text(type), ...described };
  return { args: args({ after, ids, log: report.log }), ...(after ? {} : { unit }) };
}
