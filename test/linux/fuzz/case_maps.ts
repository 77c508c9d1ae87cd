import { BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG } from "../../../domain/isa/uapi.ts";
import { u32Hex } from "../../support/bytes.ts";
import type { Dice } from "../../support/random.ts";
import { DATA, VALUE } from "../../support/random_program/random_insns.ts";
import type { CaseMap, Elements } from "./case.ts";
import { unlocked, valueBytes } from "./contents.ts";

/** Defines the maps of each case; a map that no program names is not created. */

/** The number of 8-byte slots in which pieces record their results. */
export const SLOTS = 48;

const all: (Omit<CaseMap, "elements"> & { place: number })[] = [];

function define(
  map_type: string,
  key_size: number,
  value_size: number,
  max_entries: number,
  more: { map_flags?: number; inner?: number; lock?: number } = {},
) {
  const place = all.length;
  const shape = { place, map_type, key_size, value_size, max_entries, map_flags: 0, ...more };
  all.push(shape);
  return shape;
}

/** r8 points to the value of MEMORY and r9 to the value of NUMBERS. */
export const MEMORY = define("array", 4, DATA, 1);
export const NUMBERS = define("array", 4, VALUE, 1);
export const RESULTS = define("array", 4, 8 * SLOTS, 1);
export const TEXT = define("array", 4, 64, 1, { map_flags: BPF_F_RDONLY_PROG });
export const PROGS = define("prog_array", 4, 4, 4);
export const QUEUE = define("queue", 0, 8, 3);
export const STACK = define("stack", 0, 12, 3);
export const RING = define("ringbuf", 0, 0, 4096);
export const BLOOM = define("bloom_filter", 0, 8, 1024);
const ARRAY = define("array", 4, 16, 4);
const HASH = define("hash", 4, 16, 3);
export const OUTERS = [
  define("array_of_maps", 4, 4, 3, { inner: ARRAY.place }),
  define("hash_of_maps", 4, 4, 3, { inner: HASH.place }),
];
export const PERCPU_ARRAY = define("percpu_array", 4, 12, 3);
export const PERCPU_HASH = define("percpu_hash", 8, 12, 3);
/** Programs look up, update and delete elements in these maps. */
export const KEYED = [
  ...[ARRAY, HASH, PERCPU_ARRAY, PERCPU_HASH],
  define("hash", 7, 5, 4, { map_flags: BPF_F_NO_PREALLOC }),
  define("array", 4, 6, 3),
  define("lru_hash", 4, 8, 64),
  define("lru_percpu_hash", 4, 16, 64),
  define("lpm_trie", 8, 8, 4, { map_flags: BPF_F_NO_PREALLOC }),
];
export const ARRAYS = [ARRAY, PERCPU_ARRAY];
/** Programs access the bytes beside the locks of these maps. */
export const LOCKED = [
  { of: define("hash", 4, 24, 3, { lock: 16 }), from: 0, size: 16 },
  { of: define("array", 4, 16, 3, { lock: 0 }), from: 8, size: 8 },
];

export type FuzzMap = (typeof all)[number];

/** Lists the strings stored in TEXT and their offsets. */
export const STRINGS: readonly (readonly [at: number, text: string])[] = [
  [0, ""],
  [8, "abc"],
  [16, "%d %u %x"],
  [32, "%lld|%5d|%-4u"],
  [48, "%08llx %i"],
];

/** Chooses one of a few keys, so that most lookups find an element. */
export function keyOf(dice: Dice, { map_type, key_size, max_entries }: FuzzMap): Buffer {
  const key = Buffer.alloc(key_size);
  if (map_type === "lpm_trie") {
    key.writeUInt32LE(dice.from([0, 4, 8, 9, 16, 24, 32, 33]));
    key.writeUInt32BE(dice.from([0, 0x0a000000, 0x0a800000, 0x0a8000ff, 0xffffffff]), 4);
  } else {
    const beyond = dice.oneIn(12) ? 1 : 0;
    key.writeUInt32LE(dice.below(Math.min(max_entries, 5) + beyond));
  }
  return key;
}

export function random(dice: Dice, size: number): string {
  return Array.from({ length: size }, () => {
    const byte = dice.oneIn(3) ? dice.from([0, 1, 0x7f, 0x80, 0xff]) : dice.below(256);
    return byte.toString(16).padStart(2, "0");
  }).join("");
}

function elementsOf(dice: Dice, map: FuzzMap, cpus: number, programs: number): Elements {
  const { map_type } = map;
  const value = () => unlocked(map, random(dice, valueBytes({ ...map, elements: [] }, cpus)));
  if (map === RESULTS || map === RING) return [];
  if (map === TEXT) return [[u32Hex(0), text()]];
  if (map.key_size === 0) {
    return Array.from({ length: dice.below(4) }, () => ["", random(dice, map.value_size)]);
  }
  if (map === PROGS) {
    const slots = Array.from({ length: programs }, (_, n): [string, string] => [
      u32Hex(n),
      u32Hex(n),
    ]);
    return slots.filter(() => !dice.oneIn(5));
  }
  const found = new Map<string, [string, string]>();
  const most = map_type.includes("lru") ? 5 : map.max_entries;
  for (let n = dice.below(most + 1); n > 0; n--) {
    const key = keyOf(dice, { ...map, max_entries: map.max_entries });
    const fits = map_type === "lpm_trie" ? key.readUInt32LE() <= 32 : !isBeyond(map, key);
    if (!fits) continue;
    const inner = map.inner === undefined ? value() : u32Hex(map.inner);
    found.set(map_type === "lpm_trie" ? prefix(key) : key.toString("hex"), [
      key.toString("hex"),
      inner,
    ]);
  }
  return [...found.values()];
}

function isBeyond({ map_type, max_entries }: FuzzMap, key: Buffer): boolean {
  return map_type.includes("array") && key.readUInt32LE() >= max_entries;
}

const prefix = (key: Buffer): string => {
  const length = key.readUInt32LE();
  const bits = BigInt(key.readUInt32BE(4)) >> BigInt(32 - length);
  return `${length} ${bits}`;
};

function text(): string {
  const out = Buffer.alloc(TEXT.value_size);
  for (const [at, string] of STRINGS) out.write(string, at);
  return out.toString("hex");
}

/** Fills all maps at random; `programs` is the number of programs that slots can hold. */
export function world(dice: Dice, cpus: number, programs: number): CaseMap[] {
  return all.map((map) => {
    const { place: _, ...shape } = map;
    return { ...shape, elements: elementsOf(dice, map, cpus, programs) };
  });
}
