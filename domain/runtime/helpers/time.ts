import type { Helpers, Host } from "./helper.ts";

/** Helpers whose results the seed of a run fixes: the time, the CPU, random numbers. */

const HZ = 250n;
const NS_PER_S = 1_000_000_000n;
/** INITIAL_JIFFIES: five minutes before the lower half of the count is full. */
const INITIAL_JIFFIES = 0x1_0000_0000n - 300n * HZ;

export function timeHelpers(host: Host): Helpers {
  const time = () => host.run.time;
  return {
    // A run has one clock.
    ktime_get_ns: time,
    ktime_get_boot_ns: time,
    ktime_get_coarse_ns: time,
    ktime_get_tai_ns: time,
    jiffies64: () => INITIAL_JIFFIES + (host.run.time * HZ) / NS_PER_S,
    get_prandom_u32: () => host.run.nextRandom(),
    get_smp_processor_id: () => host.run.cpu,
    get_numa_node_id: () => 0,
  };
}
