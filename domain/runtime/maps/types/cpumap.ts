import { RedirectMap } from "../redirect_map.ts";

/** BPF_MAP_TYPE_CPUMAP (kernel/bpf/cpumap.c). */

export class Cpumap extends RedirectMap {
  protected override readonly flagMask = 0n;
}
