// BPF_MAP_TYPE_LRU_HASH (kernel/bpf/hashtab.c): never full, for room is made when the run commits; until
// then the run sees all that it has seen.

import { LruLog } from "../lru_log.ts";
import type { Effects } from "../map.ts";
import type { TrackedElement } from "../tracked_element.ts";
import { Hash } from "./hash.ts";

export class LruHash extends Hash {
  readonly #lru = new LruLog();

  protected override blind(): boolean {
    return true;
  }

  protected override full(): number {
    return 0;
  }

  protected override used(entry: TrackedElement): void {
    this.#lru.touch(entry);
  }

  protected override store(entry: TrackedElement, value: number): void {
    super.store(entry, value, false);
    this.#lru.change("update", entry);
  }

  protected override remove(entry: TrackedElement): void {
    super.remove(entry);
    this.#lru.change("delete", entry);
  }

  protected override changes({ ops }: Effects): void {
    ops.push(...this.#lru.ops(this.view.id, this.layout));
  }
}
