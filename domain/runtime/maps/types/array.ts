import { ERRNO } from "../../../errno.ts";
import { BPF_EXIST, BPF_NOEXIST } from "../../../isa/uapi.ts";
import { MissingData } from "../../fault.ts";
import type { MapView } from "../../job.ts";
import { Layout } from "../layout.ts";
import { type Effects, type RunContext, RunMap, splitLockFlag } from "../map.ts";
import {
  ADDED_TO,
  addReadOf,
  addWriteOf,
  READ_VALUE,
  type TrackedElement,
} from "../tracked_element.ts";

/**
 * BPF_MAP_TYPE_ARRAY (kernel/bpf/arraymap.c). A complete array lies in memory in one piece, so
 * that the compiler can inline lookups; otherwise only the fetched elements are there.
 */

/** Another access flag: the value was overwritten without being read. */
const STORED = 8;

interface ArraySlot {
  at: number;
  accessed: number;
}

export class ArrayMap extends RunMap {
  protected readonly layout: Layout;
  #slots = new Map<number, ArraySlot>();
  #index: Map<number, Uint8Array> | undefined;
  #isDirect = false;
  #wasIterated = false;

  constructor(run: RunContext, view: MapView, handle: number) {
    super(run, view, handle);
    this.layout = new Layout(this.arena, view);
  }

  #fetched(index: number): Uint8Array | undefined {
    const { bytes, elements, isComplete } = this.view;
    const { length } = this.layout;
    if (bytes !== undefined) return bytes.subarray(index * length, (index + 1) * length);
    this.#index ??= new Map(
      elements.flatMap(({ key, value }) => (value === null ? [] : [[indexOf(key), value]])),
    );
    return this.#index.get(index) ?? (isComplete ? new Uint8Array(length) : undefined);
  }

  #keyOf(index: number): Uint8Array {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    return key;
  }

  override materialize(direct: boolean): void {
    this.#isDirect ||= direct;
    const { max_entries, isComplete } = this.view;
    if (this.base !== 0) return;
    if (max_entries === 1 && (direct || this.#fetched(0))) {
      const { at, accessed } = this.#slotAt(0, READ_VALUE);
      this.base = at;
      this.accessFlags = this.arena.reserve(1);
      this.arena.bytes[this.accessFlags] = direct ? accessed : 0;
    } else if (isComplete && this.#slots.size === 0) this.#materializeAll();
  }

  #materializeAll(): void {
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

  #slotAt(index: number, access: number): ArraySlot {
    const found = this.#slots.get(index);
    if (found !== undefined) return found;
    const value = this.#fetched(index);
    if (value === undefined && access !== STORED) {
      throw new MissingData({ map: this.view.id, key: this.#keyOf(index) });
    }
    this.run.charge(this.layout.length);
    const slot = { at: this.layout.place(value), accessed: 0 };
    this.#slots.set(index, slot);
    return slot;
  }

  /** Records the access and returns the address of the value. */
  protected access(index: number, access: number): number {
    if (this.base !== 0) {
      const flags = this.accessFlags + index;
      this.arena.bytes[flags] = (this.arena.bytes[flags] as number) | access;
      return this.base + index * this.layout.stride;
    }
    const slot = this.#slotAt(index, access);
    slot.accessed |= access;
    return slot.at;
  }

  protected locateValue(key: number, access: number): number {
    const index = this.arena.view.getUint32(key, true);
    return index < this.view.max_entries ? this.access(index, access) : 0;
  }

  override lookup(key: number): number {
    return this.locateValue(key, READ_VALUE);
  }

  override lookupToAdd(key: number): number {
    return this.locateValue(key, ADDED_TO);
  }

  override update(key: number, value: number, given: number): number {
    const [flags, locked] = splitLockFlag(given);
    if (flags > BPF_EXIST) return -ERRNO.EINVAL;
    if (this.arena.view.getUint32(key, true) >= this.view.max_entries) return -ERRNO.E2BIG;
    if (flags === BPF_NOEXIST) return -ERRNO.EEXIST;
    if (locked && !this.view.locks) return -ERRNO.EINVAL;
    const to = this.locateForUpdate(key);
    this.arena.bytes.copyWithin(to, value, value + this.view.value_size);
    return 0;
  }

  protected locateForUpdate(key: number): number {
    return this.locateValue(key, STORED);
  }

  override delete(_key: number): number {
    return -ERRNO.EINVAL;
  }

  override visitElements(visit: (key: Uint8Array, value: number) => boolean): number {
    const { id, max_entries, isComplete } = this.view;
    if (!isComplete) throw new MissingData({ map: id, whole: true });
    this.#wasIterated = true;
    for (let i = 0; i < max_entries; i++) {
      if (visit(this.#keyOf(i), this.cpuPart(this.access(i, READ_VALUE)))) return i + 1;
    }
    return max_entries;
  }

  /** Returns the address of this CPU's part of a value. */
  protected cpuPart(at: number): number {
    return at;
  }

  override collectEffects(effects: Effects): void {
    if (this.#wasIterated) effects.reads.push({ map: this.view.id, unchanged: true });
    if (this.#isDirect) this.access(0, READ_VALUE);
    if (this.base === 0) {
      for (const [index, { at, accessed }] of this.#slots)
        this.#addElement(index, at, accessed, effects);
      return;
    }
    const { bytes } = this.arena;
    for (let i = 0; i < this.view.max_entries; i++) {
      const accessed = bytes[this.accessFlags + i] as number;
      if (accessed !== 0)
        this.#addElement(i, this.base + i * this.layout.stride, accessed, effects);
    }
  }

  #addElement(index: number, at: number, accessed: number, effects: Effects): void {
    const map = this.view.id;
    const key = this.#keyOf(index);
    const fetched = this.#fetched(index);
    if (fetched === undefined || ((accessed & STORED) !== 0 && (accessed & READ_VALUE) === 0)) {
      effects.writes.push({ op: "update", map, key, value: this.layout.read(at), flags: 0 });
      return;
    }
    const element: TrackedElement = {
      key,
      fetched,
      isPresent: true,
      at,
      isReplaced: false,
      accessed,
    };
    addWriteOf(map, element, this.layout, effects);
    if ((element.accessed & READ_VALUE) !== 0 && !this.#wasIterated)
      addReadOf(map, element, effects);
  }
}

function indexOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
}
