import { classOf, hasSrcReg, type Insn, jumpTarget, opOf } from "../../isa/insn.ts";
import { BPF_JEQ, BPF_JMP, BPF_JNE } from "../../isa/opcodes.ts";
import { isPktEndComparison, isPktPtrBranchTaken, tryMatchPktPointers } from "../memory/packet.ts";
import { checkNotPointer } from "../memory/ptr_leaks.ts";
import { compute } from "../scalar/arith.ts";
import { flip, isScalarBranchTaken, opposite, regsRefineCondOp } from "../scalar/branch.ts";
import type { Range } from "../scalar/range.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Precision } from "../state/precision.ts";
import { copyState, currentFrame, replaceValues, type VerifierState } from "../state/state.ts";
import {
  constant,
  isPacket,
  isPointer,
  isScalar,
  notNull,
  type RegisterValue,
  shared,
  type ValueKind,
} from "../state/value.ts";

/**
 * check_cond_jmp_op() of Linux 6.18: which branches are possible, and what each tells about the
 * operands.
 */

const isWide = (insn: Insn): boolean => classOf(insn) === BPF_JMP;
const operand = (insn: Insn, regs: readonly RegisterValue[]): RegisterValue =>
  hasSrcReg(insn) ? (regs[insn.src] as RegisterValue) : constant(BigInt(insn.imm));

/** reg_not_null() */
const NOT_NULL: ReadonlySet<ValueKind> = new Set<ValueKind>([
  "map_value",
  "map_key",
  "map_ptr",
  "mem",
  "sock_common",
  "sock",
  "tcp_sock",
  "ringbuf_mem",
]);

const isPacketLike = (v: RegisterValue): boolean => isPacket(v) || v.kind === "pkt_end";

function isPtrBranchTaken(op: number, wide: boolean, pointer: RegisterValue, other: RegisterValue) {
  const known = isScalar(other) && (wide ? range.isConst : range.isConst32)(other.range);
  const zero = known && (wide ? other.range.umin === 0n : other.range.umin32 === 0);
  if (!zero || pointer.canBeNull || !NOT_NULL.has(pointer.kind)) return undefined;
  return op === BPF_JEQ ? false : op === BPF_JNE ? true : undefined;
}

function isBranchTaken(insn: Insn, dst: RegisterValue, src: RegisterValue): boolean | undefined {
  const wide = isWide(insn);
  const op = opOf(insn);
  if (dst.kind === "any" || src.kind === "any") return undefined;
  if (wide && isPacketLike(dst) && isPacketLike(src)) return isPktPtrBranchTaken(op, dst, src);
  if (isPointer(dst)) return isPtrBranchTaken(op, wide, dst, src);
  if (isPointer(src)) return isPtrBranchTaken(flip(op), wide, src, dst);
  return isScalarBranchTaken(op, wide, dst.range, src.range);
}

/** sync_linked_regs(): copies get the same range, shifted by the constant that was added to them. */
function syncLinkedRegs(state: VerifierState, known: RegisterValue): void {
  if (known.id === 0) return;
  replaceValues(state, (v) => {
    if (!isScalar(v) || v.id !== known.id) return v;
    if (v.isLinked === known.isLinked && v.off === known.off) return known;
    const apart = range.constant(BigInt(v.off - known.off));
    const { isExact, precision } = known;
    return { ...v, range: compute(0, true, known.range, apart), isExact, precision };
  });
}

const withRange = (v: RegisterValue, known: Range, from: RegisterValue): RegisterValue => ({
  ...v,
  range: known,
  precision: Precision.derivedFrom(v.precision, from.precision),
});

type Refined = readonly [op: number, a: Range, b: Range, left: Range, right: Range];

/** For each instruction the last operands and results, on each branch. */
const results = new WeakMap<Insn, readonly Refined[]>();

function cachedRefinement(insn: Insn, op: number, a: Range, b: Range): Refined {
  const kept = results.get(insn) ?? [];
  const last = kept.find((one) => one[0] === op && one[1] === a && one[2] === b);
  if (last !== undefined) return last;
  const [left, right] = regsRefineCondOp(op, isWide(insn), a, b);
  const made: Refined = [op, a, b, shared(left), shared(right)];
  results.set(insn, [made, ...kept.filter((one) => one[0] !== op)]);
  return made;
}

/** reg_set_min_max(), on one branch. */
function regSetMinMax(
  state: VerifierState,
  insn: Insn,
  op: number,
  dst: RegisterValue,
  src: RegisterValue,
): void {
  if (!isScalar(dst) || !isScalar(src)) return;
  const { regs } = currentFrame(state);
  const [, , , left, right] = cachedRefinement(insn, op, dst.range, src.range);
  const newDst = withRange(dst, left, src);
  const newSrc = withRange(src, right, dst);
  regs[insn.dst] = newDst;
  if (hasSrcReg(insn)) {
    regs[insn.src] = newSrc;
    syncLinkedRegs(state, newSrc);
  }
  syncLinkedRegs(state, newDst);
}

/** mark_ptr_or_null_regs() */
function markPtrOrNullRegs(state: VerifierState, pointer: RegisterValue, isNull: boolean): void {
  if (isNull && pointer.ref !== 0 && pointer.ref === pointer.id) {
    state.refs = state.refs.filter(({ id }) => id !== pointer.ref);
  }
  replaceValues(state, (v) => {
    if (!v.canBeNull || v.id !== pointer.id) return v;
    return isNull ? constant(0n) : notNull(v);
  });
}

/** When two pointers are equal and one cannot be NULL, neither can the other. */
function markEqualPointersNotNull(
  insn: Insn,
  here: VerifierState,
  there: VerifierState,
  dst: RegisterValue,
  src: RegisterValue,
): void {
  if (!isPointer(dst) || !isPointer(src) || dst.canBeNull === src.canBeNull) return;
  const op = opOf(insn);
  if (op !== BPF_JEQ && op !== BPF_JNE) return;
  const { regs } = currentFrame(op === BPF_JEQ ? there : here);
  const reg = dst.canBeNull ? insn.dst : insn.src;
  const lifted = regs[reg] as RegisterValue;
  regs[reg] = { ...notNull(lifted), id: lifted.id };
}

const COMPARISON_PROHIBITED = "pointer comparison prohibited";
const isInPacket = (v: RegisterValue): boolean => isPacket(v) || v.kind === "pkt_end";

function isNullTest(insn: Insn, { canBeNull }: RegisterValue): boolean {
  const isEquality = opOf(insn) === BPF_JEQ || opOf(insn) === BPF_JNE;
  return canBeNull && isEquality && isWide(insn) && !hasSrcReg(insn) && insn.imm === 0;
}

function comparePointers(
  insn: Insn,
  here: VerifierState,
  there: VerifierState,
  dst: RegisterValue,
  src: RegisterValue,
): void {
  const op = opOf(insn);
  if (hasSrcReg(insn)) markEqualPointersNotNull(insn, here, there, dst, src);
  if (isNullTest(insn, dst)) {
    markPtrOrNullRegs(here, dst, op === BPF_JNE);
    markPtrOrNullRegs(there, dst, op === BPF_JEQ);
    return;
  }
  tryMatchPktPointers(insn, here, there);
}

/** Linux may know more of the value, so that either branch may be dead. */
const isUncertain = (v: RegisterValue): boolean => v.kind === "any" || (isScalar(v) && !v.isExact);

/** What Linux learns from comparing a number with itself is not modelled. */
function forgetExactness(state: VerifierState, reg: number): void {
  const { regs } = currentFrame(state);
  const value = { ...(regs[reg] as RegisterValue), isExact: false };
  regs[reg] = value;
  syncLinkedRegs(state, value);
}

/**
 * The state goes on where Linux does: with the next instruction, if both branches are possible.
 * @returns the state at the target, when it is still to be followed.
 */
export function checkCondJmpOp(
  env: VerifierEnv,
  state: VerifierState,
  insn: Insn,
): VerifierState | null {
  const { regs } = currentFrame(state);
  const dst = regs[insn.dst] as RegisterValue;
  const src = operand(insn, regs);
  const target = jumpTarget(insn, state.at);
  const isOfPackets = isInPacket(dst) && isInPacket(src);
  if (hasSrcReg(insn) && !isOfPackets) checkNotPointer(env, insn.src, src, COMPARISON_PROHIBITED);
  const decided = isBranchTaken(insn, dst, src);
  if (decided !== undefined) {
    if (isScalar(dst)) dst.precision.markChainPrecision();
    if (isScalar(src)) src.precision.markChainPrecision();
    state.at = decided ? target : state.at + 1;
    return null;
  }
  if (!isNullTest(insn, dst) && !isPktEndComparison(insn, dst, src))
    checkNotPointer(env, insn.dst, dst, COMPARISON_PROHIBITED);
  const isItself = hasSrcReg(insn) && insn.dst === insn.src;
  if (isUncertain(dst) || isUncertain(src)) state.isCertain = false;
  if (isItself && isScalar(dst)) forgetExactness(state, insn.dst);
  const there = copyState(state);
  there.at = target;
  state.at += 1;
  const op = opOf(insn);
  if (!isItself) regSetMinMax(there, insn, op, dst, src);
  if (!isItself) regSetMinMax(state, insn, opposite(op), dst, src);
  if (isWide(insn)) comparePointers(insn, state, there, dst, src);
  return there;
}
