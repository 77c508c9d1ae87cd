import {
  BPF_ADD,
  BPF_AND,
  BPF_LSH,
  BPF_MUL,
  BPF_OR,
  BPF_RSH,
  BPF_SUB,
  BPF_XOR,
} from "../../isa/opcodes.ts";
import * as range from "./range.ts";
import {
  maxOf,
  minOf,
  type Range,
  S32_MAX,
  S32_MIN,
  S64_MAX,
  S64_MIN,
  s64,
  U32_MAX,
  U64_MAX,
  u64,
} from "./range.ts";
import { shift } from "./shift.ts";
import * as tnum from "./tnum.ts";

/** adjust_scalar_min_max_vals() of Linux 6.18: arithmetic on ranges. */

type ScalarOperation = (r: Range, a: Range, b: Range) => void;

/** Sums or differences of bounds: unsigned ones may wrap both, signed ones none. */
function bound64(r: Range, umin: bigint, umax: bigint, smin: bigint, smax: bigint): void {
  const wrapped = (umin === u64(umin)) === (umax === u64(umax));
  r.umin = wrapped ? u64(umin) : 0n;
  r.umax = wrapped ? u64(umax) : U64_MAX;
  const kept = smin === s64(smin) && smax === s64(smax);
  r.smin = kept ? smin : S64_MIN;
  r.smax = kept ? smax : S64_MAX;
}

function bound32(r: Range, umin: number, umax: number, smin: number, smax: number): void {
  const wrapped = (umin === umin >>> 0) === (umax === umax >>> 0);
  r.umin32 = wrapped ? umin >>> 0 : 0;
  r.umax32 = wrapped ? umax >>> 0 : U32_MAX;
  const kept = smin === (smin | 0) && smax === (smax | 0);
  r.smin32 = kept ? smin : S32_MIN;
  r.smax32 = kept ? smax : S32_MAX;
}

const add: ScalarOperation = (r, a, b) => {
  bound32(r, a.umin32 + b.umin32, a.umax32 + b.umax32, a.smin32 + b.smin32, a.smax32 + b.smax32);
  bound64(r, a.umin + b.umin, a.umax + b.umax, a.smin + b.smin, a.smax + b.smax);
  r.bits = tnum.add(a.bits, b.bits);
};

const sub: ScalarOperation = (r, a, b) => {
  bound32(r, a.umin32 - b.umax32, a.umax32 - b.umin32, a.smin32 - b.smax32, a.smax32 - b.smin32);
  bound64(r, a.umin - b.umax, a.umax - b.umin, a.smin - b.smax, a.smax - b.smin);
  r.bits = tnum.sub(a.bits, b.bits);
};

function products(a: [bigint, bigint], b: [bigint, bigint]): [bigint, bigint] {
  const all = a.flatMap((x) => b.map((y) => x * y));
  return [all.reduce(minOf), all.reduce(maxOf)];
}

const mul: ScalarOperation = (r, a, b) => {
  const umax = a.umax * b.umax;
  r.umin = umax > U64_MAX ? 0n : a.umin * b.umin;
  r.umax = umax > U64_MAX ? U64_MAX : umax;
  const [smin, smax] = products([a.smin, a.smax], [b.smin, b.smax]);
  const fits = smin >= S64_MIN && smax <= S64_MAX;
  r.smin = fits ? smin : S64_MIN;
  r.smax = fits ? smax : S64_MAX;
  const umax32 = a.umax32 * b.umax32;
  r.umin32 = umax32 > U32_MAX ? 0 : a.umin32 * b.umin32;
  r.umax32 = umax32 > U32_MAX ? U32_MAX : umax32;
  const half = (n: Range): [bigint, bigint] => [BigInt(n.smin32), BigInt(n.smax32)];
  const [smin32, smax32] = products(half(a), half(b)).map(Number) as [number, number];
  const fits32 = smin32 >= S32_MIN && smax32 <= S32_MAX;
  r.smin32 = fits32 ? smin32 : S32_MIN;
  r.smax32 = fits32 ? smax32 : S32_MAX;
  r.bits = tnum.mul(a.bits, b.bits);
};

/** The signed bounds are the unsigned ones, where these do not cross the sign. */
function signedFromUnsigned(r: Range): void {
  const fits = s64(r.umin) <= s64(r.umax);
  r.smin = fits ? s64(r.umin) : S64_MIN;
  r.smax = fits ? s64(r.umax) : S64_MAX;
  const fits32 = (r.umin32 | 0) <= (r.umax32 | 0);
  r.smin32 = fits32 ? r.umin32 | 0 : S32_MIN;
  r.smax32 = fits32 ? r.umax32 | 0 : S32_MAX;
}

function known32(r: Range, value: bigint): void {
  r.umin32 = r.umax32 = Number(value);
  r.smin32 = r.smax32 = Number(value) | 0;
}

/** An operation on bits, which is exact for two constants. */
function bitwise(
  combine: (a: tnum.Tnum, b: tnum.Tnum) => tnum.Tnum,
  bound: (r: Range, a: Range, b: Range) => void,
): ScalarOperation {
  return (r, a, b) => {
    r.bits = combine(a.bits, b.bits);
    bound(r, a, b);
    signedFromUnsigned(r);
    if (range.isConst32(a) && range.isConst32(b)) known32(r, tnum.low(r.bits).value);
    range.fromBits(r);
  };
}

const and = bitwise(tnum.and, (r, a, b) => {
  r.umin = r.bits.value;
  r.umax = minOf(a.umax, b.umax);
  r.umin32 = Number(tnum.low(r.bits).value);
  r.umax32 = Math.min(a.umax32, b.umax32);
});

const or = bitwise(tnum.or, (r, a, b) => {
  r.umin = maxOf(a.umin, b.umin);
  r.umax = r.bits.value | r.bits.mask;
  const { value, mask } = tnum.low(r.bits);
  r.umin32 = Math.max(a.umin32, b.umin32);
  r.umax32 = Number(value | mask);
});

const xor = bitwise(tnum.xor, (r) => {
  r.umin = r.bits.value;
  r.umax = r.bits.value | r.bits.mask;
  const { value, mask } = tnum.low(r.bits);
  r.umin32 = Number(value);
  r.umax32 = Number(value | mask);
});

const PLAIN: Readonly<Record<number, ScalarOperation>> = {
  [BPF_ADD]: add,
  [BPF_SUB]: sub,
  [BPF_MUL]: mul,
  [BPF_OR]: or,
  [BPF_AND]: and,
  [BPF_XOR]: xor,
};

/** The range of `a op b`, zero-extended from 32 bits unless `wide`. A quotient is unknown. */
export function compute(op: number, wide: boolean, a: Range, b: Range): Range {
  const plain = PLAIN[op];
  const r = plain ? a.copy() : shift(op, wide, a, b);
  if (r === null) return range.UNKNOWN;
  plain?.(r, a, b);
  return range.sync(wide ? r : range.zeroExtend(r));
}

const EXACT: Readonly<Record<number, (a: bigint, b: bigint) => bigint>> = {
  [BPF_ADD]: (a, b) => a + b,
  [BPF_SUB]: (a, b) => a - b,
  [BPF_MUL]: (a, b) => a * b,
  [BPF_OR]: (a, b) => a | b,
  [BPF_AND]: (a, b) => a & b,
  [BPF_LSH]: (a, b) => a << b,
  [BPF_RSH]: (a, b) => a >> b,
  [BPF_XOR]: (a, b) => a ^ b,
};

/** The result for two constants; null where compute() is needed. */
export function computeConstant(op: number, wide: boolean, a: bigint, b: bigint): bigint | null {
  const bits = wide ? 64 : 32;
  const exact = EXACT[op];
  const y = BigInt.asUintN(bits, b);
  if (exact === undefined || ((op === BPF_LSH || op === BPF_RSH) && y >= BigInt(bits))) return null;
  return BigInt.asUintN(bits, exact(BigInt.asUintN(bits, a), y));
}

export const negate = (wide: boolean, a: Range): Range => compute(BPF_SUB, wide, range.ZERO, a);
