import { classOf, hasSrcReg, type Insn, opOf } from "../../isa/insn.ts";
import { BPF_ADD, BPF_ALU64, BPF_END, BPF_MOV, BPF_NEG } from "../../isa/opcodes.ts";
import { checkNotPointer } from "../memory/ptr_leaks.ts";
import { compute, computeConstant, negate } from "../scalar/arith.ts";
import { signExtend, signExtend32 } from "../scalar/coerce.ts";
import * as range from "../scalar/range.ts";
import { Range } from "../scalar/range.ts";
import * as tnum from "../scalar/tnum.ts";
import type { VerifierEnv } from "../state/env.ts";
import {
  constant,
  isConst,
  isPointer,
  isScalar,
  type RegisterValue,
  scalar,
  shared,
  UNKNOWN,
  UNMODELLED,
} from "../state/value.ts";
import { adjustPtrMinMaxVals } from "./pointer.ts";

/** check_alu_op() of Linux 6.18: arithmetic on numbers, and pointers moved by numbers. */

const S32_MAX = 0x7fff_ffffn;

const isWide = (insn: Insn): boolean => classOf(insn) === BPF_ALU64;
const unlinked = (v: RegisterValue): RegisterValue => ({ ...v, id: 0, isLinked: false, off: 0 });

function low32(v: RegisterValue): RegisterValue {
  const known = range.sync(range.zeroExtend(v.range.copy()));
  return { ...v, range: shared(known) };
}

function signExtended(wide: boolean, insn: Insn, v: RegisterValue): RegisterValue {
  const bytes = insn.off / 8;
  const plain = v.range.umax < 1n << BigInt(insn.off - 1);
  const known = wide ? signExtend(v.range, bytes) : signExtend32(v.range, bytes);
  return { ...(plain ? v : unlinked(v)), range: known };
}

/** A copy shares the id of the original, unless it is truncated. */
function move(env: VerifierEnv, regs: RegisterValue[], insn: Insn): RegisterValue {
  const wide = isWide(insn);
  const from = regs[insn.src] as RegisterValue;
  if (from.kind === "any") return UNMODELLED;
  if (!wide) checkNotPointer(env, insn.src, from, "partial copy of pointer");
  else if (insn.off !== 0) checkNotPointer(env, insn.src, from, "sign-extension part of pointer");
  if (!isScalar(from)) return wide && insn.off === 0 ? from : wide ? UNKNOWN : low32(UNKNOWN);
  const bits = insn.off === 0 ? (wide ? 64 : 32) : insn.off - 1;
  const whole = from.range.umax < 1n << BigInt(bits);
  const same = whole && !isConst(from) ? env.assignScalarId(from) : from;
  regs[insn.src] = same;
  if (insn.off !== 0) return signExtended(wide, insn, same);
  if (wide) return same;
  return low32(whole ? same : unlinked(same));
}

/** The machine is little-endian, so that a conversion to little endian only truncates. */
function byteSwapped(insn: Insn, v: RegisterValue): RegisterValue {
  if (v.kind === "any") return UNMODELLED;
  if (!isScalar(v)) return UNKNOWN;
  const bytes = insn.imm / 8;
  const keepsOrder = !isWide(insn) && !hasSrcReg(insn);
  if (keepsOrder && bytes === 8) return v;
  const known = new Range();
  known.bits = keepsOrder ? tnum.low(v.range.bits, bytes) : tnum.swap(v.range.bits, bytes);
  return scalar(shared(range.sync(known)), v.isExact, v);
}

/** BPF_ADD_CONST: adding one constant to a copy keeps it linked. */
function addConstToLinked(
  insn: Insn,
  before: RegisterValue,
  by: RegisterValue,
  after: RegisterValue,
): RegisterValue {
  const { id } = before;
  if (id === 0 || opOf(insn) !== BPF_ADD || !isWide(insn) || !isConst(by)) return after;
  const added = by.range.bits.value;
  if (before.isLinked || added > S32_MAX) return after;
  return { ...after, id, isLinked: true, off: Number(added) };
}

/** For each instruction the last operands and their result. */
const results = new WeakMap<Insn, readonly [a: Range, b: Range, result: Range]>();

function cachedResult(insn: Insn, a: Range, b: Range): Range {
  const last = results.get(insn);
  if (last !== undefined && last[0] === a && last[1] === b) return last[2];
  const result = shared(compute(opOf(insn), isWide(insn), a, b));
  results.set(insn, [a, b, result]);
  return result;
}

function binary(
  env: VerifierEnv,
  insn: Insn,
  dst: RegisterValue,
  src: RegisterValue,
): RegisterValue {
  if (dst.kind === "any" || src.kind === "any") return UNMODELLED;
  if (isPointer(dst) || isPointer(src)) return adjustPtrMinMaxVals(env, insn, dst, src);
  const isExact = dst.isExact && src.isExact;
  if (isExact && isConst(dst) && isConst(src)) {
    const { value: a } = dst.range.bits;
    const n = computeConstant(opOf(insn), isWide(insn), a, src.range.bits.value);
    if (n !== null) return scalar(range.constant(n), true, dst, src);
  }
  const known = cachedResult(insn, dst.range, src.range);
  return addConstToLinked(insn, dst, src, scalar(known, isExact, dst, src));
}

function negated(insn: Insn, dst: RegisterValue): RegisterValue {
  if (dst.kind === "any") return UNMODELLED;
  if (!isScalar(dst)) return UNKNOWN;
  return scalar(shared(negate(isWide(insn), dst.range)), dst.isExact, dst);
}

/** @returns the new value of the destination register. */
export function checkAluOp(env: VerifierEnv, regs: RegisterValue[], insn: Insn): RegisterValue {
  const op = opOf(insn);
  const dst = regs[insn.dst] as RegisterValue;
  if (op === BPF_NEG || op === BPF_END)
    checkNotPointer(env, insn.dst, dst, "pointer arithmetic prohibited");
  if (op === BPF_NEG) return negated(insn, dst);
  if (op === BPF_END) return byteSwapped(insn, dst);
  const imm = BigInt(insn.imm);
  if (op === BPF_MOV) {
    if (hasSrcReg(insn)) return move(env, regs, insn);
    return constant(isWide(insn) ? imm : BigInt.asUintN(32, imm));
  }
  const src = hasSrcReg(insn) ? (regs[insn.src] as RegisterValue) : constant(imm);
  return binary(env, insn, dst, src);
}
