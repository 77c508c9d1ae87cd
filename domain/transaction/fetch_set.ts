import { type Packed, pack } from "../redis/msgpack.ts";
import type { Miss, ReadSetEntry } from "../runtime/job.ts";

/**
 * The programs and the parts of maps that a snapshot fetches (domain/lua/test_run/test_run.lua).
 */

type FetchMode =
  | { mode: "keys"; keys: Keys }
  | { mode: "whole" }
  | { mode: "front"; count: number };

/** Elements of a queue that a snapshot has without a miss. */
const DEFAULT_FRONT = 16;
/** Keys of a map that the next run of the program has without a miss. */
const MAX_PREFETCHED_KEYS = 32;

type Keys = Map<string, Uint8Array>;

/** The mode for a map that the last run has not read. */
function defaultMode({ mode }: FetchMode): FetchMode {
  return mode === "front" ? { mode, count: DEFAULT_FRONT } : { mode: "keys", keys: new Map() };
}

/** The first keys that a run has read, by map. */
function keysByMap(reads: readonly ReadSetEntry[]): Map<number, Keys> {
  const maps = new Map<number, Keys>();
  for (const read of reads) {
    if (!("key" in read)) continue;
    const keys: Keys = maps.get(read.map) ?? new Map();
    if (keys.size < MAX_PREFETCHED_KEYS)
      keys.set(Buffer.from(read.key).toString("latin1"), read.key);
    maps.set(read.map, keys);
  }
  return maps;
}

export class FetchSet {
  readonly programs = new Set<number>();
  readonly #maps = new Map<number, FetchMode>();

  /** Grows whenever the set does, so that a run restarts only with more data. */
  size = 0;

  addMap(id: number, type: string): void {
    if (this.#maps.has(id)) return;
    const isQueue = type === "queue" || type === "stack";
    this.#maps.set(
      id,
      isQueue ? { mode: "front", count: DEFAULT_FRONT } : { mode: "keys", keys: new Map() },
    );
    this.size += 1;
  }

  addProgram(id: number): void {
    if (!this.programs.has(id)) this.size += 1;
    this.programs.add(id);
  }

  addMiss(miss: Miss): void {
    if ("program" in miss) this.addProgram(miss.program);
    else if ("inner" in miss) this.addMap(miss.inner, "");
    else this.#extend(miss.map, miss);
  }

  #extend(id: number, miss: { key: Uint8Array } | { whole: true } | { front: number }): void {
    const mode = this.#maps.get(id);
    if ("key" in miss) {
      if (mode?.mode !== "keys") return;
      mode.keys.set(Buffer.from(miss.key).toString("latin1"), miss.key);
    } else if ("whole" in miss) {
      if (mode?.mode === "whole") return;
      this.#maps.set(id, { mode: "whole" });
    } else {
      if (mode?.mode === "front" && mode.count >= miss.front) return;
      this.#maps.set(id, { mode: "front", count: miss.front });
    }
    this.size += 1;
  }

  /** A copy for another run of the program; reduced to what `reads` contains, if given. */
  copy(reads?: readonly ReadSetEntry[]): FetchSet {
    const copy = new FetchSet();
    for (const id of this.programs) copy.programs.add(id);
    const keys = reads && keysByMap(reads);
    const read = new Set(reads?.map(({ map }) => map));
    for (const [id, mode] of this.#maps) {
      if (mode.mode === "keys") {
        const prefetched = keys ? (keys.get(id) ?? new Map()) : new Map(mode.keys);
        copy.#maps.set(id, { mode: "keys", keys: prefetched });
      } else copy.#maps.set(id, !reads || read.has(id) ? mode : defaultMode(mode));
    }
    return copy;
  }

  /** Removes a map or program that is gone. */
  remove(id: { map: number } | { program: number }): void {
    if ("map" in id) this.#maps.delete(id.map);
    else this.programs.delete(id.program);
  }

  /** Ids, in the order of pack(). */
  get mapIds(): number[] {
    return [...this.#maps.keys()];
  }

  /** @param loadTimeOf the load time of a cached program, "" for another. */
  pack(program: number, loadTimeOf: (id: number) => string): Buffer {
    const programs = [...this.programs].map((id) => [id, loadTimeOf(id)]);
    const maps = [...this.#maps].map(([id, mode]): Packed => {
      if (mode.mode === "whole") return [id, "whole"];
      if (mode.mode === "front") return [id, "front", mode.count];
      return [id, "keys", ...mode.keys.values()];
    });
    return pack([program, programs, maps]);
  }
}
