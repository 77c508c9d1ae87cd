// BPF_MAP_TYPE_PROG_ARRAY (kernel/bpf/arraymap.c): programs can only jump through it.

import { ObjectMap } from "../object_map.ts";

export class ProgArray extends ObjectMap {
  readonly #ids = new Map<number, number | null>();

  override program(index: number): number | null {
    const known = this.#ids.get(index);
    if (known !== undefined) return known;
    if (index >= this.view.max_entries) return null;
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    const id = this.id(key);
    this.#ids.set(index, id);
    return id;
  }
}
