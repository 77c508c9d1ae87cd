/** Computes eBPF arithmetic and comparisons on BigInt; registers are unsigned 64-bit numbers. */

const U = (bits: number, x: bigint): bigint => BigInt.asUintN(bits, x);
const S = (bits: number, x: bigint): bigint => BigInt.asIntN(bits, x);

function divide(bits: number, x: bigint, y: bigint, signed: boolean): bigint {
  if (U(bits, y) === 0n) return 0n;
  return signed ? S(bits, x) / S(bits, y) : U(bits, x) / U(bits, y);
}

function modulo(bits: number, x: bigint, y: bigint, signed: boolean): bigint {
  if (U(bits, y) === 0n) return x;
  return signed ? S(bits, x) % S(bits, y) : U(bits, x) % U(bits, y);
}

/**
 * `op` is the upper half of the opcode; `off` selects signed division or the source width of a MOV.
 */
export function alu(bits: 32 | 64, op: number, off: number, x: bigint, y: bigint): bigint {
  const shift = U(bits, y) & BigInt(bits - 1);
  const results = [
    () => x + y,
    () => x - y,
    () => x * y,
    () => divide(bits, x, y, off === 1),
    () => x | y,
    () => x & y,
    () => x << shift,
    () => U(bits, x) >> shift,
    () => -x,
    () => modulo(bits, x, y, off === 1),
    () => x ^ y,
    () => (off === 0 ? y : S(off, y)),
    () => S(bits, x) >> shift,
  ];
  return U(bits, (results[op] as () => bigint)());
}

/** Returns the low `bits` bits, byte-swapped if `swapped` is set. */
export function byteOrder(bits: number, swapped: boolean, x: bigint): bigint {
  const hex = U(bits, x)
    .toString(16)
    .padStart(bits / 4, "0");
  const bytes = hex.match(/../g) ?? [];
  return BigInt(`0x${(swapped ? bytes.reverse() : bytes).join("")}`);
}

export function holds(bits: 32 | 64, op: number, x: bigint, y: bigint): boolean {
  const [a, b, sa, sb] = [U(bits, x), U(bits, y), S(bits, x), S(bits, y)];
  const [less, more] = [a < b, a > b];
  const signed = { less: sa < sb, more: sa > sb };
  const results = [
    [0x1, a === b],
    [0x2, more],
    [0x3, !less],
    [0x4, (a & b) !== 0n],
    [0x5, a !== b],
    [0x6, signed.more],
    [0x7, !signed.less],
    [0xa, less],
    [0xb, !more],
    [0xc, signed.less],
    [0xd, !signed.more],
  ] as const;
  return results.find(([which]) => which === op)?.[1] as boolean;
}

/** Returns the value that an atomic instruction stores in place of `old`. */
export function exchanged(imm: number, old: bigint, operand: bigint, expected: bigint): bigint {
  switch (imm & 0xf0) {
    case 0x00:
      return old + operand;
    case 0x40:
      return old | operand;
    case 0x50:
      return old & operand;
    case 0xa0:
      return old ^ operand;
    case 0xe0:
      return operand;
    default:
      return old === expected ? operand : old;
  }
}
