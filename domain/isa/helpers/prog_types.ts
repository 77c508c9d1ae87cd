/** Sets of program types, named for the kernel functions that give them their helpers. */

/** bpf_base_func_proto(): every type whose helpers are known here. */
export const BASE = [
  "socket_filter",
  "kprobe",
  "sched_cls",
  "sched_act",
  "tracepoint",
  "xdp",
  "perf_event",
  "cgroup_skb",
  "cgroup_sock",
  "lwt_in",
  "lwt_out",
  "lwt_xmit",
  "sock_ops",
  "sk_skb",
  "cgroup_device",
  "sk_msg",
  "raw_tracepoint",
  "cgroup_sock_addr",
  "lwt_seg6local",
  "sk_reuseport",
  "flow_dissector",
  "cgroup_sysctl",
  "raw_tracepoint_writable",
  "cgroup_sockopt",
  "sk_lookup",
  "syscall",
  "netfilter",
] as const;

/** bpf_sk_base_func_proto() */
export const SK_BASE = [
  "socket_filter",
  "sched_cls",
  "sched_act",
  "xdp",
  "cgroup_skb",
  "lwt_in",
  "lwt_out",
  "lwt_xmit",
  "sock_ops",
  "sk_skb",
  "sk_msg",
  "cgroup_sock_addr",
  "lwt_seg6local",
  "flow_dissector",
  "sk_lookup",
  "syscall",
] as const;

/** bpf_tracing_func_proto() */
export const TRACING = [
  "kprobe",
  "tracepoint",
  "perf_event",
  "raw_tracepoint",
  "raw_tracepoint_writable",
] as const;

/** Lightweight tunnels. */
export const LWT = ["lwt_in", "lwt_out", "lwt_xmit", "lwt_seg6local"] as const;

/** tc_cls_act_func_proto() */
export const SCHED = ["sched_cls", "sched_act"] as const;

export type ProgType =
  | (typeof BASE)[number]
  | "lirc_mode2"
  | "tracing"
  | "struct_ops"
  | "ext"
  | "lsm";

/** Types whose bpf_get_cgroup_classid() reads the current task and takes no packet. */
export const WITHOUT_PACKET: readonly ProgType[] = [
  ...BASE.filter((type) => !/^(sched|lwt)_/.test(type)),
  ...(["lirc_mode2", "tracing", "struct_ops", "ext", "lsm"] as const),
];
