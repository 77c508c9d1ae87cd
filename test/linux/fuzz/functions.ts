import { isRefused } from "../../../domain/verifier/helpers/allowed_helpers.ts";
import { copy, insn, load, mov, put, store, wide } from "../../support/insns.ts";
import type { Dice } from "../../support/random.ts";
import { MEMORY, NUMBERS } from "./case_maps.ts";
import { CONTEXT, GIVEN, recorded, SCRATCH, valueAt } from "./emit.ts";
import { code, type Piece, type PieceTree, type Subprogram } from "./piece.ts";
import * as calls from "./pieces/call.ts";
import * as context from "./pieces/context.ts";
import * as helper from "./pieces/helper.ts";
import * as lock from "./pieces/lock.ts";
import * as map from "./pieces/map.ts";
import * as number from "./pieces/number.ts";
import * as packet from "./pieces/packet.ts";
import * as pointer from "./pieces/pointer.ts";
import * as queue from "./pieces/queue.ts";
import type { Callee, InsnPlace, Maker } from "./place.ts";

/** Generates random programs as functions made of pieces. */

const often = (times: number, ...makers: Maker[]): Maker[] => Array(times).fill(makers).flat();

const MAKERS: readonly Maker[] = [
  ...often(4, number.numbers, helper.packet),
  ...often(3, packet.direct, pointer.given),
  ...often(2, map.lookup, map.update, queue.push, context.read, pointer.giving, pointer.tested),
  ...[number.offset, number.either, number.moved, calls.tailCall, calls.subprogram, calls.loop],
  ...[calls.each, calls.unforeseen, calls.constant, map.counter, map.lookupOther, map.nested],
  ...[map.remove, map.cycle, queue.pop, queue.contained, queue.output, queue.reserve],
  ...[queue.query, pointer.spilled, pointer.wandering, pointer.distance, packet.length],
  ...[packet.headers, context.write, context.legacy, helper.hash, helper.redirect, helper.sum],
  ...[helper.compared, helper.printed, lock.locked, lock.locked, lock.replaced],
];

const DEPTH = 2;

function pieces(dice: Dice, place: InsnPlace, most: number, depth: number): Piece[] {
  return Array.from({ length: 1 + dice.below(most) }, () => piece(dice, place, depth));
}

function piece(dice: Dice, place: InsnPlace, depth: number): Piece {
  for (;;) {
    const nests = depth < DEPTH && dice.oneIn(8);
    if (nests && dice.oneIn(2)) {
      return { ...number.condition(dice), body: pieces(dice, place, 5, depth + 1) };
    }
    if (nests) return number.turns(dice, depth, pieces(dice, place, 3, depth + 1));
    const made = dice.from(MAKERS)(dice, place);
    if (made) return made;
  }
}

type FunctionKind = "main" | Callee;

/**
 * A function first stores the context in its frame and saves the registers that its caller passed.
 */
const ARRIVALS: Readonly<Record<FunctionKind, { insns: Buffer[]; keeps: number[] }>> = {
  main: { insns: [], keeps: [] },
  given: { insns: [store(8, 10, GIVEN, 2)], keeps: [] },
  plain: { insns: [], keeps: [2, 3, 4, 5] },
  loop: { insns: [copy(6, 1), load(8, 1, 2, CONTEXT)], keeps: [6] },
  each: {
    insns: [load(4, 6, 2, 0), load(4, 7, 3, 0), put(4, 3, 4, 77), load(8, 1, 4, CONTEXT)],
    keeps: [6, 7],
  },
};

function begin(dice: Dice, kind: FunctionKind): Piece[] {
  const { insns, keeps } = ARRIVALS[kind];
  const frame = Array.from({ length: SCRATCH / 8 }, (_, i) =>
    put(8, 10, -SCRATCH + 8 * i, dice.imm()),
  );
  const numbers = [0, 1, 2, 3, 4, 5, 6, 7].filter((reg) => !keeps.includes(reg));
  return [
    code(...insns, store(8, 10, CONTEXT, 1)),
    code(valueAt(8, MEMORY.place)),
    code(valueAt(9, NUMBERS.place)),
    { head: Buffer.concat(frame), fixed: true },
    ...numbers.map((reg) =>
      code(dice.oneIn(2) ? mov(reg, dice.imm()) : wide(reg, 0, dice.imm(), dice.imm())),
    ),
  ];
}

/**
 * Records the final registers and frame, so that a difference is visible; r0 is the return value.
 */
function end(dice: Dice): Piece[] {
  const words = Array.from({ length: SCRATCH / 8 }, (_, i) =>
    code(load(8, 2, 10, -SCRATCH + 8 * i), insn(0xaf, 7, 2)),
  );
  const kept = [0, 6, 7].map((reg) => code(recorded(dice, reg), mov(1, 0)));
  return [...kept, ...words, code(recorded(dice, 7), mov(1, 0))];
}

/**
 * Returns what the caller accepts: a callback decides whether to go on, some programs give a
 * verdict.
 */
function answer(type: string, kind: FunctionKind): Buffer {
  const narrow = kind === "loop" || kind === "each" || type === "cgroup_skb";
  return Buffer.concat([...(narrow ? [insn(0x57, 0, 0, 0, 1)] : []), insn(0x95)]);
}

export function tree(dice: Dice, type: string): PieceTree {
  const described = dice.oneIn(2);
  const count = dice.oneIn(2) ? 1 : 2 + dice.below(2);
  const rest: readonly FunctionKind[] = described
    ? ["plain", "given", "loop", "each"]
    : ["plain", "given"];
  const kinds = Array.from(
    { length: count },
    (_, i): FunctionKind => (i === 0 ? "main" : dice.from(rest)),
  );
  const may = (helper: number): boolean =>
    dice.oneIn(2000) || !isRefused(helper, { progType: type });
  const functions = kinds.map((kind, self): Subprogram => {
    const callees = kinds
      .map((other, at) => ({ function: at, kind: other as Callee }))
      .filter((callee) => callee.function > self);
    const place: InsnPlace = {
      type,
      callees,
      described,
      main: kind === "main",
      may,
      hasGiven: kind === "given",
    };
    const body = [...pieces(dice, place, kind === "main" ? 14 : 5, 0), ...end(dice)];
    return { begin: begin(dice, kind), body, end: answer(type, kind) };
  });
  return { functions, described };
}
