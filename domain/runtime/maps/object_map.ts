import { toBuffer } from "../../bytes.ts";
import { MissingData } from "../fault.ts";
import type { MapView } from "../job.ts";
import { type IndexKey, readIndexKey } from "./index_key.ts";
import { type Effects, type RunContext, RunMap } from "./map.ts";

/**
 * The base class of maps whose values programs cannot write: ids of objects, or destinations of
 * packets.
 */

interface ObjectSlot {
  key: Uint8Array;
  value: Uint8Array | null;
}

export abstract class ObjectMap extends RunMap {
  readonly #slots = new Map<IndexKey, ObjectSlot>();
  readonly #readSlots = new Set<ObjectSlot>();

  constructor(run: RunContext, view: MapView, handle: number) {
    super(run, view, handle);
    for (const slot of view.elements) {
      this.#slots.set(readIndexKey(toBuffer(slot.key), 0, view.key_size), slot);
    }
  }

  /** Returns the value of a slot; null when it is empty. @throws MissingData */
  protected readSlot(key: Buffer): Uint8Array | null {
    const indexKey = readIndexKey(key, 0, this.view.key_size);
    const slot = this.#slots.get(indexKey) ?? this.#addAbsent(indexKey, key);
    this.#readSlots.add(slot);
    return slot.value;
  }

  protected readId(key: Buffer): number | null {
    const value = this.readSlot(key);
    return value === null ? null : toBuffer(value).readUInt32LE(0);
  }

  #addAbsent(indexKey: IndexKey, bytes: Buffer): ObjectSlot {
    const key = Uint8Array.from(bytes);
    if (!this.view.isComplete) throw new MissingData({ map: this.view.id, key });
    this.run.charge(key.length);
    const slot = { key, value: null };
    this.#slots.set(indexKey, slot);
    return slot;
  }

  override collectEffects({ reads }: Effects): void {
    const map = this.view.id;
    for (const { key, value } of this.#readSlots) reads.push({ map, key, value });
  }
}
