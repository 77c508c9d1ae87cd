import { disasm } from "../isa/disasm.ts";
import { helperName } from "../isa/helpers/index.ts";
import {
  calleeOf,
  decode,
  INSN_SIZE,
  type Insn,
  isCall,
  isExit,
  isHelperCall,
  isJump,
  isPseudoCall,
  isPseudoFunc,
  jumpTarget,
} from "../isa/insn.ts";
import { BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE, LD_IMM64 } from "../isa/opcodes.ts";
import { formatConstantBy } from "./grammar.ts";

/** Lists the instructions of a loaded program in the notation of `bpftool prog dump xlated`. */

/** A contiguous part of a program. */
export interface ListingPage {
  /** Length of the whole program, in instructions of 8 bytes. */
  insn_cnt: number;
  /** Number of the first instruction of the page. */
  start: number;
  /** The bytes as BPF_OBJ_GET_INFO_BY_FD dumps them: maps by id. */
  insns: Buffer;
  /** Names of maps, by id. */
  names: ReadonlyMap<number, string>;
  /** Start of the next page, if there is one. */
  next?: number;
}

export interface ListingLine {
  index: number;
  /** The bytes in hex: 16 digits, or 32 for a ld_imm64. */
  insn: string;
  /** `(b7) r0 = 0` */
  text: string;
  /** The instruction that a jump, a call or a function's address leads to. */
  target?: number;
  helper?: string;
  map_id?: number;
  map_name?: string;
}

const formatConstant = formatConstantBy("id");

const hasMapId = ({ code, src }: Insn): boolean =>
  code === LD_IMM64 && (src === BPF_PSEUDO_MAP_FD || src === BPF_PSEUDO_MAP_VALUE);

/** Returns the target of a jump, a call or a function address. */
function findTarget(insn: Insn, at: number): number | undefined {
  if (isPseudoCall(insn) || isPseudoFunc(insn)) return calleeOf(insn, at);
  if (!isJump(insn) || isCall(insn) || isExit(insn)) return undefined;
  return jumpTarget(insn, at);
}

function toLine(page: ListingPage, prog: readonly Insn[], at: number): ListingLine {
  const insn = prog[at] as Insn;
  const index = page.start + at;
  const size = (insn.code === LD_IMM64 ? 2 : 1) * INSN_SIZE;
  const bytes = page.insns.subarray(at * INSN_SIZE, at * INSN_SIZE + size);
  const shown = {
    index,
    insn: bytes.toString("hex"),
    text: disasm(insn, prog[at + 1], formatConstant),
  };
  if (hasMapId(insn)) {
    const id = insn.imm >>> 0;
    return { ...shown, map_id: id, map_name: page.names.get(id) ?? "" };
  }
  if (isHelperCall(insn)) return { ...shown, helper: helperName(insn.imm) };
  const target = findTarget(insn, index);
  return target === undefined ? shown : { ...shown, target };
}

/** Lists the instructions of a page; a ld_imm64 is one line but counts as two instructions. */
export function listLines(page: ListingPage): ListingLine[] {
  const prog = decode(page.insns);
  const out: ListingLine[] = [];
  for (let at = 0; at < prog.length; at++) {
    out.push(toLine(page, prog, at));
    if (prog[at]?.code === LD_IMM64) at++;
  }
  return out;
}

/** Formats a page as bpftool prints it, with the names of maps in comments. */
export function formatListing(page: ListingPage): string {
  const rows = listLines(page).map(({ index, text, map_name }) => {
    const row = `${String(index).padStart(4)}: ${text}`;
    return map_name ? `${row}  // ${map_name}\n` : `${row}\n`;
  });
  return rows.join("");
}

/**
 * Makes a page from stored instructions, where a map is an index into `ids`. `insns` may have
 * one more than `limit`, to complete a ld_imm64. Undefined when the page starts in the middle of one.
 */
export function toListingPage(
  stored: Pick<ListingPage, "insn_cnt" | "start" | "names"> & { insns: Buffer; limit: number },
  ids: readonly number[],
): ListingPage | undefined {
  const { insn_cnt, start, names, limit } = stored;
  const insns = Buffer.from(stored.insns);
  const all = decode(insns);
  if (all[0]?.code === 0) return undefined;
  for (const [at, insn] of all.entries()) {
    if (hasMapId(insn)) insns.writeUInt32LE(ids[insn.imm] ?? 0, at * INSN_SIZE + 4);
  }
  const whole = all.length <= limit || all[limit]?.code === 0;
  const count = whole ? all.length : limit;
  const next = start + count < insn_cnt ? { next: start + count } : {};
  return { insn_cnt, start, names, insns: insns.subarray(0, count * INSN_SIZE), ...next };
}
