import { describe, expect, it } from "vitest";
import { insn } from "../support/insns.ts";
import { all, done, fault, outcomes } from "../support/interpreter/execution_modes.ts";

/**
 * Tests atomic instructions on a stack slot that holds OLD; r2 is the operand, r0 the value that
 * cmpxchg expects.
 */

const OLD = 0x11223344_aabbccddn;
const OPERAND = 0x0f0f0f0f_0f0f0f0fn;
const SLOT = -8;
const W = 0xc3;
const DW = 0xdb;

const set = (reg: number, value: bigint): Buffer => {
  const [low, high] = [Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n))];
  return Buffer.concat([insn(0x18, reg, 0, 0, low), insn(0, 0, 0, 0, high)]);
};

/** Runs the instruction and returns the value of `reg`, or of the slot when `reg` is -1. */
function leaving(reg: number, code: number, imm: number, expected: bigint): Buffer {
  return Buffer.concat([
    set(0, OLD),
    insn(0x7b, 10, 0, SLOT),
    set(0, expected),
    set(2, OPERAND),
    insn(code, 10, 2, SLOT, imm),
    reg < 0 ? insn(0x79, 0, 10, SLOT) : insn(0xbf, 0, reg),
    insn(0x95),
  ]);
}

const low = (value: bigint): bigint => BigInt.asUintN(32, value);
/** A 32-bit operation replaces the low half of the slot and leaves the high half. */
const with32 = (value: bigint): bigint => (OLD & ~0xffffffffn) | low(value);

type Row = [name: string, imm: number, result: bigint];
const OPERATIONS: Row[] = [
  ["add", 0x00, OLD + OPERAND],
  ["or", 0x40, OLD | OPERAND],
  ["and", 0x50, OLD & OPERAND],
  ["xor", 0xa0, OLD ^ OPERAND],
];

describe.each(OPERATIONS)("%s", (_name, imm, result) => {
  it("an atomic operation changes 64 bits and leaves the source", () => {
    expect(outcomes(leaving(-1, DW, imm, 0n))).toEqual(all(done(result)));
    expect(outcomes(leaving(2, DW, imm, 0n))).toEqual(all(done(OPERAND)));
  });

  it("an atomic operation with fetch puts the old value into the source", () => {
    expect(outcomes(leaving(-1, DW, imm | 1, 0n))).toEqual(all(done(result)));
    expect(outcomes(leaving(2, DW, imm | 1, 0n))).toEqual(all(done(OLD)));
  });

  it("an atomic operation of 32 bits changes only those and fetches them zero-extended", () => {
    expect(outcomes(leaving(-1, W, imm, 0n))).toEqual(all(done(with32(result))));
    expect(outcomes(leaving(2, W, imm | 1, 0n))).toEqual(all(done(low(OLD))));
  });
});

describe("xchg", () => {
  it("xchg exchanges 64 bits", () => {
    expect(outcomes(leaving(-1, DW, 0xe1, 0n))).toEqual(all(done(OPERAND)));
    expect(outcomes(leaving(2, DW, 0xe1, 0n))).toEqual(all(done(OLD)));
  });

  it("xchg exchanges 32 bits and zero-extends the source", () => {
    expect(outcomes(leaving(-1, W, 0xe1, 0n))).toEqual(all(done(with32(OPERAND))));
    expect(outcomes(leaving(2, W, 0xe1, 0n))).toEqual(all(done(low(OLD))));
  });
});

describe("cmpxchg", () => {
  it("cmpxchg stores when r0 matches, and returns the old value either way", () => {
    expect(outcomes(leaving(-1, DW, 0xf1, OLD))).toEqual(all(done(OPERAND)));
    expect(outcomes(leaving(-1, DW, 0xf1, OLD + 1n))).toEqual(all(done(OLD)));
    expect(outcomes(leaving(0, DW, 0xf1, OLD + 1n))).toEqual(all(done(OLD)));
  });

  it("cmpxchg of 32 bits compares the low half of r0 and clears the upper half", () => {
    expect(outcomes(leaving(-1, W, 0xf1, low(OLD) | (7n << 32n)))).toEqual(
      all(done(with32(OPERAND))),
    );
    expect(outcomes(leaving(0, W, 0xf1, low(OLD) | (7n << 32n)))).toEqual(all(done(low(OLD))));
    expect(outcomes(leaving(-1, W, 0xf1, 0n))).toEqual(all(done(OLD)));
  });

  it("cmpxchg leaves the source", () => {
    expect(outcomes(leaving(2, DW, 0xf1, OLD))).toEqual(all(done(OPERAND)));
  });
});

/** Each row has the code of a size and its number of bits. */
const SIZES = [
  [8, 0xd3],
  [16, 0xcb],
  [32, W],
  [64, DW],
] as const;

describe.each(SIZES)("of %i bits", (bits, code) => {
  it("load_acquire zero-extends and changes nothing", () => {
    const load = Buffer.concat([
      set(3, OLD),
      insn(0x7b, 10, 3, SLOT),
      insn(code, 0, 10, SLOT, 0x100),
      insn(0x95),
    ]);
    expect(outcomes(load)).toEqual(all(done(BigInt.asUintN(bits, OLD))));
  });

  it("store_release stores its size and leaves r0", () => {
    const mask = (1n << BigInt(bits)) - 1n;
    const stored = (OLD & ~mask) | (OPERAND & mask);
    expect(outcomes(leaving(-1, code, 0x110, 5n))).toEqual(all(done(stored)));
    expect(outcomes(leaving(0, code, 0x110, 5n))).toEqual(all(done(5n)));
  });

  it("load_acquire and store_release fault outside their memory", () => {
    for (const imm of [0x100, 0x110]) {
      const wild = [insn(0xb7, 2, 0, 0, 16), insn(code, 2, 2, 0, imm), insn(0x95)];
      expect(outcomes(Buffer.concat(wild))).toEqual(all(fault(1)));
    }
  });
});
