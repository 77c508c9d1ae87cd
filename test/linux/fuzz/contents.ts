import type { WriteSetEntry } from "../../../domain/runtime/job.ts";
import type { CaseMap, Elements } from "./case.ts";

/** Applies the write set of a run to the contents of maps, with as little code as possible. */

const UNSEEN = new Set(["bloom_filter", "prog_array", "array_of_maps", "hash_of_maps"]);
const BPF_EXIST = 2;
const ORDERED = new Set(["queue", "stack", "ringbuf"]);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

export const isArray = ({ map_type }: CaseMap): boolean =>
  map_type === "array" || map_type === "percpu_array";

/** Counts the bytes of a value as a lookup returns it: for each CPU, rounded up to 8 bytes. */
export function valueBytes({ map_type, value_size }: CaseMap, cpus: number): number {
  return map_type.includes("percpu") ? Math.ceil(value_size / 8) * 8 * cpus : value_size;
}

/**
 * The padding between the parts of a per-CPU value is undefined, so it is removed before
 * comparison.
 */
export function unpadded({ map_type, value_size }: CaseMap, value: string): string {
  if (!map_type.includes("percpu")) return value;
  const stride = Math.ceil(value_size / 8) * 16;
  const parts = Array.from({ length: value.length / stride }, (_, i) => i * stride);
  return parts.map((at) => value.slice(at, at + 2 * value_size)).join(" ");
}

/** Removes the lock from a value, because updates do not write locks. */
export function unlocked({ lock }: Pick<CaseMap, "lock">, value: string): string {
  if (lock === undefined) return value;
  return `${value.slice(0, 2 * lock)}00000000${value.slice(2 * lock + 8)}`;
}

/**
 * Entries are stored by a canonical key: prefix keys that differ only beyond the prefix are equal.
 */
type Table = Map<string, [key: string, value: string]>;

function identity({ map_type }: CaseMap, key: string): string {
  if (map_type !== "lpm_trie") return key;
  const out = Buffer.from(key, "hex");
  for (let bit = out.readUInt32LE(); bit < 8 * (out.length - 4); bit++) {
    const at = 4 + (bit >> 3);
    out.writeUInt8(out.readUInt8(at) & ~(0x80 >> (bit & 7)), at);
  }
  return hex(out);
}

/** Array elements that the case leaves out are zeros. */
export function initial(map: CaseMap, cpus: number): Table {
  const found: Table = new Map();
  const empty = "00".repeat(valueBytes(map, cpus));
  for (let i = 0; isArray(map) && i < map.max_entries; i++) {
    const key = hex(Uint8Array.of(i, i >> 8, 0, 0));
    found.set(key, [key, empty]);
  }
  for (const [key, value] of map.elements) found.set(identity(map, key), [key, value]);
  return found;
}

function added(old: string, offset: number, size: number, delta: bigint): string {
  const bytes = Buffer.from(old, "hex");
  const [read, write] =
    size === 8
      ? [bytes.readBigUInt64LE(offset), (n: bigint) => bytes.writeBigUInt64LE(n, offset)]
      : [BigInt(bytes.readUInt32LE(offset)), (n: bigint) => bytes.writeUInt32LE(Number(n), offset)];
  write(BigInt.asUintN(8 * size, read + delta));
  return hex(bytes);
}

export class MapContents {
  readonly #map: CaseMap;
  readonly #elements: Table;
  /** A queue or stack is listed in the order of popping; a ring buffer as its records. */
  readonly #list: string[];

  constructor(map: CaseMap, cpus: number) {
    this.#map = map;
    this.#elements = initial(map, cpus);
    const values = map.elements.map(([, value]) => value);
    this.#list = map.map_type === "stack" ? values.reverse() : values;
  }

  #push(value: string, flags: number): void {
    const { map_type, max_entries } = this.#map;
    const full = this.#list.length === max_entries;
    if (full && flags !== BPF_EXIST) throw new Error("a push into a full map");
    if (full && map_type === "stack") this.#list.pop();
    else if (full) this.#list.shift();
    if (map_type === "stack") this.#list.unshift(value);
    else this.#list.push(value);
  }

  /** @throws Error if the operation cannot be applied. */
  apply(op: WriteSetEntry): void {
    if (op.op === "push") this.#push(hex(op.value), op.flags);
    else if (op.op === "pop") this.#list.shift();
    else if (op.op === "output") this.#list.push(hex(op.data));
    else if (op.op !== "touch") this.#change(op);
  }

  #change(op: Extract<WriteSetEntry, { op: "update" | "delete" | "write" | "add" }>): void {
    const key = hex(op.key);
    const id = identity(this.#map, key);
    if (op.op === "update") {
      this.#elements.set(id, [key, unlocked(this.#map, hex(op.value))]);
      return;
    }
    // A run may delete an element that it created itself, so the element need not exist.
    if (op.op === "delete") {
      this.#elements.delete(id);
      return;
    }
    const [stored, old] = this.#elements.get(id) ?? [];
    if (old === undefined || stored === undefined) throw new Error(`${op.op} of no element`);
    if (op.op === "write") this.#elements.set(id, [stored, unlocked(this.#map, hex(op.value))]);
    else this.#elements.set(id, [stored, added(old, op.offset, op.size, op.delta)]);
  }

  shown(): Elements {
    if (UNSEEN.has(this.#map.map_type)) return [];
    if (ORDERED.has(this.#map.map_type)) return this.#list.map((value) => ["", value] as const);
    return [...this.#elements.values()].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
