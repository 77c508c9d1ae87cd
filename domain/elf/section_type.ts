import { BPF_F_SLEEPABLE, BPF_F_XDP_HAS_FRAGS } from "../isa/uapi.ts";
import { malformed, unsupported } from "./object_errors.ts";

/** The program type that a section's name stands for: section_defs[] of libbpf.c. */

export interface SectionType {
  readonly prog_type: string;
  readonly expected_attach_type: number;
  readonly prog_flags: number;
}

/** Entries: name, with "+" when "/anything" may follow; program type; attach type[,flag]. */
const SECTION_TABLE = `
  socket socket_filter 0
  sk_reuseport/migrate sk_reuseport 40       sk_reuseport sk_reuseport 39
  kprobe+ kprobe 0            uprobe+ kprobe 0            uprobe.s+ kprobe 0,s
  kretprobe+ kprobe 0         uretprobe+ kprobe 0         uretprobe.s+ kprobe 0,s
  kprobe.multi+ kprobe 42     kretprobe.multi+ kprobe 42  kprobe.session+ kprobe 56
  uprobe.multi+ kprobe 48     uretprobe.multi+ kprobe 48  uprobe.session+ kprobe 57
  uprobe.multi.s+ kprobe 48,s uretprobe.multi.s+ kprobe 48,s uprobe.session.s+ kprobe 57,s
  ksyscall+ kprobe 0          kretsyscall+ kprobe 0       usdt+ kprobe 48
  usdt.s+ kprobe 48,s
  tc/ingress sched_cls 46     tc/egress sched_cls 47
  tcx/ingress sched_cls 46    tcx/egress sched_cls 47
  tc sched_cls 0              classifier sched_cls 0      action sched_act 0
  netkit/primary sched_cls 54 netkit/peer sched_cls 55
  tracepoint+ tracepoint 0    tp+ tracepoint 0
  tracepoint.s+ tracepoint 0,s tp.s+ tracepoint 0,s
  raw_tracepoint+ raw_tracepoint 0     raw_tp+ raw_tracepoint 0
  raw_tracepoint.s+ raw_tracepoint 0,s raw_tp.s+ raw_tracepoint 0,s
  raw_tracepoint.w+ raw_tracepoint_writable 0 raw_tp.w+ raw_tracepoint_writable 0
  tp_btf+ tracing 23          tp_btf.s+ tracing 23
  fentry+ tracing 24          fentry.s+ tracing 24
  fmod_ret+ tracing 26        fmod_ret.s+ tracing 26
  fexit+ tracing 25           fexit.s+ tracing 25
  iter+ tracing 28            iter.s+ tracing 28
  freplace+ ext 0             lsm+ lsm 27                 lsm.s+ lsm 27
  lsm_cgroup+ lsm 43          struct_ops+ struct_ops 0    struct_ops.s+ struct_ops 0
  syscall syscall 0,s
  xdp.frags/devmap xdp 33,f   xdp/devmap xdp 33           xdp.frags/cpumap xdp 35,f
  xdp/cpumap xdp 35           xdp.frags xdp 37,f          xdp xdp 37
  perf_event perf_event 0
  lwt_in lwt_in 0             lwt_out lwt_out 0           lwt_xmit lwt_xmit 0
  lwt_seg6local lwt_seg6local 0
  sockops sock_ops 3          sk_skb/stream_parser sk_skb 4
  sk_skb/stream_verdict sk_skb 5 sk_skb/verdict sk_skb 38 sk_skb sk_skb 0
  sk_msg sk_msg 7             lirc_mode2 lirc_mode2 16    flow_dissector flow_dissector 17
  cgroup_skb/ingress cgroup_skb 0 cgroup_skb/egress cgroup_skb 1 cgroup/skb cgroup_skb 0
  cgroup/sock_create cgroup_sock 2 cgroup/sock_release cgroup_sock 34 cgroup/sock cgroup_sock 2
  cgroup/post_bind4 cgroup_sock 12 cgroup/post_bind6 cgroup_sock 13
  cgroup/bind4 cgroup_sock_addr 8        cgroup/bind6 cgroup_sock_addr 9
  cgroup/connect4 cgroup_sock_addr 10    cgroup/connect6 cgroup_sock_addr 11
  cgroup/connect_unix cgroup_sock_addr 49
  cgroup/sendmsg4 cgroup_sock_addr 14    cgroup/sendmsg6 cgroup_sock_addr 15
  cgroup/sendmsg_unix cgroup_sock_addr 50
  cgroup/recvmsg4 cgroup_sock_addr 19    cgroup/recvmsg6 cgroup_sock_addr 20
  cgroup/recvmsg_unix cgroup_sock_addr 51
  cgroup/getpeername4 cgroup_sock_addr 29 cgroup/getpeername6 cgroup_sock_addr 30
  cgroup/getpeername_unix cgroup_sock_addr 52
  cgroup/getsockname4 cgroup_sock_addr 31 cgroup/getsockname6 cgroup_sock_addr 32
  cgroup/getsockname_unix cgroup_sock_addr 53
  cgroup/sysctl cgroup_sysctl 18
  cgroup/getsockopt cgroup_sockopt 21    cgroup/setsockopt cgroup_sockopt 22
  cgroup/dev cgroup_device 6  sk_lookup sk_lookup 36      netfilter netfilter 45
`;

const SECTIONS = new Map<string, SectionType>(
  [...SECTION_TABLE.matchAll(/(\S+) (\S+) (\d+)(?:,([sf]))?/g)].map(
    ([, name, type, attach, flag]) => [
      String(name),
      {
        prog_type: String(type),
        expected_attach_type: Number(attach),
        prog_flags: flag === "s" ? BPF_F_SLEEPABLE : flag === "f" ? BPF_F_XDP_HAS_FRAGS : 0,
      },
    ],
  ),
);

/** These attach to kernel functions by the kernel's BTF. */
const KERNEL_BTF_TYPES = ["tracing", "ext", "lsm", "struct_ops"];

function findSection(name: string): SectionType | undefined {
  return SECTIONS.get(name) ?? SECTIONS.get(`${name.replace(/\/.*/s, "")}+`);
}

/** Accepts a section name, as bpftool does, or a program type. */
export function resolveSectionType(name: string): SectionType {
  return findSection(name) ?? { prog_type: name, expected_attach_type: 0, prog_flags: 0 };
}

/** @throws EINVAL, EOPNOTSUPP */
export function guessSectionType(section: string): SectionType {
  const type = findSection(section);
  if (!type) throw malformed(`failed to guess program type from ELF section '${section}'`);
  if (!KERNEL_BTF_TYPES.includes(type.prog_type)) return type;
  throw unsupported(
    `section '${section}': a program of type ${type.prog_type} needs the kernel's BTF`,
  );
}
