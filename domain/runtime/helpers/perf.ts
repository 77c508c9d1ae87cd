import { ERRNO } from "../../errno.ts";
import { RunFailure } from "../fault.ts";
import { PerfEventArray } from "../maps/types/perf_event_array.ts";
import type { Helpers, Host } from "./helper.ts";

/** bpf_perf_event_output() for programs that work on packets (net/core/filter.c). */

/** BPF_F_INDEX_MASK and BPF_F_CTXLEN_MASK: how much of the packet follows. */
const FLAGS = 0xf_ffff_ffff_ffffn;
const CTXLEN_SHIFT = 32n;

export const perfHelpers = (host: Host): Helpers => ({
  // bpf_skb_event_output(), bpf_xdp_event_output()
  perf_event_output: (_ctx: number, handle: number, flags: bigint, data: number, size: number) => {
    host.arena.checkReadable(data >>> 0, size >>> 0);
    const map = host.run.map(handle);
    if (!(map instanceof PerfEventArray)) {
      throw new RunFailure("memory", "the helper needs a perf_event_array map");
    }
    const given = BigInt.asUintN(64, flags);
    if ((given & ~FLAGS) !== 0n) return -ERRNO.EINVAL;
    if (given >> CTXLEN_SHIFT > BigInt(host.run.context.length)) return -ERRNO.EFAULT;
    return map.checkOutput(given);
  },
});
