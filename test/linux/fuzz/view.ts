import type { MapView, Miss, ReadSetEntry } from "../../../domain/runtime/job.ts";
import type { CaseMap } from "./case.ts";
import { initial, isArray, valueBytes } from "./contents.ts";

/** Shows maps to a run as snapshots: complete, or only what the run requested. */

const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");

type ViewElement = MapView["elements"][number];

/** Returns the id of the object with this index in the case. */
export const mapId = (place: number): number => place + 1;
export const programId = (place: number): number => place + 1000;

/** Returns the ids of the objects in the slots of a map. */
const SLOT_IDS: Readonly<Record<string, (place: number) => number>> = {
  prog_array: programId,
  array_of_maps: mapId,
  hash_of_maps: mapId,
};

export class KernelView {
  readonly #map: CaseMap;
  readonly #place: number;
  readonly #cpus: number;
  #whole: boolean;
  #front = 0;
  readonly #keys = new Set<string>();

  constructor(map: CaseMap, place: number, cpus: number, whole: boolean) {
    this.#map = map;
    this.#place = place;
    this.#cpus = cpus;
    this.#whole = whole;
  }

  show(need: Miss): void {
    if ("key" in need) this.#keys.add(Buffer.from(need.key).toString("hex"));
    if ("whole" in need) this.#whole = true;
    if ("front" in need) this.#front = need.front;
  }

  /** Lists the elements as the service stores them, with ids instead of indices. */
  #all(): ViewElement[] {
    const idOf = SLOT_IDS[this.#map.map_type];
    return [...initial(this.#map, this.#cpus).values()].map(([key, value]) => {
      if (idOf === undefined) return { key: bytes(key), value: bytes(value) };
      const id = Buffer.alloc(4);
      id.writeUInt32LE(idOf(bytes(value).readUInt32LE()));
      return { key: bytes(key), value: id };
    });
  }

  #popped(): ViewElement[] {
    const values = this.#map.elements.map(([, value]) => ({ key: bytes(""), value: bytes(value) }));
    const order = this.#map.map_type === "stack" ? values.reverse() : values;
    return this.#whole ? order : order.slice(0, this.#front);
  }

  #asked(key: string): ViewElement {
    const { map_type, elements } = this.#map;
    if (map_type === "bloom_filter") {
      const there = elements.some(([, value]) => value === key);
      return { key: bytes(key), value: there ? bytes("") : null };
    }
    if (map_type === "lpm_trie") return longest(bytes(key), this.#all());
    const found = this.#all().find((element) => bytes(key).equals(element.key));
    return found ?? { key: bytes(key), value: null };
  }

  /** Checks whether a commit would still find what the run read. */
  holds(read: ReadSetEntry): boolean {
    if ("unchanged" in read) return true;
    if ("producer" in read) return read.producer === 0 && read.consumer === 0;
    if ("full" in read) return this.#map.elements.length >= this.#map.max_entries;
    const { value, matched } = this.#asked(Buffer.from(read.key).toString("hex"));
    if ("present" in read) {
      const itself =
        !matched || Buffer.compare(matched.subarray(0, 4), read.key.subarray(0, 4)) === 0;
      return (value !== null && itself) === read.present;
    }
    const same = (one?: Uint8Array | null, other?: Uint8Array | null) =>
      one && other ? Buffer.compare(one, other) === 0 : !one === !other;
    return same(value, read.value) && (read.matched === undefined || same(matched, read.matched));
  }

  #shown(): Pick<MapView, "isComplete" | "elements" | "bytes"> {
    const { map_type } = this.#map;
    if (map_type === "queue" || map_type === "stack") {
      return { isComplete: this.#whole, elements: this.#popped() };
    }
    if (this.#whole && isArray(this.#map)) {
      const values = this.#all().map(({ value }) => value as Uint8Array);
      return { isComplete: true, elements: [], bytes: Buffer.concat(values) };
    }
    if (this.#whole && map_type !== "bloom_filter")
      return { isComplete: true, elements: this.#all() };
    return { isComplete: false, elements: [...this.#keys].map((key) => this.#asked(key)) };
  }

  get view(): MapView {
    const [map, cpus] = [this.#map, this.#cpus];
    const { map_type, key_size, value_size, max_entries, map_flags } = map;
    const perCpu = map_type.includes("percpu");
    return {
      ...{ id: mapId(this.#place), map_type, key_size, value_size, max_entries, map_flags },
      ...(perCpu ? { cpus: valueBytes(map, cpus) / (Math.ceil(value_size / 8) * 8) } : {}),
      ...(map.lock === undefined ? {} : { locks: [map.lock] }),
      entries: isArray(map) ? max_entries : map.elements.length,
      ...(map_type === "ringbuf" ? { producer: 0, consumer: 0 } : {}),
      ...this.#shown(),
    };
  }
}

/** Finds the element with the longest prefix that matches the key. */
function longest(key: Buffer, elements: readonly ViewElement[]): ViewElement {
  const length = (of: Uint8Array) => Buffer.from(of).readUInt32LE();
  const bit = (of: Uint8Array, n: number) => ((of[4 + (n >> 3)] as number) >> (7 - (n & 7))) & 1;
  const leads = (prefix: Uint8Array) =>
    length(prefix) <= length(key) &&
    Array.from({ length: length(prefix) }, (_, n) => n).every(
      (n) => bit(prefix, n) === bit(key, n),
    );
  const found = elements
    .filter((element) => leads(element.key))
    .sort((a, b) => length(b.key) - length(a.key))[0];
  return found ? { key, value: found.value, matched: found.key } : { key, value: null };
}
