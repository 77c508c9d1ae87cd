import { classOf, type Insn, opOf } from "../../isa/insn.ts";
import { BPF_ADD, BPF_ALU64, BPF_AND, BPF_OR, BPF_SUB, BPF_XOR } from "../../isa/opcodes.ts";
import { isSock } from "../memory/sock_fields.ts";
import * as range from "../scalar/range.ts";
import { Range } from "../scalar/range.ts";
import * as tnum from "../scalar/tnum.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  isPacket,
  isPointer,
  type RegisterValue,
  shared,
  typeName,
  UNKNOWN,
} from "../state/value.ts";

/** adjust_ptr_min_max_vals() of Linux 6.18: arithmetic with pointers. */

const BITWISE: Readonly<Record<number, string>> = {
  [BPF_OR]: "|=",
  [BPF_AND]: "&=",
  [BPF_XOR]: "^=",
};
const SIGNS = "+= -= *= /= |= &= <<= >>= neg %= ^= = s>>= endian".split(" ");
/** BPF_MAX_VAR_OFF */
const BPF_MAX_VAR_OFF = 1n << 29n;

const isFar = (n: bigint): boolean => n >= BPF_MAX_VAR_OFF || n <= -BPF_MAX_VAR_OFF;

/** check_reg_sane_offset(): far from any overflow; why not, or null. */
function checkRegSaneOffset(by: RegisterValue, kind: string): string | null {
  const { bits, smin } = by.range;
  if (tnum.isConst(bits) && isFar(range.s64(bits.value))) {
    return `math between ${kind} pointer and ${range.s64(bits.value)} is not allowed`;
  }
  if (isPointer(by) && isFar(BigInt(by.off))) {
    return `${kind} pointer offset ${by.off} is not allowed`;
  }
  if (smin === range.S64_MIN) {
    return `math between ${kind} pointer and register with unbounded min value is not allowed`;
  }
  return isFar(smin) ? `value ${smin} makes ${kind} pointer be out of bounds` : null;
}

function refuse(insn: Insn, text: string): never {
  throw new Refused("EACCES", `R${insn.dst} ${text}`);
}

function checkPointerAllowed(insn: Insn, pointer: RegisterValue, by: RegisterValue): void {
  const name = typeName(pointer);
  if (pointer.canBeNull)
    refuse(insn, `pointer arithmetic on ${name} prohibited, null-check it first`);
  if (pointer.kind !== "pkt_end" && pointer.kind !== "map_ptr" && !isSock(pointer)) return;
  const none = range.isZero(by.range) && opOf(insn) === BPF_ADD && pointer.kind === "map_ptr";
  if (!none) {
    if (pointer.kind === "map_ptr" && !by.isExact) {
      throw new Refused("EACCES", `R${insn.dst} pointer arithmetic on ${name} prohibited`, false);
    }
    refuse(insn, `pointer arithmetic on ${name} prohibited`);
  }
}

/** The sum of a fixed offset, while it stays an int. */
function addToFixedOffset(pointer: RegisterValue, by: bigint): RegisterValue | null {
  const off = BigInt(pointer.off) + by;
  if (off !== BigInt.asIntN(32, off)) return null;
  return { ...pointer, off: Number(off) };
}

function addToVariableOffset(
  env: VerifierEnv,
  pointer: RegisterValue,
  by: RegisterValue,
): RegisterValue {
  const a = pointer.range;
  const b = by.range;
  const r = new Range();
  const smin = a.smin + b.smin;
  const smax = a.smax + b.smax;
  const fits = smin === range.s64(smin) && smax === range.s64(smax);
  if (fits) r.signed(smin, smax);
  if (a.umax + b.umax <= range.U64_MAX) r.unsigned(a.umin + b.umin, a.umax + b.umax);
  r.bits = tnum.add(a.bits, b.bits);
  const moved = { ...pointer, range: r, isExact: pointer.isExact && by.isExact };
  return isPacket(pointer) ? { ...moved, id: env.nextId(), size: 0 } : moved;
}

function subtractFromVariableOffset(
  env: VerifierEnv,
  pointer: RegisterValue,
  by: RegisterValue,
): RegisterValue {
  const a = pointer.range;
  const b = by.range;
  const r = new Range();
  const smin = a.smin - b.smax;
  const smax = a.smax - b.smin;
  const fits = smin === range.s64(smin) && smax === range.s64(smax);
  if (fits) r.signed(smin, smax);
  if (a.umin >= b.umax) r.unsigned(a.umin - b.umax, a.umax - b.umin);
  r.bits = tnum.sub(a.bits, b.bits);
  const moved = { ...pointer, range: r, isExact: pointer.isExact && by.isExact };
  if (!isPacket(pointer)) return moved;
  return { ...moved, id: env.nextId(), size: b.smin < 0n ? 0 : pointer.size };
}

function movePointer(
  env: VerifierEnv,
  insn: Insn,
  pointer: RegisterValue,
  by: RegisterValue,
  isLeft: boolean,
): RegisterValue {
  const op = opOf(insn);
  const sign = SIGNS[op >> 4] ?? "";
  const known = range.isConst(by.range) ? by.range.smin : null;
  if (op === BPF_ADD) {
    return (
      (known === null ? null : addToFixedOffset(pointer, known)) ??
      addToVariableOffset(env, pointer, by)
    );
  }
  if (op === BPF_SUB) {
    if (!isLeft) refuse(insn, "tried to subtract pointer from scalar");
    if (pointer.kind === "fp") refuse(insn, "subtraction from stack pointer prohibited");
    return (
      (known === null ? null : addToFixedOffset(pointer, -known)) ??
      subtractFromVariableOffset(env, pointer, by)
    );
  }
  if (BITWISE[op]) refuse(insn, `bitwise operator ${sign} on pointer prohibited`);
  return refuse(insn, `pointer arithmetic with ${sign} operator prohibited`);
}

/** What dst holds after `dst op= src`, one of the two or both being pointers. */
export function adjustPtrMinMaxVals(
  env: VerifierEnv,
  insn: Insn,
  dst: RegisterValue,
  src: RegisterValue,
): RegisterValue {
  const op = opOf(insn);
  if (isPointer(dst) && isPointer(src)) {
    if (op === BPF_SUB && env.canLeakPointers) return UNKNOWN;
    refuse(insn, `pointer ${SIGNS[op >> 4]} pointer prohibited`);
  }
  const isLeft = isPointer(dst);
  const [pointer, by] = isLeft ? [dst, src] : [src, dst];
  by.precision.markChainPrecision();
  if (by.range.smin > by.range.smax || by.range.umin > by.range.umax) return UNKNOWN;
  if (classOf(insn) !== BPF_ALU64) {
    if (op === BPF_SUB && env.canLeakPointers) return UNKNOWN;
    refuse(insn, "32-bit pointer arithmetic prohibited");
  }
  checkPointerAllowed(insn, pointer, by);
  const isCertain = pointer.isExact && by.isExact;
  const before = checkRegSaneOffset(by, pointer.kind) ?? checkRegSaneOffset(pointer, pointer.kind);
  if (before !== null) throw new Refused("EINVAL", before, isCertain);
  const moved = movePointer(env, insn, pointer, by, isLeft);
  const after = checkRegSaneOffset(moved, pointer.kind);
  if (after !== null) throw new Refused("EINVAL", after, isCertain);
  if (moved.range === pointer.range) return moved;
  return { ...moved, range: shared(range.sync(moved.range.copy().forget32())) };
}
