import {
  BPF_CGROUP_INET4_BIND,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_INET6_BIND,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_UDP4_SENDMSG,
  BPF_CGROUP_UDP6_SENDMSG,
  BPF_CGROUP_UNIX_CONNECT,
  BPF_CGROUP_UNIX_SENDMSG,
} from "../uapi.ts";
import type { HelperRow } from "./helper_row.ts";
import { BASE, LWT, SCHED, WITHOUT_PACKET } from "./prog_types.ts";

/** Helpers on cgroups, sysctls and infrared remotes, by number. */

/** Types whose result user space sees (cgroup_common_func_proto). */
const WITH_RETVAL = [
  "cgroup_sock",
  "cgroup_device",
  "cgroup_sock_addr",
  "cgroup_sysctl",
  "cgroup_sockopt",
] as const;
/** The attach points whose system call can still fail. */
const SOCK_ADDR_WITH_RETVAL = [
  BPF_CGROUP_INET4_BIND,
  BPF_CGROUP_INET6_BIND,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_UDP4_SENDMSG,
  BPF_CGROUP_UDP6_SENDMSG,
  BPF_CGROUP_UNIX_CONNECT,
  BPF_CGROUP_UNIX_SENDMSG,
];

// biome-ignore format: one row a helper.
export const CGROUP_HELPERS = [
  { id: 17, name: "get_cgroup_classid", since: "4.3", args: ["ctx"], returns: "integer", in: BASE,
    variant: { in: WITHOUT_PACKET, args: [] } },
  { id: 33, name: "skb_under_cgroup", since: "4.8", args: ["ctx", "map", "anything"],
    returns: "integer", in: [...LWT, ...SCHED], maps: ["cgroup_array"] },
  { id: 37, name: "current_task_under_cgroup", since: "4.9", args: ["map", "anything"],
    returns: "integer", in: BASE, maps: ["cgroup_array"] },
  { id: 77, name: "rc_repeat", since: "4.18", args: [], returns: "unmodelled", in: [] },
  { id: 78, name: "rc_keydown", since: "4.18", args: [], returns: "unmodelled", in: [] },
  { id: 79, name: "skb_cgroup_id", since: "4.18", args: ["ctx"], returns: "integer",
    in: [...SCHED, "cgroup_skb"] },
  { id: 80, name: "get_current_cgroup_id", since: "4.18", args: [], returns: "integer",
    in: BASE },
  { id: 83, name: "skb_ancestor_cgroup_id", since: "4.19", args: ["ctx", "anything"],
    returns: "integer", in: [...SCHED, "cgroup_skb"] },
  { id: 92, name: "rc_pointer_rel", since: "5.0", args: [], returns: "unmodelled", in: [] },
  { id: 101, name: "sysctl_get_name", since: "5.2",
    args: ["ctx", "uninit_mem", "size_or_zero", "anything"], returns: "integer",
    in: ["cgroup_sysctl"] },
  { id: 102, name: "sysctl_get_current_value", since: "5.2", args: ["ctx", "uninit_mem", "size"],
    returns: "integer", in: ["cgroup_sysctl"] },
  { id: 103, name: "sysctl_get_new_value", since: "5.2", args: ["ctx", "uninit_mem", "size"],
    returns: "integer", in: ["cgroup_sysctl"] },
  { id: 104, name: "sysctl_set_new_value", since: "5.2", args: ["ctx", "mem", "size"],
    returns: "integer", in: ["cgroup_sysctl"] },
  { id: 123, name: "get_current_ancestor_cgroup_id", args: ["anything"], returns: "integer",
    in: BASE },
  { id: 128, name: "sk_cgroup_id", args: ["btf_sock_common"], returns: "integer",
    in: ["cgroup_skb"] },
  { id: 129, name: "sk_ancestor_cgroup_id", args: ["btf_sock_common", "anything"],
    returns: "integer",
    in: ["cgroup_skb"] },
  { id: 151, name: "skb_cgroup_classid", since: "5.10", args: ["ctx"], returns: "integer",
    in: SCHED },
  { id: 186, name: "get_retval", since: "5.18", args: [], returns: "integer",
    in: WITH_RETVAL, attachTypes: { cgroup_sock_addr: SOCK_ADDR_WITH_RETVAL } },
  { id: 187, name: "set_retval", since: "5.18", args: ["anything"], returns: "integer",
    in: WITH_RETVAL, attachTypes: { cgroup_sock_addr: SOCK_ADDR_WITH_RETVAL } },
] as const satisfies readonly HelperRow[];
