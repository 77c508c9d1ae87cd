/** Tracked numbers (kernel/bpf/tnum.c): each bit of a 64-bit value is 0, 1 or unknown. */

/** A bit set in mask is unknown, and clear in value. Both are unsigned 64-bit. */
export interface Tnum {
  readonly value: bigint;
  readonly mask: bigint;
}

const U64 = 0xffff_ffff_ffff_ffffn;
const U32 = 0xffff_ffffn;

const wrap = (n: bigint): bigint => n & U64;
const make = (value: bigint, mask: bigint): Tnum => ({ value, mask });
const known = (value: bigint, unknown: bigint, mask: bigint): Tnum =>
  make(value & ~unknown & U64, mask & U64);

export const UNKNOWN: Tnum = make(0n, U64);

export const constant = (value: bigint): Tnum => make(wrap(value), 0n);
export const isConst = (t: Tnum): boolean => t.mask === 0n;

/** The smallest tnum that holds all numbers from min to max (unsigned). */
export function range(min: bigint, max: bigint): Tnum {
  const differ = min ^ max;
  if (differ === 0n) return constant(min);
  const bits = BigInt(differ.toString(2).length);
  if (bits > 63n) return UNKNOWN;
  const mask = (1n << bits) - 1n;
  return make(min & ~mask, mask);
}

export function add(a: Tnum, b: Tnum): Tnum {
  const value = a.value + b.value;
  const unknown = ((a.mask + b.mask + value) ^ value) | a.mask | b.mask;
  return known(wrap(value), wrap(unknown), unknown);
}

export function sub(a: Tnum, b: Tnum): Tnum {
  const value = wrap(a.value - b.value);
  const unknown = (wrap(value + a.mask) ^ wrap(value - b.mask)) | a.mask | b.mask;
  return known(value, unknown, unknown);
}

export function and(a: Tnum, b: Tnum): Tnum {
  const value = a.value & b.value;
  return make(value, (a.value | a.mask) & (b.value | b.mask) & ~value);
}

export function or(a: Tnum, b: Tnum): Tnum {
  const value = a.value | b.value;
  return make(value, (a.mask | b.mask) & ~value);
}

export function xor(a: Tnum, b: Tnum): Tnum {
  const mask = a.mask | b.mask;
  return make((a.value ^ b.value) & ~mask, mask);
}

/** A tnum that holds the values of both. */
export function union(a: Tnum, b: Tnum): Tnum {
  const mask = (a.value ^ b.value) | a.mask | b.mask;
  return make(a.value & b.value & ~mask, mask);
}

export function mul(a: Tnum, b: Tnum): Tnum {
  if (isConst(a) && isConst(b)) return constant(a.value * b.value);
  let sum = constant(0n);
  let factor = b;
  for (let { value, mask } = a; (value | mask) !== 0n; value >>= 1n, mask >>= 1n) {
    if ((value & 1n) !== 0n) sum = add(sum, factor);
    else if ((mask & 1n) !== 0n) sum = union(sum, add(sum, factor));
    factor = shiftLeft(factor, 1n);
  }
  return sum;
}

export const shiftLeft = (t: Tnum, by: bigint): Tnum =>
  make(wrap(t.value << by), wrap(t.mask << by));

export const shiftRight = (t: Tnum, by: bigint): Tnum => make(t.value >> by, t.mask >> by);

/** Arithmetic, of the low `bits`, which are all of the result. */
export function shiftSigned(t: Tnum, by: bigint, bits: number): Tnum {
  const shift = (n: bigint): bigint => BigInt.asUintN(bits, BigInt.asIntN(bits, n) >> by);
  return make(shift(t.value), shift(t.mask));
}

/** The low bytes in reverse order, the others zero. */
export function swap(t: Tnum, bytes: number): Tnum {
  const reverse = (n: bigint): bigint => {
    let out = 0n;
    for (let i = 0; i < bytes; i++) out = (out << 8n) | ((n >> BigInt(i * 8)) & 0xffn);
    return out;
  };
  return make(reverse(t.value), reverse(t.mask));
}

/** What is known from either; contradictions read as known. */
export function intersect(a: Tnum, b: Tnum): Tnum {
  const mask = a.mask & b.mask;
  return make((a.value | b.value) & ~mask, mask);
}

/** Whether some value is in both. */
export const overlap = (a: Tnum, b: Tnum): boolean =>
  ((a.value ^ b.value) & ~(a.mask | b.mask)) === 0n;

export const low = (t: Tnum, bytes = 4): Tnum => {
  const kept = (1n << BigInt(bytes * 8)) - 1n;
  return make(t.value & kept, t.mask & kept);
};

export const withLow = (t: Tnum, { value, mask }: Tnum): Tnum =>
  make((t.value & ~U32) | value, (t.mask & ~U32) | mask);

/** Whether all of b's values are a's. */
export function includes(a: Tnum, b: Tnum): boolean {
  return (b.mask & ~a.mask) === 0n && a.value === (b.value & ~a.mask);
}

export const isAligned = (t: Tnum, size: bigint): boolean =>
  ((t.value | t.mask) & (size - 1n)) === 0n;

const number = (n: bigint): string => (n <= 0xffffn ? `${n}` : `0x${n.toString(16)}`);

export function show(t: Tnum): string {
  if (isConst(t)) return number(t.value);
  return `(0x${t.value.toString(16)}; 0x${t.mask.toString(16)})`;
}
