// BPF_MAP_TYPE_HASH (kernel/bpf/hashtab.c): an update makes a new element, but for BPF_F_LOCK.

import { Htab } from "../htab.ts";
import type { TrackedElement } from "../tracked_element.ts";

export class Hash extends Htab {
  protected override store(entry: TrackedElement, value: number, inPlace: boolean): void {
    const { at, present } = entry;
    if (inPlace && present && at !== 0) {
      this.arena.bytes.copyWithin(at, value, value + this.view.value_size);
    } else {
      if (at !== 0) this.layout.retire(at);
      entry.at = this.layout.place(this.arena.copy(value, this.view.value_size));
    }
    entry.replaced = true;
  }
}
