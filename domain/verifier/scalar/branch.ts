import {
  BPF_JEQ,
  BPF_JGE,
  BPF_JGT,
  BPF_JLE,
  BPF_JLT,
  BPF_JNE,
  BPF_JSET,
  BPF_JSGE,
  BPF_JSGT,
  BPF_JSLE,
  BPF_JSLT,
  BPF_X,
} from "../../isa/opcodes.ts";
import type { Range } from "./range.ts";
import * as range from "./range.ts";
import * as tnum from "./tnum.ts";

/**
 * Conditional jumps on numbers: is_scalar_branch_taken() decides them, and regs_refine_cond_op() of
 * Linux 6.18 narrows the operands on each branch.
 */

/** The opposite of BPF_JSET: the operands have no bit in common. */
const CLEAR = BPF_JSET | BPF_X;

const FLIPPED: Readonly<Record<number, number>> = {
  [BPF_JGT]: BPF_JLT,
  [BPF_JGE]: BPF_JLE,
  [BPF_JSGT]: BPF_JSLT,
  [BPF_JSGE]: BPF_JSLE,
  [BPF_JLT]: BPF_JGT,
  [BPF_JLE]: BPF_JGE,
  [BPF_JSLT]: BPF_JSGT,
  [BPF_JSLE]: BPF_JSGE,
};

const OPPOSITE: Readonly<Record<number, number>> = {
  [BPF_JEQ]: BPF_JNE,
  [BPF_JNE]: BPF_JEQ,
  [BPF_JSET]: CLEAR,
  [BPF_JGT]: BPF_JLE,
  [BPF_JGE]: BPF_JLT,
  [BPF_JSGT]: BPF_JSLE,
  [BPF_JSGE]: BPF_JSLT,
  [BPF_JLT]: BPF_JGE,
  [BPF_JLE]: BPF_JGT,
  [BPF_JSLT]: BPF_JSGE,
  [BPF_JSLE]: BPF_JSGT,
};

/** The comparison with its sides exchanged. */
export const flip = (op: number): number => FLIPPED[op] ?? op;
export const opposite = (op: number): number => OPPOSITE[op] ?? op;

const bitsOf = (r: Range, wide: boolean): tnum.Tnum => (wide ? r.bits : tnum.low(r.bits));
const isConst = (r: Range, wide: boolean): boolean => tnum.isConst(bitsOf(r, wide));
type Bounds = readonly [umin: bigint, umax: bigint, smin: bigint, smax: bigint];

function bounds(r: Range, wide: boolean): Bounds {
  if (wide) return [r.umin, r.umax, r.smin, r.smax];
  return [BigInt(r.umin32), BigInt(r.umax32), BigInt(r.smin32), BigInt(r.smax32)];
}

function areDisjoint(a: Bounds, b: Bounds): boolean {
  return a[0] > b[1] || a[1] < b[0] || a[2] > b[3] || a[3] < b[2];
}

function areEqual(a: Range, b: Range, wide: boolean): boolean | undefined {
  const x = bitsOf(a, wide);
  const y = bitsOf(b, wide);
  if (tnum.isConst(x) && tnum.isConst(y)) return x.value === y.value;
  if (!tnum.overlap(x, y) || areDisjoint(bounds(a, wide), bounds(b, wide))) return false;
  return wide && areDisjoint(bounds(a, false), bounds(b, false)) ? false : undefined;
}

function haveCommonBits(a: Range, b: Range, wide: boolean): boolean | undefined {
  const [other, known] = isConst(b, wide) ? [a, b] : [b, a];
  if (!isConst(known, wide)) return undefined;
  const { value, mask } = bitsOf(other, wide);
  const bits = bitsOf(known, wide).value;
  if ((value & bits) !== 0n) return true;
  return ((value | mask) & bits) === 0n ? false : undefined;
}

/** a < b, or a <= b, by the signed or the unsigned bounds. */
function isBelow(min: bigint, max: bigint, min2: bigint, max2: bigint, orEqual: boolean) {
  if (orEqual ? max <= min2 : max < min2) return true;
  return (orEqual ? min > max2 : min >= max2) ? false : undefined;
}

/** Whether `a op b` holds; undefined when both are possible. */
export function isScalarBranchTaken(
  op: number,
  wide: boolean,
  a: Range,
  b: Range,
): boolean | undefined {
  if (op === BPF_JEQ) return areEqual(a, b, wide);
  if (op === BPF_JNE) {
    const same = areEqual(a, b, wide);
    return same === undefined ? undefined : !same;
  }
  if (op === BPF_JSET) return haveCommonBits(a, b, wide);
  if (op === BPF_JGT || op === BPF_JGE || op === BPF_JSGT || op === BPF_JSGE)
    return isScalarBranchTaken(flip(op), wide, b, a);
  const [umin, umax, smin, smax] = bounds(a, wide);
  const [umin2, umax2, smin2, smax2] = bounds(b, wide);
  return op === BPF_JSLT || op === BPF_JSLE
    ? isBelow(smin, smax, smin2, smax2, op === BPF_JSLE)
    : isBelow(umin, umax, umin2, umax2, op === BPF_JLE);
}

function setBits(r: Range, wide: boolean, bits: tnum.Tnum): void {
  r.bits = wide ? bits : tnum.withLow(r.bits, bits);
}

function refineEqual(a: Range, b: Range, wide: boolean): void {
  const bits = tnum.intersect(bitsOf(a, wide), bitsOf(b, wide));
  for (const [r, other] of [
    [a, b],
    [b, a],
  ] as const) {
    if (wide) {
      r.unsigned(other.umin, other.umax);
      r.signed(other.smin, other.smax);
    } else {
      r.unsigned32(other.umin32, other.umax32);
      r.signed32(other.smin32, other.smax32);
    }
  }
  setBits(a, wide, bits);
  setBits(b, wide, bits);
}

function refineUnequal(a: Range, b: Range, wide: boolean): void {
  const [r, known] = isConst(b, wide) ? [a, b] : [b, a];
  if (!isConst(known, wide)) return;
  if (wide) {
    const { value } = known.bits;
    if (r.umin === value) r.umin++;
    if (r.umax === value) r.umax--;
    if (r.smin === range.s64(value)) r.smin++;
    if (r.smax === range.s64(value)) r.smax--;
    return;
  }
  const value = Number(tnum.low(known.bits).value);
  if (r.umin32 === value) r.umin32++;
  if (r.umax32 === value) r.umax32--;
  if (r.smin32 === (value | 0)) r.smin32++;
  if (r.smax32 === (value | 0)) r.smax32--;
}

function refineBits(a: Range, b: Range, wide: boolean, isSet: boolean): void {
  const [r, known] = isConst(b, wide) ? [a, b] : [b, a];
  if (!isConst(known, wide)) return;
  const mask = bitsOf(known, wide);
  const bits = bitsOf(r, wide);
  const single = mask.value !== 0n && (mask.value & (mask.value - 1n)) === 0n;
  if (isSet && single) setBits(r, wide, tnum.or(bits, mask));
  if (!isSet) setBits(r, wide, tnum.and(bits, tnum.constant(~mask.value)));
}

function refineBelow(op: number, wide: boolean, a: Range, b: Range): void {
  const one = op === BPF_JLT || op === BPF_JSLT ? 1 : 0;
  const step = BigInt(one);
  const signed = op === BPF_JSLT || op === BPF_JSLE;
  if (wide && signed) {
    a.smax = range.minOf(a.smax, b.smax - step);
    b.smin = range.maxOf(a.smin + step, b.smin);
  } else if (wide) {
    a.umax = range.minOf(a.umax, b.umax - step);
    b.umin = range.maxOf(a.umin + step, b.umin);
  } else if (signed) {
    a.smax32 = Math.min(a.smax32, b.smax32 - one);
    b.smin32 = Math.max(a.smin32 + one, b.smin32);
  } else {
    a.umax32 = Math.min(a.umax32, b.umax32 - one);
    b.umin32 = Math.max(a.umin32 + one, b.umin32);
  }
}

/** Both ranges, narrowed by `a op b`. */
export function regsRefineCondOp(op: number, wide: boolean, a: Range, b: Range): [Range, Range] {
  const left = a.copy();
  const right = b.copy();
  if (op === BPF_JEQ) refineEqual(left, right, wide);
  else if (op === BPF_JNE) refineUnequal(left, right, wide);
  else if (op === BPF_JSET || op === CLEAR) refineBits(left, right, wide, op === BPF_JSET);
  else if (op === BPF_JGT || op === BPF_JGE || op === BPF_JSGT || op === BPF_JSGE)
    refineBelow(flip(op), wide, right, left);
  else refineBelow(op, wide, left, right);
  return [range.sync(left), range.sync(right)];
}
