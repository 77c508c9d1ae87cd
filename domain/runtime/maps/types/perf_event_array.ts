import { ERRNO } from "../../../errno.ts";
import { RunMap } from "../map.ts";

/** BPF_MAP_TYPE_PERF_EVENT_ARRAY (kernel/bpf/arraymap.c), whose slots are always empty here. */

const INDEX_MASK = 0xffff_ffffn;
const BPF_F_CURRENT_CPU = INDEX_MASK;

export class PerfEventArray extends RunMap {
  /** bpf_event_output() */
  checkOutput(flags: bigint): number {
    const index = flags & INDEX_MASK;
    const at = index === BPF_F_CURRENT_CPU ? this.run.cpu : Number(index);
    return at < this.view.max_entries ? -ERRNO.ENOENT : -ERRNO.E2BIG;
  }

  override collectEffects(): void {}
}
