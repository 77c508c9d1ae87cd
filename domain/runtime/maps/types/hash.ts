import { Htab } from "../htab.ts";
import type { TrackedElement } from "../tracked_element.ts";

/**
 * BPF_MAP_TYPE_HASH (kernel/bpf/hashtab.c): an update replaces the element, except with
 * BPF_F_LOCK.
 */

export class Hash extends Htab {
  protected override store(element: TrackedElement, value: number, inPlace: boolean): void {
    const { at, isPresent } = element;
    if (inPlace && isPresent && at !== 0) {
      this.arena.bytes.copyWithin(at, value, value + this.view.value_size);
    } else {
      if (at !== 0) this.layout.deferFree(at);
      element.at = this.layout.place(this.arena.copy(value, this.view.value_size));
    }
    element.isReplaced = true;
  }
}
