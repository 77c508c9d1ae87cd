import { LruLog } from "../lru_log.ts";
import type { Effects } from "../map.ts";
import type { TrackedElement } from "../tracked_element.ts";
import { Hash } from "./hash.ts";

/**
 * BPF_MAP_TYPE_LRU_HASH (kernel/bpf/hashtab.c): the commit evicts elements to make room; until
 * then the run keeps everything that it has read.
 */

export class LruHash extends Hash {
  readonly #lru = new LruLog();

  protected override canUpdateUnread(): boolean {
    return true;
  }

  protected override checkRoom(): number {
    return 0;
  }

  protected override markUsed(element: TrackedElement): void {
    this.#lru.recordTouch(element);
  }

  protected override store(element: TrackedElement, value: number): void {
    super.store(element, value, false);
    this.#lru.recordChange("update", element);
  }

  protected override remove(element: TrackedElement): void {
    super.remove(element);
    this.#lru.recordChange("delete", element);
  }

  protected override addWrites({ writes }: Effects): void {
    writes.push(...this.#lru.toWrites(this.view.id, this.layout));
  }
}
