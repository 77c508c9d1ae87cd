import { BPF_FUNC } from "../../../domain/isa/helpers/index.ts";
import type { MapShape } from "../../../domain/isa/map_shape.ts";
import { call, insn, wide } from "../insns.ts";
import { Dice } from "../random.ts";
import { branch, FRAME, plain, SCALARS, VALUE, wild } from "./random_insns.ts";

/**
 * Generates random programs whose loops all end and that a verifier could accept, except for wild
 * accesses.
 */

/** The frame offsets of the remaining backward jumps and of the keys of lookups. */
const TURNS = -FRAME - 8;
const KEY = -FRAME - 16;

export const MAPS: readonly MapShape[] = [
  { map_type: "array", key_size: 4, value_size: VALUE, max_entries: 3, map_flags: 0 },
  { map_type: "hash", key_size: 4, value_size: VALUE, max_entries: 3, map_flags: 0 },
  { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 4, map_flags: 0 },
];
const [ARRAY, HASH, PROGS] = [0, 1, 2];
/** These helpers cover all kinds of arguments and results, except bpf_map_lookup_elem(). */
const HELPERS = [
  BPF_FUNC.map_update_elem,
  BPF_FUNC.map_delete_elem,
  BPF_FUNC.ktime_get_ns,
  BPF_FUNC.get_prandom_u32,
  BPF_FUNC.csum_diff,
  BPF_FUNC.csum_update,
  BPF_FUNC.set_hash_invalid,
  BPF_FUNC.ringbuf_output,
  BPF_FUNC.ringbuf_reserve,
] as const;

export interface RandomShape {
  /** The program may make invalid accesses. */
  wild: boolean;
  /** The program may use LD_ABS. */
  packet: boolean;
}

interface Link {
  /** The index of the instruction whose offset or imm is set later. */
  at: number;
  to: { block: number } | { function: number };
}

class RandomWriter {
  readonly parts: Buffer[] = [];
  length = 0;
  /** The first instruction of each function. */
  readonly functions: number[] = [];
  readonly #calls: Link[] = [];
  #jumps: Link[] = [];
  readonly #dice: Dice;
  readonly #shape: RandomShape;
  /** The number of functions. */
  readonly #count: number;

  constructor(dice: Dice, shape: RandomShape, count: number) {
    this.#dice = dice;
    this.#shape = shape;
    this.#count = count;
  }

  #put(...parts: Buffer[]): void {
    for (const part of parts) {
      this.parts.push(part);
      this.length += part.length / 8;
    }
  }

  #scalars(list: readonly number[]): void {
    for (const reg of list) {
      if (this.#dice.oneIn(2)) this.#put(insn(0xb7, reg, 0, 0, this.#dice.imm()));
      else this.#put(wide(reg, 0, this.#dice.imm(), this.#dice.imm()));
    }
  }

  #jump(to: number, part: Buffer): void {
    this.#jumps.push({ at: this.length, to: { block: to } });
    this.#put(part);
  }

  /** Leaves the address of a value or NULL in r0. */
  #lookup(map: number): void {
    this.#put(insn(0x62, 10, 0, KEY, this.#dice.below(4)));
    this.#put(wide(1, 1, map, 0), insn(0xbf, 2, 10), insn(0x07, 2, 0, 0, KEY));
    this.#put(call(BPF_FUNC.map_lookup_elem));
  }

  #count32(): void {
    this.#lookup(this.#dice.from([ARRAY, HASH]));
    this.#put(insn(0x15, 0, 0, 2, 0), insn(0xb7, 1, 0, 0, this.#dice.imm()));
    this.#put(insn(this.#dice.from([0xc3, 0xdb]), 0, 1, 8), insn(0xb7, 0, 0, 0, 5));
  }

  /** Emits a call and puts numbers into r0 to r5 after it. */
  #call(self: number): void {
    const dice = this.#dice;
    const kind = dice.below(6);
    const other = self + 1 + dice.below(this.#count);
    if (kind === 0) this.#put(call(dice.from(HELPERS)));
    else if (kind === 1) this.#count32();
    else if (kind === 2 && this.#shape.packet) this.#packet();
    else if (kind === 3) {
      this.#put(insn(0xbf, 1, 8), wide(2, 1, PROGS, 0), insn(0xb7, 3, 0, 0, dice.below(5)));
      this.#put(call(BPF_FUNC.tail_call));
    } else if (other < this.#count) {
      if (dice.oneIn(2)) this.#loop(other);
      else {
        this.#put(insn(0xbf, 1, 8), insn(0xb7, 2));
        this.#calls.push({ at: this.length, to: { function: other } });
        this.#put(insn(0x85, 0, 1));
      }
    }
    this.#scalars(kind === 3 ? [0, 1, 2, 3, 4, 5] : [1, 2, 3, 4, 5]);
  }

  #packet(): void {
    const code = this.#dice.from([0x20, 0x28, 0x30]);
    if (this.#dice.oneIn(2)) this.#put(insn(code, 0, 0, 0, this.#dice.below(60)));
    else this.#put(insn(0xb7, 7, 0, 0, this.#dice.below(60)), insn(code + 0x20, 0, 7, 0, 1));
  }

  #loop(callback: number): void {
    this.#put(insn(0xb7, 1, 0, 0, this.#dice.below(4)));
    this.#calls.push({ at: this.length, to: { function: callback } });
    this.#put(wide(2, 4, 0, 0), insn(0xbf, 3, 8));
    this.#put(insn(0xb7, 4, 0, 0, this.#dice.oneIn(9) ? 1 : 0), call(BPF_FUNC.loop));
  }

  /** Ends a block that does not fall through to the next one. */
  #ends(block: number, blocks: number): void {
    const dice = this.#dice;
    const kind = dice.below(8);
    const ahead = block + 1 + dice.below(blocks - block);
    if (kind < 3) this.#jump(ahead, branch(dice));
    else if (kind === 3) this.#jump(ahead, dice.from([insn(0x05), insn(0x06), insn(0xe5)]));
    else if (kind < 6) {
      this.#put(insn(0x79, 5, 10, TURNS), insn(0x07, 5, 0, 0, -1), insn(0x7b, 10, 5, TURNS));
      this.#jump(dice.below(block + 1), insn(0x65, 5, 0, 0, 0));
    }
  }

  #begins(self: number): void {
    this.functions.push(this.length);
    // A callback receives its context in r2.
    this.#put(insn(0xbf, 8, 1), insn(0x2d, 1, 2, 1), insn(0xbf, 8, 2));
    this.#put(insn(0x7a, 10, 0, TURNS, self === 0 ? 12 : 3));
    this.#lookup(this.#dice.from([ARRAY, HASH]));
    this.#put(insn(0x55, 0, 0, 2, 0), insn(0xb7, 0, 0, 0, self), insn(0x95), insn(0xbf, 9, 0));
    this.#scalars(SCALARS);
  }

  function(self: number): void {
    const dice = this.#dice;
    this.#jumps = [];
    this.#begins(self);
    const blocks = 1 + dice.below(8);
    const starts: number[] = [];
    for (let block = 0; block < blocks; block++) {
      starts.push(this.length);
      for (let n = dice.below(6); n > 0; n--) {
        if (this.#shape.wild && dice.oneIn(25)) this.#put(wild(dice));
        else if (dice.oneIn(6)) this.#call(self);
        else this.#put(plain(dice));
      }
      this.#ends(block, blocks);
    }
    starts.push(this.length);
    if (dice.oneIn(3)) this.#put(insn(0xb7, 0, 0, 0, dice.below(2)));
    this.#put(insn(0x95));
    this.#join(starts);
  }

  #join(starts: readonly number[]): void {
    const code = Buffer.concat(this.parts);
    for (const { at, to } of this.#jumps) {
      if (!("block" in to)) continue;
      const distance = (starts[to.block] as number) - at - 1;
      if (code[8 * at] === 0x06) code.writeInt32LE(distance, 8 * at + 4);
      else code.writeInt16LE(distance, 8 * at + 2);
    }
    this.parts.splice(0, this.parts.length, code);
  }

  finish(): Buffer {
    const code = Buffer.concat(this.parts);
    for (const { at, to } of this.#calls) {
      if (!("function" in to)) continue;
      code.writeInt32LE((this.functions[to.function] as number) - at - 1, 8 * at + 4);
    }
    return code;
  }
}

export function randomProgram(seed: number, shape: RandomShape): Buffer {
  const dice = new Dice(seed);
  const count = 1 + dice.below(4);
  const writer = new RandomWriter(dice, shape, count);
  for (let self = 0; self < count; self++) writer.function(self);
  return writer.finish();
}
