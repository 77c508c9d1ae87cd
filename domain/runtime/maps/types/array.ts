// BPF_MAP_TYPE_ARRAY (kernel/bpf/arraymap.c). An array that was fetched as a whole lies in memory as one,
// so that lookups can be compiled in; of another one there are the elements that were asked for.

import { ERRNO } from "../../../errno.ts";
import { BPF_EXIST, BPF_NOEXIST } from "../../../isa/uapi.ts";
import { MissingData } from "../../fault.ts";
import type { MapView } from "../../job.ts";
import { Layout } from "../layout.ts";
import { type Effects, type RunContext, RunMap, unlocked } from "../map.ts";
import { ADDED, readOf, type TrackedElement, VALUE, writeOf } from "../tracked_element.ts";

/** Beside the ways of looking at an element: its value was set, whatever it had been. */
const STORED = 8;

interface ArraySlot {
  at: number;
  marks: number;
}

export class ArrayMap extends RunMap {
  protected readonly layout: Layout;
  #slots = new Map<number, ArraySlot>();
  #index: Map<number, Uint8Array> | undefined;
  #direct = false;
  #iterated = false;

  constructor(run: RunContext, view: MapView, handle: number) {
    super(run, view, handle);
    this.layout = new Layout(this.arena, view);
  }

  #fetched(index: number): Uint8Array | undefined {
    const { bytes, elements, whole } = this.view;
    const { length } = this.layout;
    if (bytes !== undefined) return bytes.subarray(index * length, (index + 1) * length);
    this.#index ??= new Map(
      elements.flatMap(({ key, value }) => (value === null ? [] : [[indexOf(key), value]])),
    );
    return this.#index.get(index) ?? (whole ? new Uint8Array(length) : undefined);
  }

  #keyOf(index: number): Uint8Array {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    return key;
  }

  override materialize(direct: boolean): void {
    this.#direct ||= direct;
    const { max_entries, whole } = this.view;
    if (this.base !== 0) return;
    if (max_entries === 1 && (direct || this.#fetched(0))) {
      const { at, marks } = this.#slot(0, VALUE);
      this.base = at;
      this.accessFlags = this.arena.reserve(1);
      this.arena.bytes[this.accessFlags] = direct ? marks : 0;
    } else if (whole && this.#slots.size === 0) this.#spreadAll();
  }

  #spreadAll(): void {
    const { max_entries, bytes } = this.view;
    const { stride, length } = this.layout;
    this.base = this.arena.reserve(max_entries * stride);
    this.accessFlags = this.arena.reserve(max_entries);
    const values = bytes ?? new Uint8Array(max_entries * length);
    if (bytes === undefined) {
      for (let i = 0; i < max_entries; i++) values.set(this.#fetched(i) ?? [], i * length);
    }
    this.layout.fillAll(this.base, max_entries, values);
  }

  #slot(index: number, how: number): ArraySlot {
    const found = this.#slots.get(index);
    if (found !== undefined) return found;
    const value = this.#fetched(index);
    if (value === undefined && how !== STORED) {
      throw new MissingData({ map: this.view.id, key: this.#keyOf(index) });
    }
    this.run.charge(this.layout.length);
    const slot = { at: this.layout.place(value), marks: 0 };
    this.#slots.set(index, slot);
    return slot;
  }

  /** Marks the element so; where its value is. */
  protected mark(index: number, how: number): number {
    if (this.base !== 0) {
      const seen = this.accessFlags + index;
      this.arena.bytes[seen] = (this.arena.bytes[seen] as number) | how;
      return this.base + index * this.layout.stride;
    }
    const slot = this.#slot(index, how);
    slot.marks |= how;
    return slot.at;
  }

  protected at(key: number, how: number): number {
    const index = this.arena.view.getUint32(key, true);
    return index < this.view.max_entries ? this.mark(index, how) : 0;
  }

  override lookup(key: number): number {
    return this.at(key, VALUE);
  }

  override lookupToAdd(key: number): number {
    return this.at(key, ADDED);
  }

  override update(key: number, value: number, given: number): number {
    const [flags, locked] = unlocked(given);
    if (flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (this.arena.view.getUint32(key, true) >= this.view.max_entries) return -ERRNO.E2BIG;
    if (flags === BPF_NOEXIST) return -ERRNO.EEXIST;
    if (locked && !this.view.locks) return -ERRNO.EINVAL;
    const to = this.toStore(key);
    this.arena.bytes.copyWithin(to, value, value + this.view.value_size);
    return 0;
  }

  protected toStore(key: number): number {
    return this.at(key, STORED);
  }

  override delete(_key: number): number {
    return -ERRNO.EINVAL;
  }

  override each(visit: (key: Uint8Array, value: number) => boolean): number {
    const { id, max_entries, whole } = this.view;
    if (!whole) throw new MissingData({ map: id, whole: true });
    this.#iterated = true;
    for (let i = 0; i < max_entries; i++) {
      if (visit(this.#keyOf(i), this.here(this.mark(i, VALUE)))) return i + 1;
    }
    return max_entries;
  }

  /** Of the part of a value that this CPU has. */
  protected here(at: number): number {
    return at;
  }

  override finish(effects: Effects): void {
    if (this.#iterated) effects.reads.push({ map: this.view.id, unchanged: true });
    if (this.#direct) this.mark(0, VALUE);
    if (this.base === 0) {
      for (const [index, { at, marks }] of this.#slots) this.#element(index, at, marks, effects);
      return;
    }
    const { bytes } = this.arena;
    for (let i = 0; i < this.view.max_entries; i++) {
      const marks = bytes[this.accessFlags + i] as number;
      if (marks !== 0) this.#element(i, this.base + i * this.layout.stride, marks, effects);
    }
  }

  #element(index: number, at: number, looks: number, effects: Effects): void {
    const map = this.view.id;
    const key = this.#keyOf(index);
    const fetched = this.#fetched(index);
    if (fetched === undefined || ((looks & STORED) !== 0 && (looks & VALUE) === 0)) {
      effects.ops.push({ op: "update", map, key, value: this.layout.read(at), flags: 0 });
      return;
    }
    const entry: TrackedElement = { key, fetched, present: true, at, replaced: false, looks };
    writeOf(map, entry, this.layout, effects);
    if ((entry.looks & VALUE) !== 0 && !this.#iterated) readOf(map, entry, effects);
  }
}

function indexOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}
