import { Dice } from "../../support/random.ts";
import type { FuzzCase } from "./case.ts";
import { world } from "./case_maps.ts";
import { tree } from "./functions.ts";
import { frame, skbContext, xdpContext } from "./input.ts";
import { mutate } from "./mutate.ts";
import { assemble, type PieceTree } from "./piece.ts";

/** Generates a random case from a seed. */

export interface Plan {
  type: string;
  trees: readonly PieceTree[];
  world: FuzzCase["maps"];
  data: Buffer;
  ctx?: Buffer;
  repeat: number;
  /** Programs may return anything, so only the verdicts and the end of each run can be compared. */
  loose: boolean;
}

/** Builds the case of a plan; slots of missing programs stay empty. */
export function caseOf({ type, trees, world: all, data, ctx, repeat }: Plan): FuzzCase {
  const there = (value: string) => Buffer.from(value, "hex").readUInt32LE() < trees.length;
  const maps = all.map((map) =>
    map.map_type === "prog_array"
      ? { ...map, elements: map.elements.filter(([, value]) => there(value)) }
      : map,
  );
  const programs = trees.map(assemble);
  return { type, maps, programs, data, repeat, ...(ctx ? { ctx } : {}) };
}

const TYPES = [
  ...["sched_cls", "sched_cls", "sched_cls", "xdp", "xdp", "xdp"],
  ...["socket_filter", "cgroup_skb", "sched_act", "lwt_in", "lwt_out", "lwt_xmit"],
];

function mutatedOften(dice: Dice, tree: PieceTree): PieceTree {
  let found = tree;
  for (let n = 1 + dice.below(3); n > 0; n--) found = mutate(dice, found);
  return found;
}

export function plan(seed: number, cpus: number): Plan {
  const dice = new Dice(seed);
  const type = dice.from(TYPES);
  const count = 1 + dice.below(4);
  const sound = Array.from({ length: count }, () => tree(dice, type));
  const data = frame(dice);
  const ctx = type === "xdp" ? xdpContext(dice, data) : skbContext(dice, data);
  const repeat = dice.oneIn(10) ? 2 : 1;
  const loose = dice.oneIn(4);
  const trees = loose ? sound.map((each) => mutatedOften(dice, each)) : sound;
  const common = { type, trees, world: world(dice, cpus, count), data, repeat, loose };
  return dice.oneIn(2) ? common : { ...common, ctx };
}
