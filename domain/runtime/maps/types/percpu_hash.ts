// BPF_MAP_TYPE_PERCPU_HASH (kernel/bpf/hashtab.c): an update writes this CPU's part in place.

import { Htab } from "../htab.ts";
import { type TrackedElement, VALUE } from "../tracked_element.ts";

export class PercpuHash extends Htab {
  /** The parts of the other CPUs have to be known. */
  protected override blind(): boolean {
    return false;
  }

  /** pcpu_copy_value(), pcpu_init_value() */
  protected override store(entry: TrackedElement, value: number): void {
    if (entry.present) this.find(entry, VALUE);
    else {
      entry.at = this.layout.place();
      entry.replaced = true;
    }
    this.arena.bytes.copyWithin(this.here(entry.at), value, value + this.view.value_size);
  }

  override lookupPercpu(key: number, cpu: number): number {
    if (cpu >= this.layout.parts) return 0;
    const entry = this.entry(key);
    const at = this.find(entry, VALUE);
    if (at === 0) return 0;
    this.used(entry);
    return at + cpu * this.layout.stride;
  }
}
