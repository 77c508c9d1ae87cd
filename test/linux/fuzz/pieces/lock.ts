import { BPF_FUNC } from "../../../../domain/isa/helpers/index.ts";
import { add, call, insn, load, mov, store } from "../../../support/insns.ts";
import { LOCKED } from "../case_maps.ts";
import { access, bytes, called, recorded, restored, SPARE } from "../emit.ts";
import { code, type Piece } from "../piece.ts";
import type { Maker } from "../place.ts";
import { element } from "./map.ts";

/** Makes pieces that lock elements. */

const [LOOKUP, UPDATE, SPIN_LOCK, SPIN_UNLOCK] = [
  BPF_FUNC.map_lookup_elem,
  BPF_FUNC.map_update_elem,
  BPF_FUNC.spin_lock,
  BPF_FUNC.spin_unlock,
];

/** check_map_prog_compatibility() refuses locks in socket filters. */
const mayLock = (type: string): boolean => type !== "socket_filter";

export const locked: Maker = (dice, { type }) => {
  if (!mayLock(type)) return undefined;
  const { of, from, size } = dice.from(LOCKED);
  const pointer = (reg: number, at: number) => [load(8, reg, 10, SPARE), add(reg, at)];
  const use = (): Piece => code(...pointer(0, from), access(dice, 0, size));
  const body = [
    code(store(8, 10, SPARE, 0), ...pointer(1, of.lock ?? 0), call(SPIN_LOCK)),
    ...Array.from({ length: 1 + dice.below(3) }, use),
    code(...pointer(1, of.lock ?? 0), call(SPIN_UNLOCK)),
    code(mov(0, 1), recorded(dice, 0)),
  ];
  return {
    head: Buffer.concat([element(dice, of), call(LOOKUP)]),
    body: [{ head: insn(0x15, 0), skips: true, body }],
    tail: restored(dice, 0),
  };
};

/** Updates an element, most often with BPF_F_LOCK. */
export const replaced: Maker = (dice, { type }) => {
  if (!mayLock(type)) return undefined;
  const { of } = dice.from(LOCKED);
  const flags = mov(4, dice.from([0, 1, 4, 4, 5, 6, 7]));
  return code(element(dice, of), bytes(dice, 3, of.value_size), flags, called(dice, UPDATE));
};
