import { Htab } from "../htab.ts";
import { READ_VALUE, type TrackedElement } from "../tracked_element.ts";

/** BPF_MAP_TYPE_PERCPU_HASH (kernel/bpf/hashtab.c): an update writes this CPU's part in place. */

export class PercpuHash extends Htab {
  /** An update needs the parts of the other CPUs. */
  protected override canUpdateUnread(): boolean {
    return false;
  }

  /** pcpu_copy_value(), pcpu_init_value() */
  protected override store(element: TrackedElement, value: number): void {
    if (element.isPresent) this.locateValue(element, READ_VALUE);
    else {
      element.at = this.layout.place();
      element.isReplaced = true;
    }
    this.arena.bytes.copyWithin(this.cpuPart(element.at), value, value + this.view.value_size);
  }

  override lookupPercpu(key: number, cpu: number): number {
    if (cpu >= this.layout.parts) return 0;
    const element = this.elementAt(key);
    const at = this.locateValue(element, READ_VALUE);
    if (at === 0) return 0;
    this.markUsed(element);
    return at + cpu * this.layout.stride;
  }
}
