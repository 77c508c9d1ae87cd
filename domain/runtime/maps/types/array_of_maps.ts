import { ObjectMap } from "../object_map.ts";

/** BPF_MAP_TYPE_ARRAY_OF_MAPS (kernel/bpf/arraymap.c): a lookup returns the inner map. */

export class ArrayOfMaps extends ObjectMap {
  override lookup(key: number): number {
    const bytes = this.arena.bytes.subarray(key, key + 4);
    if (bytes.readUInt32LE(0) >= this.view.max_entries) return 0;
    const id = this.readId(bytes);
    return id === null ? 0 : this.run.handleOf(id);
  }
}
