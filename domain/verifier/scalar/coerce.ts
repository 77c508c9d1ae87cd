import * as range from "./range.ts";
import { Range, s64, u64 } from "./range.ts";
import * as tnum from "./tnum.ts";

/**
 * Numbers reduced to a few bytes, as short loads and sign-extending moves do, and the format of
 * ranges in the log.
 */

const short = new Map<number, Range>();

/** coerce_reg_to_size(): the low bytes, the others zero. */
export function coerceToSize(from: Range, bytes: number): Range {
  if (from !== range.UNKNOWN) return coerceToBytes(from, bytes);
  const kept = short.get(bytes) ?? coerceToBytes(from, bytes);
  short.set(bytes, kept);
  return kept;
}

function coerceToBytes(from: Range, bytes: number): Range {
  const mask = (1n << BigInt(bytes * 8)) - 1n;
  const r = from.copy();
  r.bits = tnum.low(r.bits, bytes);
  const apart = (r.umin & ~mask) !== (r.umax & ~mask);
  r.umin = apart ? 0n : r.umin & mask;
  r.umax = apart ? mask : r.umax & mask;
  r.smin = s64(r.umin);
  r.smax = s64(r.umax);
  if (bytes < 4) r.forget32();
  return range.sync(r);
}

function between(min: bigint, max: bigint): Range {
  const r = new Range();
  r.smin = min;
  r.smax = max;
  r.smin32 = Number(min);
  r.smax32 = Number(max);
  return r;
}

/** coerce_reg_to_size_sx(): the low bytes with their sign. */
export function signExtend(from: Range, bytes: number): Range {
  const bits = bytes * 8;
  const cut = (n: bigint): bigint => BigInt.asIntN(bits, n);
  if (range.isConst(from)) return range.constant(cut(from.bits.value));
  const half = 1n << BigInt(bits - 1);
  const a = cut(from.smax);
  const b = cut(from.smin);
  const sameTop = from.smax >> BigInt(bits) === from.smin >> BigInt(bits);
  if (!sameTop || a >= 0n !== b >= 0n) return between(-half, half - 1n);
  const r = between(range.minOf(a, b), range.maxOf(a, b));
  r.umin = u64(r.smin);
  r.umax = u64(r.smax);
  r.umin32 = r.smin32 >>> 0;
  r.umax32 = r.smax32 >>> 0;
  r.bits = tnum.range(r.umin, r.umax);
  return r;
}

/** coerce_subreg_to_size_sx(): the same within 32 bits, the high half zero. */
export function signExtend32(from: Range, bytes: number): Range {
  const bits = bytes * 8;
  const half = 2 ** (bits - 1);
  const r = from.copy();
  const cut = (n: number): number => Number(BigInt.asIntN(bits, BigInt(n)));
  const a = cut(r.smax32);
  const b = cut(r.smin32);
  const sameTop = r.smax32 >> bits === r.smin32 >> bits;
  const decided = sameTop && a >= 0 === b >= 0;
  if (range.isConst32(r)) {
    return range.constant(BigInt(cut(Number(BigInt.asIntN(32, r.bits.value))) >>> 0));
  }
  r.smin32 = decided ? Math.min(a, b) : -half;
  r.smax32 = decided ? Math.max(a, b) : half - 1;
  r.umin32 = decided ? r.smin32 >>> 0 : 0;
  r.umax32 = decided ? r.smax32 >>> 0 : range.U32_MAX;
  const bitsOf = tnum.range(BigInt(r.umin32), BigInt(r.umax32));
  r.bits = decided ? bitsOf : tnum.low(tnum.UNKNOWN);
  return range.sync(range.zeroExtend(r));
}

const isSmall = (n: bigint): boolean => n >= -0x8000n && n <= 0x7fffn;

/** A signed number in the log: decimal while it is short. */
export function formatSigned(n: bigint): string {
  const value = s64(n);
  return isSmall(value) ? `${value}` : `0x${u64(value).toString(16)}`;
}

export function formatUnsigned(n: bigint): string {
  return n <= 0xffffn ? `${n}` : `0x${n.toString(16)}`;
}

/** A bound of the log; `silent` when it excludes nothing. */
type RangeBound = [name: string, value: bigint, signed: boolean, silent: boolean];

/** A 32-bit bound is shown in hex as 32 bits. */
const half = (n: number): bigint => BigInt(isSmall(BigInt(n)) ? n : n >>> 0);

function bounds(r: Range): RangeBound[] {
  const { umin32, umax32, smin32, smax32 } = r;
  return [
    ["smin", r.smin, true, r.smin === range.S64_MIN],
    ["smax", r.smax, true, r.smax === range.S64_MAX],
    ["umin", r.umin, false, r.umin === 0n],
    ["umax", r.umax, false, r.umax === range.U64_MAX],
    ["smin32", half(smin32), true, smin32 === range.S32_MIN],
    ["smax32", half(smax32), true, smax32 === range.S32_MAX],
    ["umin32", BigInt(umin32), false, umin32 === 0],
    ["umax32", BigInt(umax32), false, umax32 === range.U32_MAX],
  ];
}

/** print_scalar_ranges() and var_off: minima, or maxima, of the same value share it. */
export function formatRange(r: Range): string[] {
  const all = bounds(r);
  const parts: string[] = [];
  for (const [i, [, value, isSigned, silent]] of all.entries()) {
    if (silent) continue;
    const same = all.filter(
      ([, other, , hidden], j) => !hidden && other === value && j % 2 === i % 2,
    );
    for (const bound of same) bound[3] = true;
    const names = same.map(([name]) => name).join("=");
    parts.push(`${names}=${isSigned ? formatSigned(value) : formatUnsigned(value)}`);
  }
  const { value, mask } = r.bits;
  if (value !== 0n || mask !== range.U64_MAX) parts.push(`var_off=${tnum.show(r.bits)}`);
  return parts;
}
