import * as tnum from "./tnum.ts";

/**
 * The bounds of a 64-bit number: signed and unsigned, of the whole and of its low half, and its
 * known bits. reg_bounds_sync() of Linux 6.18 sharpens each by the others.
 */

export const U64_MAX = 0xffff_ffff_ffff_ffffn;
export const S64_MIN = -0x8000_0000_0000_0000n;
export const S64_MAX = 0x7fff_ffff_ffff_ffffn;
export const U32_MAX = 0xffff_ffff;
export const S32_MIN = -0x8000_0000;
export const S32_MAX = 0x7fff_ffff;

const HIGH = 0xffff_ffff_0000_0000n;

export const s64 = (n: bigint): bigint => BigInt.asIntN(64, n);
export const u64 = (n: bigint): bigint => BigInt.asUintN(64, n);
export const u32 = (n: bigint): number => Number(BigInt.asUintN(32, n));
export const s32 = (n: bigint): number => Number(BigInt.asIntN(32, n));
export const maxOf = (a: bigint, b: bigint): bigint => (a > b ? a : b);
export const minOf = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** Invariant: only its creator changes it, before anything else holds it. */
export class Range {
  umin = 0n;
  umax = U64_MAX;
  smin = S64_MIN;
  smax = S64_MAX;
  umin32 = 0;
  umax32 = U32_MAX;
  smin32 = S32_MIN;
  smax32 = S32_MAX;
  bits: tnum.Tnum = tnum.UNKNOWN;

  copy(): Range {
    return Object.assign(new Range(), this);
  }

  forget64(): this {
    this.umin = 0n;
    this.umax = U64_MAX;
    this.smin = S64_MIN;
    this.smax = S64_MAX;
    return this;
  }

  forget32(): this {
    this.umin32 = 0;
    this.umax32 = U32_MAX;
    this.smin32 = S32_MIN;
    this.smax32 = S32_MAX;
    return this;
  }

  unsigned(min: bigint, max: bigint): void {
    this.umin = maxOf(this.umin, min);
    this.umax = minOf(this.umax, max);
  }

  signed(min: bigint, max: bigint): void {
    this.smin = maxOf(this.smin, min);
    this.smax = minOf(this.smax, max);
  }

  unsigned32(min: number, max: number): void {
    this.umin32 = Math.max(this.umin32, min);
    this.umax32 = Math.min(this.umax32, max);
  }

  signed32(min: number, max: number): void {
    this.smin32 = Math.max(this.smin32, min);
    this.smax32 = Math.min(this.smax32, max);
  }
}

export const UNKNOWN: Range = new Range();

const constants = new Map<bigint, Range>();
const CONSTANTS_KEPT = 4096;

function makeConstant(value: bigint): Range {
  const r = new Range();
  r.umin = r.umax = value;
  r.smin = r.smax = s64(value);
  r.umin32 = r.umax32 = u32(value);
  r.smin32 = r.smax32 = s32(value);
  r.bits = tnum.constant(value);
  return r;
}

/** The range of one integer, modulo 2^64. */
export function constant(n: bigint): Range {
  const value = u64(n);
  const kept = constants.get(value);
  if (kept !== undefined) return kept;
  const made = makeConstant(value);
  if (constants.size < CONSTANTS_KEPT) constants.set(value, made);
  return made;
}

export const ZERO = constant(0n);

export const isConst = (r: Range): boolean => r.bits.mask === 0n;
export const isConst32 = (r: Range): boolean => tnum.isConst(tnum.low(r.bits));
export const isZero = (r: Range): boolean => r.bits.mask === 0n && r.bits.value === 0n;

export function fromBits32(r: Range): void {
  const { value, mask } = tnum.low(r.bits);
  r.signed32(s32(value | (mask & 0x8000_0000n)), s32(value | (mask & 0x7fff_ffffn)));
  r.unsigned32(Number(value), Number(value | mask));
}

export function fromBits(r: Range): void {
  fromBits32(r);
  const { value, mask } = r.bits;
  r.signed(s64(value | (mask & ~(U64_MAX >> 1n))), s64(value | (mask & S64_MAX)));
  r.unsigned(value, value | mask);
}

/** The low halves of min and max bound all between them, if the high halves are equal or adjacent. */
function deduceLowHalves(r: Range, min: bigint, max: bigint): void {
  const apart = BigInt.asUintN(32, (max >> 32n) - (min >> 32n));
  const same = min >> 32n === max >> 32n;
  if (same && u32(min) <= u32(max)) r.unsigned32(u32(min), u32(max));
  if (same && s32(min) <= s32(max)) r.signed32(s32(min), s32(max));
  if (apart === 1n && s32(min) < 0 && s32(max) >= 0) r.signed32(s32(min), s32(max));
}

function deduce32(r: Range): void {
  deduceLowHalves(r, r.umin, r.umax);
  deduceLowHalves(r, r.smin, r.smax);
  if ((r.umin32 | 0) <= (r.umax32 | 0)) r.signed32(r.umin32 | 0, r.umax32 | 0);
  if (r.smin32 >>> 0 <= r.smax32 >>> 0) r.unsigned32(r.smin32 >>> 0, r.smax32 >>> 0);
  else if (r.umax32 < r.smin32 >>> 0) {
    r.smin32 = r.umin32 | 0;
    r.umax32 = Math.min(r.umax32, r.smax32 >>> 0);
  } else if (r.smax32 >>> 0 < r.umin32) {
    r.smax32 = r.umax32 | 0;
    r.umin32 = Math.max(r.umin32, r.smin32 >>> 0);
  }
}

function deduce64(r: Range): void {
  if (s64(r.umin) <= s64(r.umax)) r.signed(s64(r.umin), s64(r.umax));
  if (u64(r.smin) <= u64(r.smax)) {
    r.unsigned(u64(r.smin), u64(r.smax));
  } else if (r.umax < u64(r.smin)) {
    r.smin = s64(r.umin);
    r.umax = minOf(r.umax, u64(r.smax));
  } else if (u64(r.smax) < r.umin) {
    r.smax = s64(r.umax);
    r.umin = maxOf(r.umin, u64(r.smin));
  }
}

function deduceMixed(r: Range): void {
  const min = BigInt(r.umin32);
  const max = BigInt(r.umax32);
  r.unsigned((r.umin & HIGH) | min, (r.umax & HIGH) | max);
  r.signed(s64((u64(r.smin) & HIGH) | min), s64((u64(r.smax) & HIGH) | max));
  if (r.smin32 < 0 || r.smin < BigInt(S32_MIN) || r.smax > BigInt(S32_MAX)) return;
  r.smin = r.umin = BigInt(r.smin32);
  r.smax = r.umax = BigInt(r.smax32);
  r.bits = tnum.intersect(r.bits, tnum.range(r.umin, r.umax));
}

function fromBounds(r: Range): void {
  const whole = tnum.intersect(r.bits, tnum.range(r.umin, r.umax));
  const half = tnum.range(BigInt(r.umin32), BigInt(r.umax32));
  r.bits = tnum.withLow(whole, tnum.intersect(tnum.low(whole), half));
}

/** Linux deduces three times; here a round without effect is the last. */
const ROUNDS = 3;

/** @returns whether anything changed. */
function deduce(r: Range): boolean {
  const { umin, umax, smin, smax, umin32, umax32, smin32, smax32 } = r;
  deduce32(r);
  deduce64(r);
  deduceMixed(r);
  const same32 = umin32 === r.umin32 && umax32 === r.umax32;
  const sameSigned32 = smin32 === r.smin32 && smax32 === r.smax32;
  const same64 = umin === r.umin && umax === r.umax && smin === r.smin && smax === r.smax;
  return !(same32 && sameSigned32 && same64);
}

export function sync(r: Range): Range {
  fromBits(r);
  for (let round = 0; round < ROUNDS; round++) if (!deduce(r)) break;
  fromBounds(r);
  fromBits(r);
  return r;
}

/** zext_32_to_64(): the high half is zero. */
export function zeroExtend(r: Range): Range {
  r.bits = tnum.low(r.bits);
  r.umin = BigInt(r.umin32);
  r.umax = BigInt(r.umax32);
  const positive = r.smin32 >= 0;
  r.smin = positive ? BigInt(r.smin32) : 0n;
  r.smax = positive ? BigInt(r.smax32) : BigInt(U32_MAX);
  return r;
}
