import { BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, RedirectMap } from "../redirect_map.ts";

/** BPF_MAP_TYPE_DEVMAP and BPF_MAP_TYPE_DEVMAP_HASH (kernel/bpf/devmap.c). */

export class Devmap extends RedirectMap {
  protected override readonly flagMask = BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS;
}
