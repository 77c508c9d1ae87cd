import { type Packed, pack } from "../redis/msgpack.ts";
import type { Miss, ReadSetEntry } from "../runtime/job.ts";

/** What a run asks to see, as domain/lua/test_run/test_run.lua takes it. */

type FetchMode =
  | { mode: "keys"; keys: Keys }
  | { mode: "whole" }
  | { mode: "front"; count: number };

/** Elements of a queue that are shown unasked. */
const FRONT = 16;
/** Keys of a map that the next run of the program is shown unasked. */
const REMEMBERED = 32;

type Keys = Map<string, Uint8Array>;

/** What is wanted of a map of which the last run has read nothing. */
function unasked({ mode }: FetchMode): FetchMode {
  return mode === "front" ? { mode, count: FRONT } : { mode: "keys", keys: new Map() };
}

/** The first keys read, map by map. */
function keysOf(reads: readonly ReadSetEntry[]): Map<number, Keys> {
  const maps = new Map<number, Keys>();
  for (const read of reads) {
    if (!("key" in read)) continue;
    const keys: Keys = maps.get(read.map) ?? new Map();
    if (keys.size < REMEMBERED) keys.set(Buffer.from(read.key).toString("latin1"), read.key);
    maps.set(read.map, keys);
  }
  return maps;
}

/** The programs and the parts of maps that a run came to, of which the next run sees all at once. */
export class FetchSet {
  readonly programs = new Set<number>();
  readonly #maps = new Map<number, FetchMode>();

  /** Grows at every need, so that a run starts again only if it sees more. */
  size = 0;

  map(id: number, type: string): void {
    if (this.#maps.has(id)) return;
    const pops = type === "queue" || type === "stack";
    this.#maps.set(id, pops ? { mode: "front", count: FRONT } : { mode: "keys", keys: new Map() });
    this.size += 1;
  }

  program(id: number): void {
    if (!this.programs.has(id)) this.size += 1;
    this.programs.add(id);
  }

  add(need: Miss): void {
    if ("program" in need) this.program(need.program);
    else if ("inner" in need) this.map(need.inner, "");
    else this.#grow(need.map, need);
  }

  #grow(id: number, need: { key: Uint8Array } | { whole: true } | { front: number }): void {
    const wanted = this.#maps.get(id);
    if ("key" in need) {
      if (wanted?.mode !== "keys") return;
      wanted.keys.set(Buffer.from(need.key).toString("latin1"), need.key);
    } else if ("whole" in need) {
      if (wanted?.mode === "whole") return;
      this.#maps.set(id, { mode: "whole" });
    } else {
      if (wanted?.mode === "front" && wanted.count >= need.front) return;
      this.#maps.set(id, { mode: "front", count: need.front });
    }
    this.size += 1;
  }

  /** Of the same program, for a run of its own; with just what `reads` has, if given. */
  copy(reads?: readonly ReadSetEntry[]): FetchSet {
    const copy = new FetchSet();
    for (const id of this.programs) copy.programs.add(id);
    const keys = reads && keysOf(reads);
    const read = new Set(reads?.map(({ map }) => map));
    for (const [id, wanted] of this.#maps) {
      if (wanted.mode === "keys") {
        const fresh = keys ? (keys.get(id) ?? new Map()) : new Map(wanted.keys);
        copy.#maps.set(id, { mode: "keys", keys: fresh });
      } else copy.#maps.set(id, !reads || read.has(id) ? wanted : unasked(wanted));
    }
    return copy;
  }

  /** A map or program that is gone. */
  forget(id: { map: number } | { program: number }): void {
    if ("map" in id) this.#maps.delete(id.map);
    else this.programs.delete(id.program);
  }

  /** Ids, in the order in which they are packed. */
  get maps(): number[] {
    return [...this.#maps.keys()];
  }

  /** @param loaded when a program that is known was loaded, "" for one that is not. */
  pack(program: number, loaded: (id: number) => string): Buffer {
    const programs = [...this.programs].map((id) => [id, loaded(id)]);
    const maps = [...this.#maps].map(([id, wanted]): Packed => {
      if (wanted.mode === "whole") return [id, "whole"];
      if (wanted.mode === "front") return [id, "front", wanted.count];
      return [id, "keys", ...wanted.keys.values()];
    });
    return pack([program, programs, maps]);
  }
}
