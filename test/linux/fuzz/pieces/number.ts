import { copy, insn, load, mov, store } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { branch, FRAME, plain } from "../../../support/random_program/random_insns.ts";
import { MEMORY, NUMBERS } from "../case_maps.ts";
import { access, COUNTERS, KEPT, number, restored, SCRATCH, SIZES, valueAt } from "../emit.ts";
import { code, type Piece } from "../piece.ts";
import type { Maker } from "../place.ts";

/** Makes pieces of arithmetic, memory accesses and jumps. */

const [LDX, STX, ALU, JMP, JMP32, ALU64] = [1, 3, 4, 5, 6, 7];
const ATOMIC = 0xc0;
const LOAD_ACQ = 0x100;

/** Returns the base register of a memory access. */
function baseOf(insns: Buffer): number | undefined {
  const [first, registers] = [insns.readUInt8(0), insns.readUInt8(1)];
  const kind = first & 7;
  if (kind === 0 || kind > STX) return undefined;
  const acquires = (first & 0xe0) === ATOMIC && insns.readInt32LE(4) === LOAD_ACQ;
  return kind === LDX || (kind === STX && acquires) ? registers >> 4 : registers & 15;
}

/**
 * Returns undefined for instructions that turn pointers into numbers, whose values are
 * unpredictable.
 */
function tamed(insns: Buffer): Buffer | undefined {
  const [first, registers] = [insns.readUInt8(0), insns.readUInt8(1)];
  const [kind, dst, src] = [first & 7, registers & 15, registers >> 4];
  if ((kind === ALU || kind === ALU64) && (first & 8) !== 0 && src >= 8) return undefined;
  if ((kind === JMP || kind === JMP32) && dst >= 8) return undefined;
  if (baseOf(insns) !== 10) return insns;
  // The usable frame is smaller here and requires aligned accesses.
  const size = [4, 2, 1, 8][(first >> 3) & 3] as number;
  const at = (insns.readInt16LE(2) + FRAME) % SCRATCH;
  insns.writeInt16LE(at - (at % size) - SCRATCH, 2);
  return insns;
}

function until(make: () => Buffer | undefined): Buffer {
  for (;;) {
    const made = make();
    if (made) return made;
  }
}

export const numbers: Maker = (dice) => code(until(() => tamed(plain(dice))));

/** Emits a conditional jump over a body that the caller adds. */
export const condition = (dice: Dice): Piece => ({
  head: until(() => tamed(branch(dice))),
  skips: true,
});

/** Emits a loop around `body`. */
export function turns(dice: Dice, depth: number, body: readonly Piece[]): Piece {
  const counter = COUNTERS[depth] as number;
  const next = [load(8, 5, 10, counter), insn(0x07, 5, 0, 0, 1), store(8, 10, counter, 5)];
  const again = insn(dice.from([0xa5, 0xc5]), 5, 0, 0, 1 + dice.below(4));
  return {
    head: insn(0x7a, 10, 0, counter, 0),
    body: [{ head: Buffer.alloc(0), body, tail: Buffer.concat([...next, again]), repeats: true }],
    tail: mov(5, 0),
  };
}

/** Accesses memory at an offset that the verifier knows only as a range. */
export const offset: Maker = (dice) => {
  const base = dice.from([MEMORY, NUMBERS]);
  const size = 1 + dice.below(8);
  const reach = number(dice, 2, 0, base.value_size - size);
  const there = Buffer.concat([valueAt(1, base.place), insn(0x0f, 1, 2)]);
  const width = dice.from(SIZES.filter((bytes) => bytes <= size));
  const at = dice.below(size - width + 1);
  const what = dice.oneIn(2) ? load(width, 7, 1, at) : store(width, 1, at, 6);
  return { head: Buffer.concat([reach, there]), body: [code(what)], tail: restored(dice) };
};

/** Accesses memory through a pointer that depends on a branch. */
export const either: Maker = (dice) => ({
  head: Buffer.concat([copy(1, 8), insn(0x65, dice.from(KEPT), 0, 1, dice.imm()), copy(1, 9)]),
  body: [code(access(dice, 1, NUMBERS.value_size))],
  tail: mov(1, dice.imm()),
});

/** Copies data between the frame and a value. */
export const moved: Maker = (dice) => {
  const [at, to] = [-SCRATCH + 8 * dice.below(SCRATCH / 8), 8 * dice.below(6)];
  const there = [load(8, 7, 10, at), store(8, 8, to, 7)];
  const back = [load(8, 7, 8, to), store(8, 10, at, 7)];
  return code(...(dice.oneIn(2) ? there : back));
};
