// Packet pointers compared with the end of the packet (try_match_pkt_pointers of Linux 6.18): how many
// bytes are known to be there, on either way of a jump.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import { EQ, flip, GE, GT, LE, LT, NE } from "../scalar/branch.ts";
import * as range from "../scalar/range.ts";
import { currentFrame, replaceValues, type VerifierState } from "../state/state.ts";
import { AT_END, PAST_END, type RegisterValue } from "../state/value.ts";

/** MAX_PACKET_OFF */
const MAX_PACKET_OFF = 0xffffn;

const isPacketStart = (v: RegisterValue): boolean =>
  v.kind === "pkt" && v.off === 0 && range.isZero(v.range);

/** `end` marks the end of what `at` points into. */
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

/** Whether a pointer is compared with an end of what it points into, in a way that tells its length. */
export function isPktEndComparison(insn: Insn, dst: RegisterValue, src: RegisterValue): boolean {
  if (!bpf.isX(insn) || bpf.classOf(insn) !== bpf.JMP) return false;
  return [GT, GE, LT, LE].includes(bpf.opOf(insn)) && (isEndOf(dst, src) || isEndOf(src, dst));
}

/** @param here the way on; @param there the way of the jump. */
export function tryMatchPktPointers(insn: Insn, here: VerifierState, there: VerifierState): void {
  const { regs } = currentFrame(here);
  const dst = regs[insn.dst] as RegisterValue;
  const src = regs[insn.src] as RegisterValue;
  if (!isPktEndComparison(insn, dst, src)) return;
  const isLeft = isEndOf(dst, src);
  const reg = isLeft ? insn.dst : insn.src;
  const op = isLeft ? bpf.opOf(insn) : flip(bpf.opOf(insn));
  const pointer = isLeft ? dst : src;
  if (op === GT || op === GE) {
    findGoodPktPointers(here, pointer, op === GE);
    markPktEnd(there, reg, op === GT);
  } else if (op === LT || op === LE) {
    findGoodPktPointers(there, pointer, op === LT);
    markPktEnd(here, reg, op === LE);
  }
}

/** is_pkt_ptr_branch_taken(): only of pointers that were compared before. */
export function isPktPtrBranchTaken(
  op: number,
  dst: RegisterValue,
  src: RegisterValue,
): boolean | undefined {
  if (dst.kind === "pkt_end" && src.kind !== "pkt_end")
    return isPktPtrBranchTaken(flip(op), src, dst);
  if (src.kind !== "pkt_end" || dst.size >= 0 || op === EQ || op === NE) return undefined;
  if (op === GT || op === LE) return dst.size === PAST_END ? op === GT : undefined;
  return op === GE || op === LT ? op === GE : undefined;
}
