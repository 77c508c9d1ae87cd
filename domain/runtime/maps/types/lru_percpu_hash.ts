// BPF_MAP_TYPE_LRU_PERCPU_HASH (kernel/bpf/hashtab.c)

import { LruLog } from "../lru_log.ts";
import type { Effects } from "../map.ts";
import type { TrackedElement } from "../tracked_element.ts";
import { PercpuHash } from "./percpu_hash.ts";

export class LruPercpuHash extends PercpuHash {
  readonly #lru = new LruLog();

  protected override full(): number {
    return 0;
  }

  protected override used(entry: TrackedElement): void {
    this.#lru.touch(entry);
  }

  /** A present element is written in place, and marked as used. */
  protected override store(entry: TrackedElement, value: number): void {
    const present = entry.present;
    super.store(entry, value);
    if (present) this.#lru.touch(entry);
    else this.#lru.change("update", entry);
  }

  protected override remove(entry: TrackedElement): void {
    super.remove(entry);
    this.#lru.change("delete", entry);
  }

  protected override changes({ ops }: Effects): void {
    ops.push(...this.#lru.ops(this.view.id, this.layout));
  }
}
