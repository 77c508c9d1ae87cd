import { ObjectMap } from "../object_map.ts";

/** BPF_MAP_TYPE_HASH_OF_MAPS (kernel/bpf/hashtab.c): a lookup returns the inner map. */

export class HashOfMaps extends ObjectMap {
  override lookup(key: number): number {
    const id = this.readId(this.arena.bytes.subarray(key, key + this.view.key_size));
    return id === null ? 0 : this.run.handleOf(id);
  }
}
