import { classOf, hasSrcReg, type Insn, opOf } from "../../isa/insn.ts";
import {
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLE,
  BPF_JLT,
  BPF_JMP,
  BPF_JNE,
} from "../../isa/opcodes.ts";
import { flip } from "../scalar/branch.ts";
import * as range from "../scalar/range.ts";
import { currentFrame, replaceValues, type VerifierState } from "../state/state.ts";
import { AT_END, PAST_END, type RegisterValue } from "../state/value.ts";

/**
 * try_match_pkt_pointers() of Linux 6.18: comparing a packet pointer with the end of the packet
 * proves how many bytes are there.
 */

/** MAX_PACKET_OFF */
const MAX_PACKET_OFF = 0xffffn;

const isPacketStart = (v: RegisterValue): boolean =>
  v.kind === "pkt" && v.off === 0 && range.isZero(v.range);

/** `end` is the end of the region that `at` points into. */
const isEndOf = (at: RegisterValue, end: RegisterValue): boolean =>
  (at.kind === "pkt" && end.kind === "pkt_end") || (at.kind === "pkt_meta" && isPacketStart(end));

/** find_good_pkt_pointers(): copies of the pointer share what is known of it. */
function findGoodPktPointers(state: VerifierState, pointer: RegisterValue, isOpen: boolean): void {
  if (pointer.off < 0 || (pointer.off === 0 && isOpen)) return;
  if (pointer.range.umax + BigInt(pointer.off) > MAX_PACKET_OFF) return;
  const size = pointer.off + (isOpen ? 1 : 0);
  replaceValues(state, (v) =>
    v.kind === pointer.kind && v.id === pointer.id && v.size < size ? { ...v, size } : v,
  );
}

/** mark_pkt_end() */
function markPktEnd(state: VerifierState, reg: number, isOpen: boolean): void {
  const { regs } = currentFrame(state);
  const pointer = regs[reg] as RegisterValue;
  if (pointer.kind === "pkt") regs[reg] = { ...pointer, size: isOpen ? PAST_END : AT_END };
}

/** Whether the comparison tells how many bytes are behind a packet pointer. */
export function isPktEndComparison(insn: Insn, dst: RegisterValue, src: RegisterValue): boolean {
  if (!hasSrcReg(insn) || classOf(insn) !== BPF_JMP) return false;
  return (
    [BPF_JGT, BPF_JGE, BPF_JLT, BPF_JLE].includes(opOf(insn)) &&
    (isEndOf(dst, src) || isEndOf(src, dst))
  );
}

/** @param here the state at the next instruction. @param there the state at the target. */
export function tryMatchPktPointers(insn: Insn, here: VerifierState, there: VerifierState): void {
  const { regs } = currentFrame(here);
  const dst = regs[insn.dst] as RegisterValue;
  const src = regs[insn.src] as RegisterValue;
  if (!isPktEndComparison(insn, dst, src)) return;
  const isLeft = isEndOf(dst, src);
  const reg = isLeft ? insn.dst : insn.src;
  const op = isLeft ? opOf(insn) : flip(opOf(insn));
  const pointer = isLeft ? dst : src;
  if (op === BPF_JGT || op === BPF_JGE) {
    findGoodPktPointers(here, pointer, op === BPF_JGE);
    markPktEnd(there, reg, op === BPF_JGT);
  } else if (op === BPF_JLT || op === BPF_JLE) {
    findGoodPktPointers(there, pointer, op === BPF_JLT);
    markPktEnd(here, reg, op === BPF_JLE);
  }
}

/** is_pkt_ptr_branch_taken(): decides only for pointers that were compared before. */
export function isPktPtrBranchTaken(
  op: number,
  dst: RegisterValue,
  src: RegisterValue,
): boolean | undefined {
  if (dst.kind === "pkt_end" && src.kind !== "pkt_end")
    return isPktPtrBranchTaken(flip(op), src, dst);
  if (src.kind !== "pkt_end" || dst.size >= 0 || op === BPF_JEQ || op === BPF_JNE) return undefined;
  if (op === BPF_JGT || op === BPF_JLE) return dst.size === PAST_END ? op === BPF_JGT : undefined;
  return op === BPF_JGE || op === BPF_JLT ? op === BPF_JGE : undefined;
}
