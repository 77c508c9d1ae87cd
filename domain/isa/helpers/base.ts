import type { HelperRow } from "./helper_row.ts";
import { BASE, LWT, SCHED } from "./prog_types.ts";

/** Helpers for time, random numbers, CPUs, strings and system calls, by number. */

// biome-ignore format: one row a helper.
export const BASE_HELPERS = [
  { id: 5, name: "ktime_get_ns", since: "4.1", args: [], returns: "integer", in: BASE },
  { id: 7, name: "get_prandom_u32", since: "4.1", args: [], returns: "integer", in: BASE },
  { id: 8, name: "get_smp_processor_id", since: "4.1", args: [], returns: "cpu", in: BASE },
  { id: 42, name: "get_numa_node_id", since: "4.10", args: [], returns: "integer", in: BASE },
  { id: 105, name: "strtol", since: "5.2", args: ["mem", "size", "anything", "uninit_u64"],
    returns: "integer", in: BASE },
  { id: 106, name: "strtoul", since: "5.2", args: ["mem", "size", "anything", "uninit_u64"],
    returns: "integer", in: BASE },
  { id: 118, name: "jiffies64", since: "5.5", args: [], returns: "integer", in: BASE },
  { id: 125, name: "ktime_get_boot_ns", since: "5.8", args: [], returns: "integer", in: BASE },
  { id: 160, name: "ktime_get_coarse_ns", since: "5.11", args: [], returns: "integer",
    in: [...LWT, ...SCHED, "socket_filter", "xdp", "cgroup_skb", "cgroup_sock", "sock_ops",
      "sk_skb", "sk_msg", "cgroup_sock_addr", "sk_reuseport", "flow_dissector", "cgroup_sysctl",
      "sk_lookup"] },
  { id: 165, name: "snprintf", since: "5.13",
    args: ["uninit_mem_or_null", "size_or_zero", "const_str", "mem_or_null", "size_or_zero"],
    returns: "integer", in: BASE, gplOnly: true, perfmon: true },
  { id: 166, name: "sys_bpf", since: "5.14", args: ["anything", "mem", "size"],
    returns: "integer", in: ["syscall"] },
  { id: 167, name: "btf_find_by_name_kind", since: "5.14",
    args: ["mem", "size", "anything", "anything"], returns: "integer", in: ["syscall"] },
  { id: 168, name: "sys_close", since: "5.14", args: ["anything"], returns: "integer",
    in: ["syscall"] },
  { id: 179, name: "kallsyms_lookup_name", since: "5.16",
    args: ["mem", "size_or_zero", "anything", "uninit_u64"],
    returns: "integer", in: ["syscall"] },
  { id: 182, name: "strncmp", since: "5.17", args: ["mem", "size", "const_str"],
    returns: "integer", in: BASE },
  { id: 208, name: "ktime_get_tai_ns", since: "6.1", args: [], returns: "integer", in: BASE },
] as const satisfies readonly HelperRow[];
