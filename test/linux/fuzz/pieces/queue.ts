import { BPF_FUNC } from "../../../../domain/isa/helpers/index.ts";
import { call, copy, insn, mov, put } from "../../../support/insns.ts";
import type { Dice } from "../../../support/random.ts";
import { BLOOM, QUEUE, RING, STACK } from "../case_maps.ts";
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
import { code } from "../piece.ts";
import type { Maker } from "../place.ts";

/** Makes pieces that use maps without keys. */

const [PUSH, POP, PEEK] = [BPF_FUNC.map_push_elem, BPF_FUNC.map_pop_elem, BPF_FUNC.map_peek_elem];
const [OUTPUT, RESERVE, SUBMIT, DISCARD, QUERY] = [
  BPF_FUNC.ringbuf_output,
  BPF_FUNC.ringbuf_reserve,
  BPF_FUNC.ringbuf_submit,
  BPF_FUNC.ringbuf_discard,
  BPF_FUNC.ringbuf_query,
];

/** Chooses one of a few values, so that a Bloom filter finds some. */
function member(dice: Dice): Buffer {
  const value = Buffer.alloc(8);
  value.writeUInt32LE(dice.below(6));
  return placed(2, KEY, value);
}

export const push: Maker = (dice, { may }) => {
  if (!may(PUSH)) return undefined;
  const of = dice.from([QUEUE, STACK, BLOOM]);
  const value = of === BLOOM ? member(dice) : bytes(dice, 2, of.value_size);
  return code(value, map(1, of.place), flags(dice, 3), called(dice, PUSH));
};

export const pop: Maker = (dice, { may }) => {
  if (!may(POP)) return undefined;
  const of = dice.from([QUEUE, STACK]);
  const helper = dice.from([POP, PEEK]);
  return code(bytes(dice, 2, of.value_size), map(1, of.place), called(dice, helper));
};

export const contained: Maker = (dice, { may }) =>
  may(PEEK) ? code(member(dice), map(1, BLOOM.place), called(dice, PEEK)) : undefined;

export const output: Maker = (dice, { may }) => {
  if (!may(OUTPUT)) return undefined;
  const how = mov(4, dice.oneIn(5) ? dice.from([4, 8, -1]) : dice.below(4));
  const args = [bytes(dice, 2, 61), number(dice, 3, 0, 61), map(1, RING.place), how];
  return code(...args, called(dice, OUTPUT));
};

/** Writes the whole record, because the kernel does not clear reserved bytes. */
function filled(dice: Dice, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(size / 8) }, (_, i) =>
    8 * (i + 1) <= size ? put(8, 0, 8 * i, dice.imm()) : put(1, 0, 8 * i, dice.imm()),
  );
}

export const reserve: Maker = (dice, { may }) => {
  if (!may(RESERVE)) return undefined;
  const size = dice.from([1, 8, 9, 16, 64, 1000, 4000, 5000]);
  const dropped = size > 64 || dice.oneIn(3);
  const args = [map(1, RING.place), mov(2, size), mov(3, dice.oneIn(9) ? 1 : 0)];
  const close = [copy(1, 0), mov(2, dice.below(4)), call(dropped ? DISCARD : SUBMIT)];
  const writes = code(...filled(dice, Math.min(size, 64)));
  return {
    head: Buffer.concat([...args, call(RESERVE)]),
    body: [
      {
        head: insn(0x15, 0),
        skips: true,
        body: [{ ...writes, fixed: true }, code(access(dice, 0, Math.min(size, 64)))],
        tail: Buffer.concat([...close, mov(0, 1), recorded(dice, 0)]),
      },
    ],
    tail: restored(dice, 0),
  };
};

export const query: Maker = (dice, { may }) =>
  may(QUERY) ? code(map(1, RING.place), mov(2, dice.below(6)), called(dice, QUERY)) : undefined;
