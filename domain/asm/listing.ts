// Instructions for people: a program as it was loaded, in the notation of `bpftool prog dump xlated`.

import { disasm } from "../isa/disasm.ts";
import { helperName } from "../isa/helpers.ts";
import * as bpf from "../isa/insn.ts";
import { constantBy } from "./grammar.ts";

/** A part of a program, from an instruction to an instruction. */
export interface ListingPage {
  /** Of the whole program, in instructions of 8 bytes. */
  insn_cnt: number;
  /** The number of the first instruction here. */
  start: number;
  /** As BPF_OBJ_GET_INFO_BY_FD dumps them: maps by id. */
  insns: Buffer;
  /** Of maps, by id. */
  names: ReadonlyMap<number, string>;
  /** Where the next page starts, if there is one. */
  next?: number;
}

export interface ListingLine {
  index: number;
  /** Hex, 16 digits; 32 of a ld_imm64. */
  insn: string;
  /** `(b7) r0 = 0` */
  text: string;
  /** The instruction that a jump, a call or a function's address leads to. */
  target?: number;
  helper?: string;
  map_id?: number;
  map_name?: string;
}

const show = constantBy("id");

const namesMap = ({ code, src }: bpf.Insn): boolean =>
  code === bpf.LD_IMM64 && (src === bpf.PSEUDO_MAP_FD || src === bpf.PSEUDO_MAP_VALUE);

/** Where else than to the next instruction it leads. */
function targetOf(insn: bpf.Insn, at: number): number | undefined {
  if (bpf.isPseudoCall(insn) || bpf.isPseudoFunc(insn)) return bpf.callee(insn, at);
  if (!bpf.isJump(insn) || bpf.isCall(insn) || bpf.isExit(insn)) return undefined;
  return bpf.target(insn, at);
}

function line(page: ListingPage, prog: readonly bpf.Insn[], at: number): ListingLine {
  const insn = prog[at] as bpf.Insn;
  const index = page.start + at;
  const size = (insn.code === bpf.LD_IMM64 ? 2 : 1) * bpf.SIZE;
  const bytes = page.insns.subarray(at * bpf.SIZE, at * bpf.SIZE + size);
  const shown = { index, insn: bytes.toString("hex"), text: disasm(insn, prog[at + 1], show) };
  if (namesMap(insn)) {
    const id = insn.imm >>> 0;
    return { ...shown, map_id: id, map_name: page.names.get(id) ?? "" };
  }
  if (bpf.isHelperCall(insn)) return { ...shown, helper: helperName(insn.imm) };
  const target = targetOf(insn, index);
  return target === undefined ? shown : { ...shown, target };
}

/** A ld_imm64 is one line, but counts for two. */
export function lines(page: ListingPage): ListingLine[] {
  const prog = bpf.decode(page.insns);
  const out: ListingLine[] = [];
  for (let at = 0; at < prog.length; at++) {
    out.push(line(page, prog, at));
    if (prog[at]?.code === bpf.LD_IMM64) at++;
  }
  return out;
}

/** What bpftool prints, and the names of maps in comments. */
export function listing(page: ListingPage): string {
  const rows = lines(page).map(({ index, text, map_name }) => {
    const row = `${String(index).padStart(4)}: ${text}`;
    return map_name ? `${row}  // ${map_name}\n` : `${row}\n`;
  });
  return rows.join("");
}

/**
 * A page of what is stored, where a map is an index into `ids`. `insns` may have one instruction more
 * than `limit`, to complete a ld_imm64. Undefined when it starts in the middle of one.
 */
export function pageOf(
  stored: Pick<ListingPage, "insn_cnt" | "start" | "names"> & { insns: Buffer; limit: number },
  ids: readonly number[],
): ListingPage | undefined {
  const { insn_cnt, start, names, limit } = stored;
  const insns = Buffer.from(stored.insns);
  const all = bpf.decode(insns);
  if (all[0]?.code === 0) return undefined;
  for (const [at, insn] of all.entries()) {
    if (namesMap(insn)) insns.writeUInt32LE(ids[insn.imm] ?? 0, at * bpf.SIZE + 4);
  }
  const whole = all.length <= limit || all[limit]?.code === 0;
  const count = whole ? all.length : limit;
  const next = start + count < insn_cnt ? { next: start + count } : {};
  return { insn_cnt, start, names, insns: insns.subarray(0, count * bpf.SIZE), ...next };
}
