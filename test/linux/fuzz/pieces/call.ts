import { BPF_FUNC } from "../../../../domain/isa/helpers/index.ts";
import { call, copy, insn, mov, wide } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { ARRAYS, PROGS } from "../case_maps.ts";
import { context, map, number, recorded, restored } from "../emit.ts";
import { code, type Piece } from "../piece.ts";
import type { Callee, InsnPlace, Maker } from "../place.ts";

/** Makes pieces that call functions and other programs. */

const BPF_TAIL_CALL = BPF_FUNC.tail_call;
const BPF_FOR_EACH_MAP_ELEM = BPF_FUNC.for_each_map_elem;
const BPF_LOOP = BPF_FUNC.loop;

export function calleeOf(dice: Dice, { callees }: InsnPlace, kind: Callee): number | undefined {
  const found = callees.filter((callee) => callee.kind === kind);
  return found.length > 0 ? dice.from(found).function : undefined;
}

export const tailCall: Maker = (dice, { main, described }) => {
  if (!main && !described) return undefined;
  const index = dice.oneIn(3) ? number(dice, 3, 0, 4) : mov(3, dice.below(5));
  return code(context(1), map(2, PROGS.place), index, call(BPF_TAIL_CALL), restored(dice, 0));
};

export const subprogram: Maker = (dice, place) => {
  const to = calleeOf(dice, place, "plain");
  if (to === undefined) return undefined;
  const head = [context(1), insn(0x85, 0, 1), recorded(dice, 0), restored(dice)];
  return { head: Buffer.concat(head), calls: { at: 1, to } };
};

/** Emits a call of a helper with a callback, which finds the context in this frame. */
function callsBack(dice: Dice, to: number, helper: number, first: Buffer): Piece {
  const wrong = mov(4, dice.oneIn(9) ? 1 : 0);
  const args = [wide(2, 4, 0, 0), first, copy(3, 10), wrong];
  const head = Buffer.concat([...args, call(helper), recorded(dice, 0), restored(dice)]);
  return { head, calls: { at: 0, to } };
}

export const loop: Maker = (dice, place) => {
  const to = calleeOf(dice, place, "loop");
  if (to === undefined) return undefined;
  const count = dice.oneIn(3) ? number(dice, 1, 0, 4) : mov(1, dice.below(4));
  return callsBack(dice, to, BPF_LOOP, count);
};

/** Iterates over arrays only, because the iteration order of other maps is unspecified. */
export const each: Maker = (dice, place) => {
  const to = calleeOf(dice, place, "each");
  if (to === undefined) return undefined;
  return callsBack(dice, to, BPF_FOR_EACH_MAP_ELEM, map(1, dice.from(ARRAYS).place));
};

/** These helpers return unpredictable values, so their results are dropped. */
const UNFORESEEN = [
  BPF_FUNC.ktime_get_ns,
  BPF_FUNC.get_prandom_u32,
  BPF_FUNC.jiffies64,
  BPF_FUNC.ktime_get_boot_ns,
  BPF_FUNC.ktime_get_coarse_ns,
  BPF_FUNC.ktime_get_tai_ns,
];
/** These helpers return the CPU and its node, which are constant here. */
const CONSTANT = [BPF_FUNC.get_smp_processor_id, BPF_FUNC.get_numa_node_id];

export const unforeseen: Maker = (dice, { may }) =>
  code(call(dice.from(UNFORESEEN.filter(may))), restored(dice, 0));

export const constant: Maker = (dice, { may }) =>
  code(call(dice.from(CONSTANT.filter(may))), recorded(dice, 0), restored(dice));
