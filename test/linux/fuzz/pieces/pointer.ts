import { BPF_FUNC } from "../../../../domain/isa/helpers/index.ts";
import { add, call, copy, insn, load, mov, put, store } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { type FuzzMap, KEYED, MEMORY, NUMBERS } from "../case_maps.ts";
import {
  access,
  bytes,
  context,
  GIVEN,
  KEY,
  map,
  recorded,
  restored,
  SPARE,
  valueAt,
} from "../emit.ts";
import { code, type Piece } from "../piece.ts";
import type { Maker } from "../place.ts";
import { calleeOf } from "./call.ts";

/** Makes pieces whose pointers take paths that a verifier must follow. */

/** The pointer passed to a function refers to this many bytes. */
export const GIVEN_BYTES = 16;

/** Accesses memory through the pointer that the caller passed. */
export const given: Maker = (dice, { hasGiven }) => {
  if (!hasGiven) return undefined;
  return {
    head: load(8, 1, 10, GIVEN),
    body: [code(access(dice, 1, GIVEN_BYTES)), code(access(dice, 1, GIVEN_BYTES))],
    tail: mov(1, dice.imm()),
  };
};

/** Passes a pointer to a function. */
export const giving: Maker = (dice, place) => {
  const to = calleeOf(dice, place, "given");
  if (to === undefined) return undefined;
  const aligned = valueAt(2, MEMORY.place, 8 * dice.below(5));
  const other =
    place.hasGiven && dice.oneIn(2) ? load(8, 2, 10, GIVEN) : bytes(dice, 2, GIVEN_BYTES);
  const args = Buffer.concat([context(1), dice.oneIn(2) ? aligned : other]);
  const head = [args, insn(0x85, 0, 1), recorded(dice, 0), restored(dice)];
  return { head: Buffer.concat(head), calls: { at: args.length / 8, to } };
};

/** Spills a pointer to the frame and restores it. */
export const spilled: Maker = (dice) => ({
  head: Buffer.concat([store(8, 10, SPARE, dice.from([8, 9])), load(8, 2, 10, SPARE)]),
  body: [code(access(dice, 2, NUMBERS.value_size))],
  tail: mov(2, dice.imm()),
});

/** Leaves the address of a value or NULL in r0. */
const found = (dice: Dice, of: FuzzMap): Buffer =>
  Buffer.concat([
    ...[put(4, 10, KEY, dice.below(of.max_entries)), put(4, 10, KEY + 4, 0)],
    ...[copy(2, 10), add(2, KEY), map(1, of.place), call(BPF_FUNC.map_lookup_elem)],
  ]);

const PLAIN = KEYED.filter(({ map_type }) => map_type !== "lpm_trie");

/** Tests one copy of a pointer for NULL and uses another. */
export const tested: Maker = (dice) => {
  const of = dice.from(PLAIN);
  const use = (reg: number): Piece => code(access(dice, reg, of.value_size));
  const kept: [Buffer[], Piece[]] = [[copy(2, 0)], [use(2), use(0), use(2)]];
  const spilled: [Buffer[], Piece[]] = [
    [store(8, 10, SPARE, 0)],
    [code(load(8, 3, 10, SPARE)), use(3), use(0)],
  ];
  const [before, body] = dice.from([kept, spilled]);
  const test = dice.oneIn(2) ? [insn(0x15, 0)] : [insn(0x55, 0, 0, 1), insn(0x05)];
  return {
    head: Buffer.concat([found(dice, of), ...before]),
    body: [{ head: Buffer.concat(test), skips: true, body }],
    tail: restored(dice, 0),
  };
};

/** Moves a pointer forward and back before using it. */
export const wandering: Maker = (dice) => {
  const [there, back] = [dice.below(100), dice.below(100)];
  const steps = [add(1, there), dice.oneIn(2) ? insn(0x17, 1, 0, 0, back) : add(1, -back)];
  const start = dice.below(MEMORY.value_size - 8) - there + back;
  return {
    head: Buffer.concat([copy(1, 8), add(1, start), ...steps]),
    body: [code(access(dice, 1, 8))],
    tail: mov(1, dice.imm()),
  };
};

/** Records the distance between two pointers into the same memory. */
export const distance: Maker = (dice) => {
  const sub = [
    copy(1, 8),
    add(1, dice.below(61)),
    copy(2, 8),
    add(2, dice.below(61)),
    insn(0x1f, 1, 2),
  ];
  return code(...sub, copy(7, 1), mov(1, dice.imm()), mov(2, dice.imm()));
};
