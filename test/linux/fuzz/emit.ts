import { add, and, call, copy, insn, load, mov, put, store, wide } from "../../support/insns.ts";
import type { Dice } from "../../support/random.ts";
import { MEMORY, NUMBERS, RESULTS, SLOTS } from "./case_maps.ts";

/** Builds the instructions that pieces consist of. */

/** Any piece may use the frame from r10 - SCRATCH on for data. */
export const SCRATCH = 64;
/** The frame offsets of the context, the loop counters, and keys. */
export const CONTEXT = -72;
export const COUNTERS = [-80, -88, -96] as const;
export const KEY = -128;
/** The frame offsets of the pointer that the caller passed and of a word for a piece's own use. */
export const GIVEN = -120;
export const SPARE = -112;

/** These registers hold numbers that survive calls. */
export const KEPT = [6, 7] as const;

export const map = (dst: number, place: number): Buffer => wide(dst, 1, place, 0);
export const valueAt = (dst: number, place: number, at = 0): Buffer => wide(dst, 2, place, at);
export const context = (dst: number): Buffer => insn(0x79, dst, 10, CONTEXT);

/** Puts numbers into r1 to r5 and into `also`, because a call makes them unreadable. */
export function restored(dice: Dice, ...also: number[]): Buffer {
  return Buffer.concat([...also, 1, 2, 3, 4, 5].map((reg) => mov(reg, dice.imm())));
}

/** Adds a register to one of the results and overwrites r1. */
export function recorded(dice: Dice, reg: number): Buffer {
  return Buffer.concat([valueAt(1, RESULTS.place, 8 * dice.below(SLOTS)), insn(0xdb, 1, reg)]);
}

/** Stores `data` in the frame at `off` and points a register to it. */
export function placed(reg: number, off: number, data: Buffer): Buffer {
  const whole = Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  const words = Array.from({ length: whole.length / 4 }, (_, i) =>
    put(4, 10, off + 4 * i, whole.readInt32LE(4 * i)),
  );
  return Buffer.concat([...words, copy(reg, 10), add(reg, off)]);
}

/** Chooses the flags of an update, most often valid ones. */
export const flags = (dice: Dice, reg: number): Buffer =>
  dice.oneIn(6) ? mov(reg, dice.from([3, 4, 5, 8, -1])) : number(dice, reg, 0, 2);

/** Emits a call whose arguments are ready and records its return value. */
export function called(dice: Dice, helper: number): Buffer {
  return Buffer.concat([call(helper), recorded(dice, 0), restored(dice)]);
}

/** Points a register to `size` bytes that are readable and writable. */
export function bytes(dice: Dice, reg: number, size: number): Buffer {
  const [base, room] = dice.from([
    ["frame", SCRATCH],
    ["frame", SCRATCH],
    [MEMORY.place, MEMORY.value_size],
    [NUMBERS.place, NUMBERS.value_size],
  ] as const);
  if (size > room) return Buffer.concat([copy(reg, 10), add(reg, -SCRATCH)]);
  const at = dice.below(room - size + 1);
  if (base === "frame") return Buffer.concat([copy(reg, 10), add(reg, at - SCRATCH)]);
  return valueAt(reg, base, at);
}

type EmitBound = (reg: number, from: number, high: number) => Buffer[];

const bitsBelow = (high: number): number => Math.floor(Math.log2(high + 1));

/** Compilers bound a number by `high` in these ways, all of which the verifier can follow. */
const BOUNDS: readonly EmitBound[] = [
  (reg, from, high) => [copy(reg, from), and(reg, 2 ** bitsBelow(high) - 1)],
  (reg, from, high) => [copy(reg, from), insn(0xb5, reg, 0, 1, high), mov(reg, 0)],
  (reg, from, high) => [insn(0xbc, reg, from), insn(0xb6, reg, 0, 1, high), insn(0xb4, reg)],
  // This form compares the original and uses the copy.
  (reg, from, high) => [copy(reg, from), insn(0xb5, from, 0, 1, high), mov(reg, 0)],
  // This form checks both bounds with signed comparisons.
  (reg, from, high) => [
    ...[copy(reg, from), insn(0x75, reg, 0, 1, 0), mov(reg, 0)],
    ...[insn(0xd5, reg, 0, 1, high), mov(reg, high)],
  ],
  (reg, from, high) => [
    ...[copy(reg, from), insn(0x67, reg, 0, 0, 32), insn(0x77, reg, 0, 0, 32)],
    ...[insn(0xa5, reg, 0, 1, high), mov(reg, high >> 1)],
  ],
  // This form spills the number to the frame.
  (reg, from, high) => [
    ...[copy(reg, from), and(reg, 2 ** bitsBelow(high) - 1)],
    ...[store(8, 10, SPARE, reg), load(8, reg, 10, SPARE)],
  ],
  (reg, from, high) => [copy(reg, from), and(reg, 1), insn(0x27, reg, 0, 0, high)],
  (reg, from, high) => [copy(reg, from), and(reg, 0), insn(0x47, reg, 0, 0, high)],
  (reg, from, high) =>
    high < 1 ? [mov(reg, 0)] : [copy(reg, from), insn(0x77, reg, 0, 0, 64 - bitsBelow(high))],
];

/** Emits a number from `low` to `high` that the verifier knows exactly or as a range. */
export function number(dice: Dice, reg: number, low: number, high: number): Buffer {
  if (dice.oneIn(2)) return mov(reg, low + dice.below(high - low + 1));
  const insns = dice.from(BOUNDS)(reg, dice.from(KEPT), high - low);
  return Buffer.concat([...insns, add(reg, low)]);
}

export const SIZES = [1, 2, 4, 8] as const;

/** Emits a load, store or atomic within the `size` bytes that a register points to. */
export function access(dice: Dice, base: number, size: number, writes = true): Buffer {
  const width = dice.from(SIZES.filter((bytes) => bytes <= size));
  const at = dice.below(size - width + 1);
  const other = dice.from(KEPT);
  const kind = dice.below(writes ? 5 : 2);
  if (kind < 2) return load(width, other, base, at);
  if (kind === 2) return put(width, base, at, dice.imm());
  if (kind === 3 || width < 4) return store(width, base, at, other);
  const code = width === 8 ? 0xdb : 0xc3;
  const op = dice.from([0, 0, 1, 0x40, 0x50, 0xa0, 0xe1]);
  return insn(code, base, other, at - (at % width), op);
}
