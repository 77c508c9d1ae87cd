import { describe, expect, it } from "vitest";
import { EXIT, insn } from "../support/insns.ts";
import { all, done, outcomes } from "../support/interpreter/execution_modes.ts";

/**
 * Tests the rules of the instruction set that are easily misread. Each row has a claim, the code,
 * and r0.
 */

const MIN64 = -(1n << 63n);
const set = (reg: number, value: bigint): Buffer => {
  const [low, high] = [Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))];
  return Buffer.concat([insn(0x18, reg, 0, 0, low), insn(0, 0, 0, 0, high)]);
};
/** Computes r0 = x `code` y with y in a register. */
const by = (code: number, x: bigint, y: bigint, off = 0): Buffer[] => [
  set(0, x),
  set(1, y),
  insn(code | 8, 0, 1, off),
];
/** Computes r0 = x `code` y with y as a constant. */
const imm = (code: number, x: bigint, y: number, off = 0): Buffer[] => [
  set(0, x),
  insn(code, 0, 0, off, y),
];
/** Sets r0 to 1 when the jump is taken, else to 0. */
const taken = (code: number, x: bigint, y: bigint): Buffer[] => [
  set(1, x),
  set(2, y),
  insn(0xb7, 0, 0, 0, 1),
  insn(code | 8, 1, 2, 1),
  insn(0xb7, 0, 0, 0, 0),
];
const takenK = (code: number, x: bigint, y: number): Buffer[] => [
  set(1, x),
  insn(0xb7, 0, 0, 0, 1),
  insn(code, 1, 0, 1, y),
  insn(0xb7, 0, 0, 0, 0),
];

type Row = [claim: string, code: Buffer[], r0: bigint];

const ARITHMETIC: Row[] = [
  ["64 bits wrap", by(0x07, -1n, 2n), 1n],
  ["32 bits wrap, and the upper half is cleared", by(0x04, -1n, 2n), 1n],
  ["a constant is sign-extended to 64 bits", imm(0x07, 0n, -1), -1n],
  ["and: the constant, too", imm(0x57, -1n, -16), -16n],
  ["32-bit or clears the upper half", imm(0x44, -1n, 0), 0xffffffffn],
  ["mov of a constant extends its sign", imm(0xb7, 0n, -5), -5n],
  ["mov32 of a constant does not", imm(0xb4, 0n, -5), 0xfffffffbn],
  ["mov32 of a register cuts", by(0xb4, 0n, MIN64 + 7n), 7n],
  ["movsx 8 to 64", by(0xb7, 0n, 0x1ffn, 8), -1n],
  ["movsx 16 to 64", by(0xb7, 0n, 0x18000n, 16), -0x8000n],
  ["movsx 32 to 64", by(0xb7, 0n, 0x1_8000_0000n, 32), -0x8000_0000n],
  ["movsx 8 to 32 clears the upper half", by(0xb4, 0n, 0x80n, 8), 0xffffff80n],
  ["movsx 16 to 32 clears it", by(0xb4, 0n, 0x8000n, 16), 0xffff8000n],
  ["neg of the least number is itself", imm(0x87, MIN64, 0), MIN64],
  ["neg32 clears the upper half", imm(0x84, 1n, 0), 0xffffffffn],
  ["mul keeps the low 64 bits", by(0x27, 0x1_0000_0001n, 0x1_0000_0001n), 0x2_0000_0001n],
  ["shift counts are taken modulo 64", by(0x67, 1n, 65n), 2n],
  ["shift counts are taken modulo 32", by(0x64, 1n, 33n), 2n],
  ["rsh brings in zeros", by(0x77, -1n, 60n), 15n],
  ["arsh brings in the sign", by(0xc7, MIN64, 63n), -1n],
  ["arsh32 takes the sign from bit 31", by(0xc4, 0x8000_0000n, 31n), 0xffffffffn],
];

const DIVISION: Row[] = [
  ["x / 0 is 0", by(0x37, 7n, 0n), 0n],
  ["x % 0 is x", by(0x97, -7n, 0n), -7n],
  ["x / 0 is 0 in 32 bits", by(0x34, -7n, 0n), 0n],
  ["x % 0 in 32 bits is x, cut", by(0x94, -7n, 0n), 0xfffffff9n],
  ["only the low half counts as divisor of 32 bits", by(0x34, 7n, 1n << 32n), 0n],
  ["x s/ 0 is 0", by(0x37, -7n, 0n, 1), 0n],
  ["x s% 0 is x", by(0x97, -7n, 0n, 1), -7n],
  ["the least number s/ -1 is itself", by(0x37, MIN64, -1n, 1), MIN64],
  ["the least number s% -1 is 0", by(0x97, MIN64, -1n, 1), 0n],
  ["the least number of 32 bits s/ -1", by(0x34, 0x8000_0000n, -1n, 1), 0x8000_0000n],
  ["the least number of 32 bits s% -1", by(0x94, 0x8000_0000n, -1n, 1), 0n],
  ["the least number s/ the constant -1", imm(0x37, MIN64, -1, 1), MIN64],
  ["the least number s% the constant -1", imm(0x97, MIN64, -1, 1), 0n],
  ["s/ goes towards 0", by(0x37, -7n, 2n, 1), -3n],
  ["s% has the sign of the dividend", by(0x97, -7n, 2n, 1), -1n],
  ["s% by a negative number", by(0x97, 7n, -2n, 1), 1n],
  ["div is unsigned", by(0x37, -1n, 2n), (1n << 63n) - 1n],
  ["div by a negative constant takes it as unsigned", imm(0x37, -1n, -1), 1n],
  ["div32 by a negative constant", imm(0x34, 0xffffffffn, -1), 1n],
  ["s/ 32 clears the upper half", by(0x34, -8n, 2n, 1), 0xfffffffcn],
];

const X = 0x1122334455667788n;
const ORDER: Row[] = [
  ["le16 cuts", imm(0xd4, X, 16), 0x7788n],
  ["le32 cuts", imm(0xd4, X, 32), 0x55667788n],
  ["le64 does nothing", imm(0xd4, X, 64), X],
  ["be16", imm(0xdc, X, 16), 0x8877n],
  ["be32", imm(0xdc, X, 32), 0x88776655n],
  ["be64", imm(0xdc, X, 64), 0x8877665544332211n],
  ["bswap16", imm(0xd7, X, 16), 0x8877n],
  ["bswap32", imm(0xd7, X, 32), 0x88776655n],
  ["bswap64", imm(0xd7, X, 64), 0x8877665544332211n],
];

const JUMPS: Row[] = [
  ["jgt is unsigned", taken(0x25, -1n, 1n), 1n],
  ["jsgt is signed", taken(0x65, -1n, 1n), 0n],
  ["jlt is unsigned", taken(0xa5, -1n, 1n), 0n],
  ["jslt is signed", taken(0xc5, -1n, 1n), 1n],
  ["jge takes what is equal", taken(0x35, 5n, 5n), 1n],
  ["jsle takes what is equal", taken(0xd5, -5n, -5n), 1n],
  ["jeq looks at 64 bits", taken(0x15, 1n << 32n, 0n), 0n],
  ["jeq32 looks at 32", taken(0x16, 1n << 32n, 0n), 1n],
  ["jne32 looks at 32", taken(0x56, 1n << 32n, 0n), 0n],
  ["jsgt32 takes the sign from bit 31", taken(0x66, 0x8000_0000n, 1n), 0n],
  ["jset: some bit is in both", taken(0x45, 6n, 3n), 1n],
  ["jset: none is", taken(0x45, 4n, 3n), 0n],
  ["jset with a negative constant tests the upper half, too", takenK(0x45, 1n << 40n, -256), 1n],
  ["jset32 does not", takenK(0x46, 1n << 40n, -256), 0n],
  ["a constant is sign-extended, then compared unsigned", takenK(0x25, 1n << 40n, -1), 0n],
  ["jeq32 with a negative constant", takenK(0x16, 0xffffffffn, -1), 1n],
  ["jeq with a negative constant", takenK(0x15, 0xffffffffn, -1), 0n],
  ["gotol jumps by its constant", [insn(0x06, 0, 0, 0, 1), EXIT, insn(0xb7, 0, 0, 0, 9)], 9n],
];

/** r1 points to the bytes 01 02 03 and so on; this sets the sign bit of byte 7. */
const NEGATIVE = insn(0x72, 1, 0, 7, 0x80);
const LOADS: Row[] = [
  ["8 bits are zero-extended", [NEGATIVE, insn(0x71, 0, 1, 7)], 0x80n],
  ["16 bits, unaligned", [insn(0x69, 0, 1, 1)], 0x0302n],
  ["32 bits, unaligned", [insn(0x61, 0, 1, 3)], 0x07060504n],
  ["64 bits, over a granule's end", [insn(0x79, 0, 1, 5)], 0x0d0c0b0a09080706n],
  ["8 bits are sign-extended", [NEGATIVE, insn(0x91, 0, 1, 7)], -128n],
  ["16 bits are sign-extended", [NEGATIVE, insn(0x89, 0, 1, 6)], -0x7ff9n],
  ["32 bits are sign-extended", [NEGATIVE, insn(0x81, 0, 1, 4)], -0x7ff8f9fbn],
  [
    "a constant of 64 bits is stored sign-extended",
    [insn(0x7a, 1, 0, 0, -2), insn(0x79, 0, 1)],
    -2n,
  ],
  ["a store of 8 bits cuts", [insn(0x72, 1, 0, 0, 0x1ff), insn(0x69, 0, 1)], 0x02ffn],
  ["a load into its own base", [insn(0x61, 1, 1), insn(0xbf, 0, 1)], 0x04030201n],
];

describe.each([
  ["arithmetic", ARITHMETIC],
  ["division", DIVISION],
  ["byte order", ORDER],
  ["jumps", JUMPS],
  ["loads and stores", LOADS],
])("%s", (group, rows) => {
  it.each(rows)(`${group} of the ISA: %s`, (_claim, code, r0) => {
    expect(outcomes(Buffer.concat([...code, EXIT]))).toEqual(all(done(r0)));
  });
});
