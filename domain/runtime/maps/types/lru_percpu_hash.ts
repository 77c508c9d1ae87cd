import { LruLog } from "../lru_log.ts";
import type { Effects } from "../map.ts";
import type { TrackedElement } from "../tracked_element.ts";
import { PercpuHash } from "./percpu_hash.ts";

/** BPF_MAP_TYPE_LRU_PERCPU_HASH (kernel/bpf/hashtab.c). */

export class LruPercpuHash extends PercpuHash {
  readonly #lru = new LruLog();

  protected override checkRoom(): number {
    return 0;
  }

  protected override markUsed(element: TrackedElement): void {
    this.#lru.recordTouch(element);
  }

  /** An existing element is written in place, which counts as a lookup. */
  protected override store(element: TrackedElement, value: number): void {
    const present = element.isPresent;
    super.store(element, value);
    if (present) this.#lru.recordTouch(element);
    else this.#lru.recordChange("update", element);
  }

  protected override remove(element: TrackedElement): void {
    super.remove(element);
    this.#lru.recordChange("delete", element);
  }

  protected override addWrites({ writes }: Effects): void {
    writes.push(...this.#lru.toWrites(this.view.id, this.layout));
  }
}
