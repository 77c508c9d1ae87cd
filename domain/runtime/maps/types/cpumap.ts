// BPF_MAP_TYPE_CPUMAP (kernel/bpf/cpumap.c)

import { Redirect } from "../redirect_map.ts";

export class Cpumap extends Redirect {
  protected override readonly flagMask = 0n;
}
