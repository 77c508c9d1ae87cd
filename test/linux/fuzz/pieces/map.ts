import { BPF_FUNC } from "../../../../domain/isa/helpers/index.ts";
import { call, copy, insn, mov, store } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { type FuzzMap, KEYED, keyOf, OUTERS } from "../case_maps.ts";
import {
  access,
  bytes,
  called,
  flags,
  KEY,
  map,
  number,
  placed,
  recorded,
  restored,
} from "../emit.ts";
import { code, type Piece } from "../piece.ts";
import type { Maker } from "../place.ts";

/** Makes pieces that use map elements. */

const [LOOKUP, UPDATE, DELETE, LOOKUP_PERCPU] = [
  BPF_FUNC.map_lookup_elem,
  BPF_FUNC.map_update_elem,
  BPF_FUNC.map_delete_elem,
  BPF_FUNC.map_lookup_percpu_elem,
];

/** Sets r1 to the map and r2 to a key. */
export function element(dice: Dice, of: FuzzMap): Buffer {
  const there = placed(2, KEY, keyOf(dice, of));
  const variable = dice.oneIn(4) && of.map_type !== "lpm_trie";
  const some = [number(dice, 3, 0, Math.min(of.max_entries, 5)), store(4, 10, KEY, 3)];
  return Buffer.concat([there, ...(variable ? some : []), map(1, of.place)]);
}

/** Emits accesses to the value that a lookup returned in r0. */
export function uses(dice: Dice, { value_size }: FuzzMap): Piece {
  const count = 1 + dice.below(3);
  const body = Array.from({ length: count }, () => code(access(dice, 0, value_size)));
  if (dice.oneIn(3)) {
    const size = 1 + dice.below(Math.min(8, value_size));
    const reach = [number(dice, 1, 0, value_size - size), insn(0x0f, 0, 1)];
    body.push(code(...reach, access(dice, 0, size)));
  }
  return { head: insn(0x15, 0), skips: true, body: [...body, code(mov(0, 1), recorded(dice, 0))] };
}

const lookUp = (dice: Dice, of: FuzzMap, key: Buffer, use = uses(dice, of)): Piece => ({
  head: Buffer.concat([key, call(LOOKUP)]),
  body: [use],
  tail: restored(dice, 0),
});

export const lookup: Maker = (dice) => {
  const of = dice.from(KEYED);
  return lookUp(dice, of, element(dice, of));
};

/** Emits a counter as clang compiles it. */
export const counter: Maker = (dice) => {
  const of = dice.from(KEYED.filter(({ value_size }) => value_size >= 8));
  const bump = dice.oneIn(2) ? insn(0xdb, 0, 1) : insn(0xc3, 0, 1, dice.from([0, 4]));
  const body = [code(mov(1, dice.imm()), bump)];
  return lookUp(dice, of, element(dice, of), { head: insn(0x15, 0), skips: true, body });
};

export const lookupOther: Maker = (dice, { may }) => {
  if (!may(LOOKUP_PERCPU)) return undefined;
  const of = dice.from(KEYED.filter(({ map_type }) => map_type.includes("percpu")));
  return {
    head: Buffer.concat([element(dice, of), number(dice, 3, 0, 2), call(LOOKUP_PERCPU)]),
    body: [uses(dice, of)],
    tail: restored(dice, 0),
  };
};

export const nested: Maker = (dice) => {
  const outer = dice.from(OUTERS);
  const of = KEYED.find(({ place }) => place === outer.inner) as FuzzMap;
  const inner = Buffer.concat([placed(2, KEY, keyOf(dice, of)), copy(1, 0)]);
  const change = [bytes(dice, 3, of.value_size), flags(dice, 4), call(UPDATE), recorded(dice, 0)];
  const body = dice.oneIn(3)
    ? [code(inner, ...change)]
    : [{ head: Buffer.concat([inner, call(LOOKUP)]), body: [uses(dice, of)] }];
  return {
    head: Buffer.concat([element(dice, outer), call(LOOKUP)]),
    body: [{ head: insn(0x15, 0), skips: true, body }],
    tail: restored(dice, 0),
  };
};

function put(dice: Dice, of: FuzzMap, key: Buffer): Piece {
  return code(key, bytes(dice, 3, of.value_size), flags(dice, 4), called(dice, UPDATE));
}

export const update: Maker = (dice) => {
  const of = dice.from(KEYED);
  return put(dice, of, element(dice, of));
};

export const remove: Maker = (dice) => code(element(dice, dice.from(KEYED)), called(dice, DELETE));

/** Creates an element, finds it, deletes it and creates it again. */
export const cycle: Maker = (dice) => {
  const of = dice.from(KEYED);
  const key = Buffer.concat([placed(2, KEY, keyOf(dice, of)), map(1, of.place)]);
  const gone = code(key, called(dice, DELETE));
  return {
    head: Buffer.alloc(0),
    body: [put(dice, of, key), lookUp(dice, of, key), gone, put(dice, of, key)],
  };
};
