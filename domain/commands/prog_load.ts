import { constantBy } from "../asm/grammar.ts";
import type { CompilationUnit } from "../compiler/abi.ts";
import { Errno, reasonOf } from "../errno.ts";
import { disasm } from "../isa/disasm.ts";
import { decode, INSN_SIZE, type Insn } from "../isa/insn.ts";
import type { LoadedInsns } from "../isa/loaded_insns.ts";
import type { Call, RunFirstHalf } from "../redis/command.ts";
import { INNER_MAP, PROG_MAP } from "../redis/records.ts";
import { list, nameFields, number, text } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";
import { parseLocks } from "../transaction/map_snapshot.ts";
import type { Limits, MapFacts, Refusal, VerifierOptions } from "../verifier/verifier.ts";
import { doCheck, isLong, runPrecheck } from "../verifier/worker.ts";

/**
 * What comes before a program is loaded: its shape is judged here, its maps and the caller's rights in
 * a first script, its registers here again, with the maps known. Of a long program the caller's rights are
 * looked at before that. The second script loads it only if the fds are the same maps still.
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

/** Type, sizes, flags and, if there are any, the offsets of locks. */
function shape(words: readonly string[], max_entries: number, btf: boolean): MapFacts {
  const [map_type = "", key_size, value_size, map_flags, locks = ""] = words;
  return {
    ...{ map_type, max_entries, btf },
    ...{ key_size: Number(key_size), value_size: Number(value_size), map_flags: Number(map_flags) },
    ...(locks ? parseLocks(locks) : {}),
  };
}

/** A row of prog_resolve: what the registers' check has to know of a map. */
function facts(row: RedisValue): MapFacts {
  const values = list(row);
  const map = nameFields(PROG_MAP, values);
  const { map_type, key_size, value_size, map_flags, locks } = map;
  const words = [map_type, key_size, value_size, map_flags, ...(locks ? [locks] : [])].map(text);
  const own = shape(words, number(map.max_entries), number(map.btf) === 1);
  const frozen = number(map.frozen) === 1;
  const known = { ...own, id: number(map.id), name: text(map.map_name), frozen };
  const template = nameFields(INNER_MAP, values.slice(PROG_MAP.length));
  if (!template.inner) return known;
  const [entries, btf] = [number(template.inner_max_entries), number(template.inner_btf) === 1];
  return { ...known, inner: shape(text(template.inner).split(" "), entries, btf) };
}

/** A refusal with its detail: the instruction, where it is one, and the last line of the log. */
function detailed(refusal: Refusal | null, { insns, byId }: LoadedInsns, at?: number) {
  if (refusal === null) return null;
  const reason = reasonOf(refusal.log);
  if (at === undefined) return { ...refusal, detail: reason };
  const [insn, next] = decode(insns.subarray(at * INSN_SIZE, (at + 2) * INSN_SIZE));
  const shown = disasm(insn as Insn, next, constantBy(byId?.has(at) ? "id" : "fd"));
  const place = `insn ${at}, ${shown.replace(/^\(..\) /, "")}`;
  return { ...refusal, detail: reason === "" ? place : `${place}: ${reason}` };
}

const json = (value: object): string => JSON.stringify(value, (_, part) => part ?? undefined);

export interface Prepared {
  /** Arguments of prog_load: JSON, and the instructions. */
  attr: string;
  insns: Buffer;
  verdict: string;
  /** The program as it is compiled, unless it is refused. */
  unit?: CompilationUnit;
}

function optionsOf(
  { prog_type, log_level, prog_flags, func_info = false }: Omit<ProgAttr, "fd_array">,
  fdArray: readonly number[] | undefined,
  limits: Partial<Limits>,
): VerifierOptions {
  const told = { progType: prog_type, logLevel: log_level, progFlags: prog_flags, limits };
  const more = fdArray ? { fdArrayLength: fdArray.length } : {};
  return { ...told, funcInfo: func_info, ...more };
}

/** What shapeOf() says, with the details of its refusals. @throws ENOMEM, EAGAIN */
async function judged(prog: LoadedInsns, options: VerifierOptions, fdArray: readonly number[]) {
  const { places, indexed, at, ...verdict } = await runPrecheck(prog, options, fdArray);
  if (verdict.refs.length > FDS_MAX)
    throw new Errno("ENOMEM", `more than ${FDS_MAX} maps in insns`);
  const beforeMaps = detailed(verdict.beforeMaps, prog);
  const atMap = detailed(verdict.atMap, prog, at);
  const code = Buffer.from(indexed.buffer, indexed.byteOffset, indexed.byteLength);
  return { verdict: { ...verdict, beforeMaps, atMap }, places, indexed: code };
}

/** @returns what prog_load takes, or its first answer when the request is a repeat. */
export async function prepareLoad(
  begin: RunFirstHalf,
  call: Call,
  { fd_array, ...attr }: ProgAttr,
  prog: LoadedInsns,
  limits: Partial<Limits>,
): Promise<Prepared | { remembered: RedisValue[] }> {
  const { insns } = prog;
  const options = optionsOf(attr, fd_array, limits);
  const count = insns.length / INSN_SIZE;
  // What takes long is spent on nobody who may not load at all.
  const first = isLong(prog) ? await begin(call, "prog_admit", json(attr), count) : undefined;
  if (first?.remembered) return { remembered: first.values };
  const { verdict, places, indexed } = await judged(prog, options, fd_array ?? []);
  const args = (rest: { byDoCheck?: Refusal | null; ids: number[]; log: string }) => ({
    attr: json(attr),
    insns: indexed,
    verdict: json({ ...verdict, ...rest }),
  });
  if (verdict.beforeMaps || verdict.atMap) return args({ ids: [], log: "" });
  const answer = await begin(call, "prog_resolve", json(attr), count, json(verdict));
  if (answer.remembered) return { remembered: answer.values };
  const [type, attach, gpl, rows, perfmon] = answer.values;
  const maps = list(rows).map(facts);
  const known = { progType: text(type), expectedAttachType: number(attach) };
  const rights = { gplCompatible: number(gpl) === 1, perfmon: number(perfmon) === 1 };
  const report = await doCheck(insns, maps, { ...options, ...known, ...rights }, places);
  const ids = maps.map(({ id = 0 }) => id);
  const byDoCheck = detailed(report.refusal, prog, report.at);
  const described = attr.func_info ? { func_info: true } : {};
  const unit = { insns: indexed, maps, prog_type: text(type), ...described };
  return { ...args({ byDoCheck, ids, log: report.log }), ...(byDoCheck ? {} : { unit }) };
}
