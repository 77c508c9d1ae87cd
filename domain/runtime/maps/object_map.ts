// Maps whose values programs cannot change: of objects, a value being an id of 4 bytes, or of where packets go.

import { MissingData } from "../fault.ts";
import type { MapView } from "../job.ts";
import { buffer, type IndexKey, indexKey } from "./index_key.ts";
import { type Effects, type RunContext, RunMap } from "./map.ts";

interface ObjectSlot {
  key: Uint8Array;
  value: Uint8Array | null;
}

export abstract class ObjectMap extends RunMap {
  readonly #index = new Map<IndexKey, ObjectSlot>();
  readonly #asked = new Set<ObjectSlot>();

  constructor(run: RunContext, view: MapView, handle: number) {
    super(run, view, handle);
    for (const slot of view.elements) {
      this.#index.set(indexKey(buffer(slot.key), 0, view.key_size), slot);
    }
  }

  /** What is in the slot of this key, which is bytes; null when it is empty. @throws Missing */
  protected value(key: Buffer): Uint8Array | null {
    const k = indexKey(key, 0, this.view.key_size);
    const slot = this.#index.get(k) ?? this.#absent(k, key);
    this.#asked.add(slot);
    return slot.value;
  }

  protected id(key: Buffer): number | null {
    const value = this.value(key);
    return value === null ? null : buffer(value).readUInt32LE(0);
  }

  #absent(k: IndexKey, bytes: Buffer): ObjectSlot {
    const key = Uint8Array.from(bytes);
    if (!this.view.whole) throw new MissingData({ map: this.view.id, key });
    this.run.charge(key.length);
    const slot = { key, value: null };
    this.#index.set(k, slot);
    return slot;
  }

  override finish({ reads }: Effects): void {
    const map = this.view.id;
    for (const { key, value } of this.#asked) reads.push({ map, key, value });
  }
}
