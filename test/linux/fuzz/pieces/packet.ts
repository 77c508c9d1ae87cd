import { add, and, copy, insn, load, mov, put, store } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { context, number, recorded, restored, SIZES } from "../emit.ts";
import { code, type Piece } from "../piece.ts";
import type { InsnPlace, Maker } from "../place.ts";

/** Makes pieces that access the packet directly. */

const READ_ONLY = ["cgroup_skb", "lwt_in", "lwt_out"];
const WITH_META = ["xdp", "sched_cls", "sched_act"];

/**
 * Returns the context offsets of the packet pointers, or undefined where programs may not use them.
 */
function fieldsOf({ type }: InsnPlace) {
  if (type === "socket_filter") return undefined;
  return type === "xdp" ? { data: 0, end: 4, meta: 8 } : { data: 76, end: 80, meta: 140 };
}

/** Loads two fields of the context into r2 and r3. */
const between = (from: number, to: number): Buffer =>
  Buffer.concat([context(1), load(4, 2, 1, from), load(4, 3, 1, to)]);

/** Emits a jump that is taken if fewer than `size` bytes lie between r2 and r3. */
function short(dice: Dice, size: number): Buffer {
  const ways = [insn(0x2d, 4, 3), insn(0xad, 3, 4), insn(0x3d, 4, 3)];
  return Buffer.concat([copy(4, 2), add(4, size), dice.from(ways)]);
}

/** Accesses bytes after data or data_meta once a check has shown that they exist. */
export const direct: Maker = (dice, place) => {
  const fields = fieldsOf(place);
  if (!fields) return undefined;
  const behind = WITH_META.includes(place.type) && dice.oneIn(4);
  const ends = behind ? between(fields.meta, fields.data) : between(fields.data, fields.end);
  const size = dice.from([1, 2, 4, 8, 14, 16, 20, 34, 40, 64]);
  const variable = [number(dice, 5, 0, 31), insn(0x0f, 2, 5)];
  const start = dice.oneIn(2) ? variable : [add(2, dice.below(4))];
  const writes = behind || !READ_ONLY.includes(place.type);
  const count = 1 + dice.below(3);
  const body = Array.from({ length: count }, () => code(packetAccess(dice, size, writes)));
  const head = Buffer.concat([ends, ...start, short(dice, size)]);
  return {
    head: Buffer.alloc(0),
    body: [{ head, skips: true, body: [...body, code(mov(0, 1), recorded(dice, 0))] }],
    tail: restored(dice, 0),
  };
};

/** Emits no atomics, because Linux does not allow them on packets. */
function packetAccess(dice: Dice, size: number, writes: boolean): Buffer {
  const width = dice.from(SIZES.filter((bytes) => bytes <= size));
  const at = dice.below(size - width + 1);
  const kind = dice.below(writes ? 4 : 2);
  if (kind < 2) return load(width, dice.from([6, 7]), 2, at);
  return kind === 2 ? put(width, 2, at, dice.imm()) : store(width, 2, at, 6);
}

/** Records the length of the packet. */
export const length: Maker = (dice, place) => {
  const fields = fieldsOf(place);
  if (!fields) return undefined;
  return code(between(fields.end, fields.data), insn(0x1f, 2, 3), copy(7, 2), restored(dice));
};

/** Parses a header whose length is in the packet, and the data after it. */
export const headers: Maker = (dice, place) => {
  const fields = fieldsOf(place);
  if (!fields) return undefined;
  const first = 1 + dice.below(20);
  const size = 1 + dice.below(16);
  const mask = and(5, dice.from([1, 7, 15, 31, 60]));
  const next = [load(1, 5, 2, dice.below(first)), mask, insn(0x0f, 2, 5)];
  const width = dice.from(SIZES.filter((bytes) => bytes <= size));
  const inner: Piece = {
    head: Buffer.concat([...next, short(dice, first + size)]),
    skips: true,
    body: [
      code(load(1, 7, 2, first + size - 1)),
      code(load(width, 6, 2, first)),
      code(mov(0, 1), recorded(dice, 0)),
    ],
  };
  const head = Buffer.concat([between(fields.data, fields.end), short(dice, first)]);
  return {
    head: Buffer.alloc(0),
    body: [{ head, skips: true, body: [inner] }],
    tail: restored(dice, 0),
  };
};
