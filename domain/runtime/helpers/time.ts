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
    5: time,
    125: time,
    160: time,
    208: time,
    // bpf_jiffies64()
    118: () => INITIAL_JIFFIES + (host.run.time * HZ) / NS_PER_S,
    // bpf_get_prandom_u32()
    7: () => host.run.nextRandom(),
    // bpf_get_smp_processor_id()
    8: () => host.run.cpu,
    // bpf_get_numa_node_id()
    42: () => 0,
  };
}
