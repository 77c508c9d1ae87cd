import {
  ARENA,
  ARENA_END,
  MEMORY_PAGES,
  MEMORY_START,
  SHADOW_READ,
  SHADOW_WRITE,
  STACK_TOP,
} from "../compiler/abi.ts";
import { MAX_BPF_STACK, MAX_CALL_FRAMES } from "../isa/limits.ts";
import { InputRefused, RunFailure } from "./fault.ts";

/**
 * The memory of a machine: regions one after the other, each followed by a gap of at least 8
 * bytes, and the shadow that says which bytes a program may read and write.
 * Invariant: between runs all bytes are 0, and only the stack of one program is accessible.
 */

export interface ArenaAccess {
  read: boolean;
  write: boolean;
}

export const NONE: ArenaAccess = { read: false, write: false };
export const READ: ArenaAccess = { read: true, write: false };
export const READ_WRITE: ArenaAccess = { read: true, write: true };

const STACK_BYTES = MAX_CALL_FRAMES * MAX_BPF_STACK;
const FLOOR = STACK_TOP - STACK_BYTES;

export const round8 = (size: number): number => Math.ceil(size / 8) * 8;

export class Arena {
  readonly memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
  readonly bytes = Buffer.from(this.memory.buffer);
  readonly #raw = new Uint8Array(this.memory.buffer);
  readonly words = new Uint32Array(this.memory.buffer);
  readonly view = new DataView(this.memory.buffer);
  /** The lowest address of the stack. */
  readonly floor = new WebAssembly.Global({ value: "i32", mutable: true }, FLOOR);
  #top = ARENA;
  /** Regions freed in this repetition: the program may still have pointers to them. */
  #deferred: { at: number; size: number }[] = [];
  /** Zeroed regions for reuse, by size. */
  #free = new Map<number, number[]>();

  constructor() {
    this.setAccess(FLOOR, STACK_BYTES, READ_WRITE);
  }

  /** Extends the stack for a tail-called program, whose first frame ends at `sb`. */
  extendStack(sb: number): void {
    const { value: floor } = this.floor;
    const next = sb - STACK_BYTES;
    if (next >= floor) return;
    this.setAccess(next, floor - next, READ_WRITE);
    this.floor.value = next;
  }

  /**
   * Reserves a zeroed region at a multiple of 8, which the program may not access yet.
   *
   * @throws InputRefused ENOMEM
   */
  reserve(size: number): number {
    const extent = round8(size) + 8;
    const reused = this.#free.get(extent)?.pop();
    if (reused !== undefined) return reused;
    const at = this.#top;
    if (at + extent > ARENA_END) {
      const limit = (ARENA_END - ARENA) >>> 20;
      throw new InputRefused(
        "ENOMEM",
        "",
        `the values that the run accesses must take at most ${limit} MiB`,
      );
    }
    this.#top = at + extent;
    return at;
  }

  place(data: Uint8Array, access: ArenaAccess): number {
    const at = this.reserve(data.length);
    this.bytes.set(data, at);
    this.setAccess(at, data.length, access);
    return at;
  }

  /** Sets the access to `size` bytes at a multiple of 8; the rest of the last 8 is inaccessible. */
  setAccess(at: number, size: number, { read, write }: ArenaAccess): void {
    this.#fillShadow(SHADOW_READ, at, size, read);
    this.#fillShadow(SHADOW_WRITE, at, size, write);
  }

  /** Does the same for `count` regions, `stride` bytes apart. */
  setAccessAll(at: number, count: number, stride: number, size: number, access: ArenaAccess): void {
    this.setAccess(at, size, access);
    const start = at >>> 3;
    const end = (count * stride) >>> 3;
    for (const shadow of [SHADOW_READ, SHADOW_WRITE]) {
      for (let done = stride >>> 3; done < end; done *= 2) {
        const from = shadow + start;
        this.bytes.copyWithin(from + done, from, from + Math.min(done, end - done));
      }
    }
  }

  /** Makes a readable region writable. */
  allowWrites(at: number, size: number): void {
    this.#fillShadow(SHADOW_WRITE, at, size, true);
  }

  #fillShadow(shadow: number, at: number, size: number, isOn: boolean): void {
    const start = shadow + (at >>> 3);
    const end = start + (size >>> 3);
    this.bytes.fill(isOn ? 8 : 0, start, end);
    if (size % 8 > 0) this.bytes[end] = isOn ? size % 8 : 0;
  }

  /** Frees the region when the repetition ends; until then it stays accessible. */
  deferFree(at: number, size: number): void {
    this.#deferred.push({ at, size });
  }

  /** Makes the deferred regions available again, at the end of a repetition. */
  reclaim(): void {
    if (this.#deferred.length === 0) return;
    for (const { at, size } of this.#deferred) {
      const extent = round8(size) + 8;
      this.bytes.fill(0, at, at + extent);
      this.setAccess(at, extent, NONE);
      const list = this.#free.get(extent);
      if (list === undefined) this.#free.set(extent, [at]);
      else list.push(at);
    }
    this.#deferred = [];
  }

  /** @throws RunFailure unless the program may read these bytes. */
  checkReadable(at: number, size: number): void {
    if (!this.#covers(SHADOW_READ, at, size)) throw accessFailure("read", at, size);
  }

  checkWritable(at: number, size: number): void {
    if (!this.#covers(SHADOW_WRITE, at, size)) throw accessFailure("written", at, size);
  }

  canRead(at: number, size: number): boolean {
    return this.#covers(SHADOW_READ, at, size);
  }

  #covers(shadow: number, at: number, size: number): boolean {
    const end = at + size;
    // The fast path: most keys are within one granule.
    const inside = at >= MEMORY_START && end <= ARENA_END;
    if (inside && (at & 7) + size <= (this.#raw[shadow + (at >>> 3)] as number)) return true;
    if (size > 0 && (at < MEMORY_START || end > ARENA_END)) return false;
    for (let from = at; from < end; ) {
      const granule = from - (from % 8);
      const to = Math.min(end, granule + 8);
      if ((this.bytes[shadow + (granule >>> 3)] as number) < to - granule) return false;
      from = to;
    }
    return true;
  }

  copy(at: number, size: number): Uint8Array {
    return this.#raw.slice(at, at + size);
  }

  equals(at: number, data: Uint8Array): boolean {
    return this.bytes.compare(data, 0, data.length, at, at + data.length) === 0;
  }

  /** Clears everything at the end of a run. */
  reset(): void {
    const { value: floor } = this.floor;
    this.bytes.fill(0, floor, STACK_TOP);
    if (floor !== FLOOR) this.setAccess(floor, FLOOR - floor, NONE);
    this.floor.value = FLOOR;
    this.bytes.fill(0, ARENA, this.#top);
    this.setAccess(ARENA, this.#top - ARENA, NONE);
    this.#top = ARENA;
    this.#deferred = [];
    this.#free.clear();
  }
}

function accessFailure(verb: string, at: number, size: number): RunFailure {
  return new RunFailure("memory", `${size} bytes at 0x${at.toString(16)} cannot be ${verb}`);
}
