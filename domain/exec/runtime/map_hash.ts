// BPF_MAP_TYPE_HASH (kernel/bpf/hashtab.c): an update makes a new element.

import type { Entry } from "./entry.ts";
import { Htab } from "./htab.ts";

export class Hash extends Htab {
  protected override store(entry: Entry, value: number): void {
    if (entry.at !== 0) this.layout.retire(entry.at);
    entry.at = this.layout.place(this.arena.copy(value, this.view.value_size));
    entry.replaced = true;
  }
}
