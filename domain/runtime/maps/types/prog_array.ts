import { ObjectMap } from "../object_map.ts";

/** BPF_MAP_TYPE_PROG_ARRAY (kernel/bpf/arraymap.c): programs use it for tail calls only. */

export class ProgArray extends ObjectMap {
  readonly #ids = new Map<number, number | null>();

  override programAt(index: number): number | null {
    const cached = this.#ids.get(index);
    if (cached !== undefined) return cached;
    if (index >= this.view.max_entries) return null;
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index);
    const id = this.readId(key);
    this.#ids.set(index, id);
    return id;
  }
}
