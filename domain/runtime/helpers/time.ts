import { BPF_FUNC } from "../../isa/helpers/index.ts";
import type { Helpers, Host } from "./helper.ts";

/** Helpers whose results the seed of a run fixes: the time, the CPU, random numbers. */

const HZ = 250n;
const NS_PER_S = 1_000_000_000n;
/** INITIAL_JIFFIES: five minutes before the lower half of the count is full. */
const INITIAL_JIFFIES = 0x1_0000_0000n - 300n * HZ;

export function timeHelpers(host: Host): Helpers {
  const time = () => host.run.time;
  return {
    // bpf_ktime_get_ns(), _boot_ns(), _coarse_ns(), _tai_ns(): all of the same clock
    [BPF_FUNC.ktime_get_ns]: time,
    [BPF_FUNC.ktime_get_boot_ns]: time,
    [BPF_FUNC.ktime_get_coarse_ns]: time,
    [BPF_FUNC.ktime_get_tai_ns]: time,
    // bpf_jiffies64()
    [BPF_FUNC.jiffies64]: () => INITIAL_JIFFIES + (host.run.time * HZ) / NS_PER_S,
    // bpf_get_prandom_u32()
    [BPF_FUNC.get_prandom_u32]: () => host.run.nextRandom(),
    // bpf_get_smp_processor_id()
    [BPF_FUNC.get_smp_processor_id]: () => host.run.cpu,
    // bpf_get_numa_node_id()
    [BPF_FUNC.get_numa_node_id]: () => 0,
  };
}
