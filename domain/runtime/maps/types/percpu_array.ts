import { ADDED_TO, READ_VALUE } from "../tracked_element.ts";
import { ArrayMap } from "./array.ts";

/** BPF_MAP_TYPE_PERCPU_ARRAY (kernel/bpf/arraymap.c). */

export class PercpuArray extends ArrayMap {
  override materialize(): void {}

  protected override cpuPart(at: number): number {
    return at === 0 ? 0 : at + this.run.cpu * this.layout.stride;
  }

  override lookup(key: number): number {
    return this.cpuPart(this.locateValue(key, READ_VALUE));
  }

  override lookupToAdd(key: number): number {
    return this.cpuPart(this.locateValue(key, ADDED_TO));
  }

  override lookupPercpu(key: number, cpu: number): number {
    if (cpu >= this.layout.parts) return 0;
    const at = this.locateValue(key, READ_VALUE);
    return at === 0 ? 0 : at + cpu * this.layout.stride;
  }

  /** An update leaves the parts of other CPUs alone. */
  protected override locateForUpdate(key: number): number {
    return this.cpuPart(this.locateValue(key, READ_VALUE));
  }
}
