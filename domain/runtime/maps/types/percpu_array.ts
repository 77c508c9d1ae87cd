// BPF_MAP_TYPE_PERCPU_ARRAY (kernel/bpf/arraymap.c)

import { ADDED, VALUE } from "../tracked_element.ts";
import { ArrayMap } from "./array.ts";

export class PercpuArray extends ArrayMap {
  override materialize(): void {}

  protected override here(at: number): number {
    return at === 0 ? 0 : at + this.run.cpu * this.layout.stride;
  }

  override lookup(key: number): number {
    return this.here(this.at(key, VALUE));
  }

  override lookupToAdd(key: number): number {
    return this.here(this.at(key, ADDED));
  }

  override lookupPercpu(key: number, cpu: number): number {
    if (cpu >= this.layout.parts) return 0;
    const at = this.at(key, VALUE);
    return at === 0 ? 0 : at + cpu * this.layout.stride;
  }

  /** The parts of the other CPUs stay. */
  protected override toStore(key: number): number {
    return this.here(this.at(key, VALUE));
  }
}
