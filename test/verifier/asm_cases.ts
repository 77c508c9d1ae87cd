/**
 * Programs with the verdict of Linux 6.18: the text (lines apart by ";"), the errno or null. Map 0 is an
 * array with values of 64 bytes, map 1 a ring buffer.
 */

export interface AsmCase {
  readonly title: string;
  readonly progType: string;
  readonly attach?: number;
  readonly text: string;
  readonly errno: string | null;
}

const END = "r0 = 0; exit";
const RANDOM = "call get_prandom_u32; w0 &= -1";
/** The frame pointer may not be written: refused where a path gets here. */
const DEAD = "r10 = 0";
const TUPLE = `r6 = r1; *(u64 *)(r10 -16) = 0; *(u32 *)(r10 -8) = 0; r2 = r10; r2 += -16; r3 = 12;
  r4 = 0; r5 = 0`.replaceAll("\n", "");
const LOOKUP = `${TUPLE}; call sk_lookup_tcp`;
const RELEASE = "r1 = r6; call sk_release";

const rows = (
  progType: string,
  list: readonly (readonly [title: string, text: string, errno: string | null, attach?: number])[],
): AsmCase[] =>
  list.map(([title, text, errno, attach]) => ({
    ...{ title, progType, text, errno },
    ...(attach === undefined ? {} : { attach }),
  }));

export const RANGES: readonly AsmCase[] = rows("sched_cls", [
  [
    "u32 above 2 and s32 below 2 is negative",
    `${RANDOM}; if w0 < 3 goto a; if w0 s> 1 goto a; if w0 s< 0 goto a; ${DEAD}; a: ${END}`,
    null,
  ],
  [
    "u32 above 2 and s32 below 2 is not positive",
    `${RANDOM}; if w0 < 3 goto a; if w0 s> 1 goto a; if w0 s< 0 goto b; a: ${END}; ` +
      `b: ${DEAD}; ${END}`,
    "EACCES",
  ],
  [
    "the same with the signed comparison first",
    `${RANDOM}; if w0 s> 1 goto a; if w0 < 3 goto a; if w0 s< 0 goto a; ${DEAD}; a: ${END}`,
    null,
  ],
  [
    "u32 below 0x80000005 and s32 below -4 is the lowest",
    `${RANDOM}; if w0 > 0x80000005 goto a; if w0 s> -5 goto a; ` +
      `if w0 s< 0x80000006 goto a; ${DEAD}; a: ${END}`,
    null,
  ],
  [
    "u32 up to 5 and s32 at least -3 is not negative",
    `${RANDOM}; if w0 > 5 goto a; if w0 s< -3 goto a; if w0 s>= 0 goto a; ${DEAD}; a: ${END}`,
    null,
  ],
  [
    "u32 from 5 on and s32 up to 7 may be positive",
    `${RANDOM}; if w0 < 5 goto a; if w0 s> 7 goto a; if w0 s< 0 goto a; ${DEAD}; a: ${END}`,
    "EACCES",
  ],
]);

const NULL_CALL = "*(u64 *)(r10 -8) = 0";
export const NULLS: readonly AsmCase[] = [
  ...rows("perf_event", [
    [
      "read_branch_records takes NULL and 0",
      "r2 = 0; r3 = 0; r4 = 1; call read_branch_records; exit",
      null,
    ],
    [
      "read_branch_records refuses NULL and 8",
      "r2 = 0; r3 = 8; r4 = 1; call read_branch_records; exit",
      "EACCES",
    ],
    [
      "read_branch_records takes memory of the stack",
      `${NULL_CALL}; r2 = r10; r2 += -8; r3 = 8; r4 = 0; call read_branch_records; exit`,
      null,
    ],
    [
      "read_branch_records refuses more than the stack has",
      `${NULL_CALL}; r2 = r10; r2 += -8; r3 = 16; r4 = 0; call read_branch_records; exit`,
      "EINVAL",
    ],
    [
      "perf_prog_read_value refuses NULL and 0",
      "r2 = 0; r3 = 0; call perf_prog_read_value; exit",
      "EACCES",
    ],
    ["get_stack refuses NULL and 0", "r2 = 0; r3 = 0; r4 = 0; call get_stack; exit", "EACCES"],
  ]),
  ...rows("sched_cls", [
    [
      "csum_diff takes NULL and 0",
      "r1 = 0; r2 = 0; r3 = 0; r4 = 0; r5 = 0; call csum_diff; exit",
      null,
    ],
    [
      "csum_diff refuses NULL and 4",
      "r1 = 0; r2 = 4; r3 = 0; r4 = 0; r5 = 0; call csum_diff; exit",
      "EACCES",
    ],
    [
      "redirect_neigh takes NULL and 0",
      "r1 = 1; r2 = 0; r3 = 0; r4 = 0; call redirect_neigh; exit",
      null,
    ],
    [
      "probe_read_kernel refuses NULL and 0",
      "r1 = 0; r2 = 0; r3 = 0; call probe_read_kernel; exit",
      "EACCES",
    ],
    [
      "skb_get_tunnel_key refuses NULL",
      "r2 = 0; r3 = 0; r4 = 0; call skb_get_tunnel_key; exit",
      "EACCES",
    ],
  ]),
];

const RETVAL = "r1 = -1; call set_retval; call get_retval; r0 = 1; exit";
export const RETVALS: readonly AsmCase[] = [
  ...rows("cgroup_device", [["a device program sets the result", RETVAL, null, 6]]),
  ...rows("cgroup_sysctl", [["a sysctl program sets the result", RETVAL, null, 18]]),
  ...rows("cgroup_sockopt", [["a sockopt program sets the result", RETVAL, null, 21]]),
  ...rows("cgroup_sock", [
    ["a socket's creation sets the result", RETVAL, null, 2],
    ["a socket's release sets the result", RETVAL, null, 34],
    ["a socket after its bind sets the result", RETVAL, null, 12],
  ]),
  ...rows(
    "cgroup_sock_addr",
    (
      [
        ...[8, 9, 10, 11, 14, 15, 49, 50].map((attach) => [attach, null] as const),
        ...[19, 20, 29, 30, 31, 32, 51, 52, 53].map((attach) => [attach, "EINVAL"] as const),
      ] as const
    ).map(([attach, errno]) => [`attach type ${attach} sets the result`, RETVAL, errno, attach]),
  ),
  ...rows("cgroup_skb", [["a cgroup's packet has no result to set", RETVAL, "EINVAL", 0]]),
];

export const CONTEXTS: readonly AsmCase[] = [
  ...rows("sched_cls", [
    ["a signed load of data", `r0 = *(s32 *)(r1 +76); ${END}`, "EACCES"],
    ["a signed load of data_end", `r0 = *(s32 *)(r1 +80); ${END}`, "EACCES"],
    ["a signed load of data_meta", `r0 = *(s32 *)(r1 +140); ${END}`, "EACCES"],
    ["a signed load of len", `r0 = *(s32 *)(r1 +0); ${END}`, null],
    ["a signed load of a byte of mark", `r0 = *(s8 *)(r1 +8); ${END}`, null],
  ]),
  ...rows("xdp", [
    ["a signed load of data", `r0 = *(s32 *)(r1 +0); ${END}`, "EACCES"],
    ["a signed load of ingress_ifindex", `r0 = *(s32 *)(r1 +12); ${END}`, null],
  ]),
  ...rows("sk_lookup", [
    ["a part of family", `r0 = *(u8 *)(r1 +9); ${END}`, null, 36],
    ["remote_port as a word", `r0 = *(u32 *)(r1 +36); ${END}`, null, 36],
    ["the padding of remote_port", `r0 = *(u16 *)(r1 +38); ${END}`, null, 36],
    ["8 bytes of remote_ip6", `r0 = *(u64 *)(r1 +24); ${END}`, "EACCES", 36],
    ["a write to family", `*(u32 *)(r1 +8) = 1; ${END}`, "EACCES", 36],
    ["half of sk", `r0 = *(u32 *)(r1 +0); ${END}`, "EACCES", 36],
    ["past the end", `r0 = *(u32 *)(r1 +72); ${END}`, "EACCES", 36],
    ["sk without a check", `r1 = *(u64 *)(r1 +0); r0 = *(u32 *)(r1 +4); ${END}`, "EACCES", 36],
    [
      "sk with a check",
      `r1 = *(u64 *)(r1 +0); if r1 == 0 goto a; r0 = *(u32 *)(r1 +4); a: ${END}`,
      null,
      36,
    ],
  ]),
  ...rows("cgroup_sock", [
    ["a write to mark at creation", "*(u32 *)(r1 +16) = 1; r0 = 1; exit", null, 2],
    ["a write to mark after the bind", "*(u32 *)(r1 +16) = 1; r0 = 1; exit", "EACCES", 12],
    ["a read of mark after the bind", "r2 = *(u32 *)(r1 +16); r0 = 1; exit", "EACCES", 12],
    ["src_ip4 after the bind", "r2 = *(u32 *)(r1 +24); r0 = 1; exit", null, 12],
    ["src_ip4 at creation", "r2 = *(u32 *)(r1 +24); r0 = 1; exit", "EACCES", 2],
    ["src_ip6 after the bind of IPv4", "r2 = *(u32 *)(r1 +28); r0 = 1; exit", "EACCES", 12],
    ["src_ip6 after the bind of IPv6", "r2 = *(u32 *)(r1 +28); r0 = 1; exit", null, 13],
    ["a write to family", "*(u32 *)(r1 +4) = 1; r0 = 1; exit", "EACCES", 2],
    ["8 bytes of src_ip6", "r2 = *(u64 *)(r1 +32); r0 = 1; exit", "EACCES", 13],
  ]),
  ...rows("cgroup_sock_addr", [
    ["user_ip4 of IPv4", "r2 = *(u32 *)(r1 +4); r0 = 1; exit", null, 10],
    ["user_ip4 of IPv6", "r2 = *(u32 *)(r1 +4); r0 = 1; exit", "EACCES", 11],
    ["8 bytes of user_ip6", "r2 = *(u64 *)(r1 +8); r0 = 1; exit", null, 11],
    ["8 bytes written to user_ip6", "r2 = 0; *(u64 *)(r1 +16) = r2; r0 = 1; exit", null, 11],
    ["a byte written to user_ip4", "*(u8 *)(r1 +4) = 1; r0 = 1; exit", "EACCES", 10],
    ["a byte of user_port", "r2 = *(u8 *)(r1 +24); r0 = 1; exit", null, 10],
    ["a byte of type", "r2 = *(u8 *)(r1 +32); r0 = 1; exit", "EACCES", 10],
    ["msg_src_ip4 at connect", "r2 = *(u32 *)(r1 +40); r0 = 1; exit", "EACCES", 10],
    ["msg_src_ip4 at sendmsg", "r2 = *(u32 *)(r1 +40); r0 = 1; exit", null, 14],
    ["sk, never NULL", "r1 = *(u64 *)(r1 +64); r2 = *(u32 *)(r1 +4); r0 = 1; exit", null, 10],
  ]),
  ...rows("sk_msg", [
    ["family", `r0 = *(u32 *)(r1 +16); ${END}`, null],
    ["a byte of family", `r0 = *(u8 *)(r1 +16); ${END}`, "EACCES"],
    ["data as a word", `r0 = *(u32 *)(r1 +0); ${END}`, "EACCES"],
    ["a write to size", `*(u32 *)(r1 +68) = 1; ${END}`, "EACCES"],
    ["past the end", `r0 = *(u32 *)(r1 +80); ${END}`, "EACCES"],
    [
      "the message through data",
      `r2 = *(u64 *)(r1 +0); r3 = *(u64 *)(r1 +8); r4 = r2; r4 += 4; if r4 > r3 goto a; ` +
        `r0 = *(u32 *)(r2 +0); a: ${END}`,
      null,
    ],
  ]),
  ...rows("sock_ops", [
    ["8 bytes of bytes_received", "r2 = *(u64 *)(r1 +168); r0 = 1; exit", null, 3],
    ["half of bytes_received", "r2 = *(u32 *)(r1 +168); r0 = 1; exit", "EACCES", 3],
    ["a write to reply", "*(u32 *)(r1 +4) = 1; r0 = 1; exit", null, 3],
    ["a write to op", "*(u32 *)(r1 +0) = 1; r0 = 1; exit", "EACCES", 3],
    ["a byte of skb_tcp_flags", "r2 = *(u8 *)(r1 +212); r0 = 1; exit", null, 3],
  ]),
  ...rows("cgroup_device", [
    ["a byte of access_type", "r2 = *(u8 *)(r1 +1); r0 = 1; exit", null, 6],
    ["a byte of major", "r2 = *(u8 *)(r1 +4); r0 = 1; exit", "EACCES", 6],
    ["a write to minor", "*(u32 *)(r1 +8) = 1; r0 = 1; exit", "EACCES", 6],
  ]),
  ...rows("cgroup_sysctl", [
    ["a write to file_pos", "*(u32 *)(r1 +4) = 1; r0 = 1; exit", null, 18],
    ["a byte written to file_pos", "*(u8 *)(r1 +4) = 1; r0 = 1; exit", "EACCES", 18],
    ["a write to write", "*(u32 *)(r1 +0) = 1; r0 = 1; exit", "EACCES", 18],
  ]),
  ...rows("cgroup_sockopt", [
    ["retval of getsockopt", "r2 = *(u32 *)(r1 +36); r0 = 1; exit", null, 21],
    ["retval of setsockopt", "r2 = *(u32 *)(r1 +36); r0 = 1; exit", "EACCES", 22],
    ["a write to level of setsockopt", "*(u32 *)(r1 +24) = 1; r0 = 1; exit", null, 22],
    ["a write to level of getsockopt", "*(u32 *)(r1 +24) = 1; r0 = 1; exit", "EACCES", 21],
  ]),
  ...rows("sk_reuseport", [
    ["a byte of eth_protocol", "r2 = *(u8 *)(r1 +20); r0 = 1; exit", "EACCES", 39],
    ["half of eth_protocol", "r2 = *(u16 *)(r1 +20); r0 = 1; exit", null, 39],
    ["a byte of ip_protocol", "r2 = *(u8 *)(r1 +24); r0 = 1; exit", null, 39],
    ["half of hash", "r2 = *(u16 *)(r1 +32); r0 = 1; exit", "EACCES", 39],
  ]),
];

export const TRACING: readonly AsmCase[] = [
  ...rows("kprobe", [
    ["a byte of the registers", `r0 = *(u8 *)(r1 +167); ${END}`, null],
    ["past the registers", `r0 = *(u64 *)(r1 +168); ${END}`, "EACCES"],
    ["a write to a register", `*(u64 *)(r1 +0) = 1; ${END}`, "EACCES"],
    [
      "an address among the registers",
      `r1 = *(u64 *)(r1 +0); r0 = *(u64 *)(r1 +0); ${END}`,
      "EACCES",
    ],
  ]),
  ...rows("tracepoint", [
    ["the first 8 bytes", `r0 = *(u64 *)(r1 +0); ${END}`, "EACCES"],
    ["a byte after them", `r0 = *(u8 *)(r1 +8); ${END}`, null],
    ["past the largest trace", `r0 = *(u64 *)(r1 +8192); ${END}`, "EACCES"],
    ["a write", `*(u64 *)(r1 +8) = 1; ${END}`, "EACCES"],
    [
      "a size of the context without an upper bound",
      `r2 = *(u64 *)(r1 +8); r1 = r10; r1 += -64; r3 = 0; call probe_read_kernel; ${END}`,
      "EACCES",
    ],
  ]),
  ...rows("raw_tracepoint", [
    ["half of the last argument", `r0 = *(u32 *)(r1 +92); ${END}`, null],
    ["past the last argument", `r0 = *(u64 *)(r1 +96); ${END}`, "EACCES"],
    ["a write", `*(u64 *)(r1 +0) = 1; ${END}`, "EACCES"],
  ]),
  ...rows("perf_event", [
    ["a register", `r0 = *(u64 *)(r1 +8); ${END}`, null],
    ["half of a register", `r0 = *(u32 *)(r1 +8); ${END}`, "EACCES"],
    ["a byte of sample_period", `r0 = *(u8 *)(r1 +169); ${END}`, null],
    ["past addr", `r0 = *(u64 *)(r1 +184); ${END}`, "EACCES"],
  ]),
];

export const ARGUMENTS: readonly AsmCase[] = rows("sched_cls", [
  ["this_cpu_ptr of the stack", "r1 = r10; call this_cpu_ptr; exit", "EACCES"],
  ["per_cpu_ptr of a number", "r1 = 5; r2 = 0; call per_cpu_ptr; exit", "EACCES"],
  ["timer_cancel of the stack", "r1 = r10; r1 += -16; call timer_cancel; exit", "EACCES"],
  ["timer_init of the context", "r2 = map[fd:0]; r3 = 0; call timer_init; exit", "EACCES"],
  ["task_pt_regs of the context", "call task_pt_regs; exit", "EACCES"],
  [
    "get_task_stack of a number",
    "r1 = 5; r2 = r10; r3 = 0; r4 = 0; call get_task_stack; exit",
    "EACCES",
  ],
  [
    "copy_from_user where it may not sleep",
    "r1 = r10; r1 += -8; r2 = 8; r3 = 0; call copy_from_user; exit",
    "EINVAL",
  ],
]);

const SK = "r1 = *(u64 *)(r1 +168)";
const SK_CHECKED = `${SK}; if r1 == 0 goto a`;
export const SOCKETS: readonly AsmCase[] = rows("sched_cls", [
  ["skb->sk without a check", `${SK}; r0 = *(u32 *)(r1 +4); ${END}`, "EACCES"],
  ["skb->sk with a check", `${SK_CHECKED}; r0 = *(u32 *)(r1 +4); a: ${END}`, null],
  [
    "type of skb->sk, which only a full socket has",
    `${SK_CHECKED}; r0 = *(u32 *)(r1 +8); a: ${END}`,
    "EACCES",
  ],
  ["8 bytes of skb->sk", `${SK_CHECKED}; r0 = *(u64 *)(r1 +0); a: ${END}`, "EACCES"],
  ["a byte of src_ip4 of skb->sk", `${SK_CHECKED}; r0 = *(u8 *)(r1 +25); a: ${END}`, null],
  ["dst_port of skb->sk as a word", `${SK_CHECKED}; r0 = *(u32 *)(r1 +48); a: ${END}`, null],
  ["the padding of dst_port", `${SK_CHECKED}; r0 = *(u16 *)(r1 +50); a: ${END}`, "EACCES"],
  ["past the end of skb->sk", `${SK_CHECKED}; r0 = *(u32 *)(r1 +80); a: ${END}`, "EACCES"],
  ["a write to skb->sk", `${SK_CHECKED}; *(u32 *)(r1 +16) = 1; a: ${END}`, "EACCES"],
  ["arithmetic on skb->sk", `${SK_CHECKED}; r1 += 4; r0 = *(u32 *)(r1 +0); a: ${END}`, "EACCES"],
  ["skb->sk as a number", `${SK_CHECKED}; r1 = *(u32 *)(r10 -8); a: ${END}`, null],
  ["half of skb->sk", `r1 = *(u32 *)(r1 +168); ${END}`, "EACCES"],
  ["sk_fullsock of what may be NULL", `${SK}; call sk_fullsock; ${END}`, "EACCES"],
  ["sk_fullsock of the context", `call sk_fullsock; ${END}`, "EACCES"],
  [
    "sk_fullsock without a check",
    `${SK_CHECKED}; call sk_fullsock; r0 = *(u32 *)(r0 +8); a: ${END}`,
    "EACCES",
  ],
  [
    "sk_fullsock with a check",
    `${SK_CHECKED}; call sk_fullsock; if r0 == 0 goto a; r0 = *(u32 *)(r0 +8); a: ${END}`,
    null,
  ],
  [
    "tcp_sock with a check",
    `${SK_CHECKED}; call tcp_sock; if r0 == 0 goto a; r1 = *(u64 *)(r0 +80); ` +
      `r0 = *(u32 *)(r0 +0); a: ${END}`,
    null,
  ],
  [
    "half of bytes_received of tcp_sock",
    `${SK_CHECKED}; call tcp_sock; if r0 == 0 goto a; r0 = *(u32 *)(r0 +80); a: ${END}`,
    "EACCES",
  ],
  [
    "past the end of tcp_sock",
    `${SK_CHECKED}; call tcp_sock; if r0 == 0 goto a; r0 = *(u32 *)(r0 +112); a: ${END}`,
    "EACCES",
  ],
  [
    "get_listener_sock with a check",
    `${SK_CHECKED}; call get_listener_sock; if r0 == 0 goto a; r0 = *(u32 *)(r0 +12); a: ${END}`,
    null,
  ],
  ["sk_release of skb->sk", `${SK_CHECKED}; call sk_release; a: ${END}`, "EINVAL"],
  [
    "tcp_raw_gen_syncookie_ipv4 of a number",
    "r1 = 5; r2 = r10; r3 = 0; call tcp_raw_gen_syncookie_ipv4; exit",
    "EACCES",
  ],
  [
    "tcp_raw_check_syncookie_ipv4 of too little stack",
    "r1 = r10; r1 += -16; r2 = r10; r2 += -24; call tcp_raw_check_syncookie_ipv4; exit",
    "EINVAL",
  ],
  [
    "tcp_raw_check_syncookie_ipv4 of the stack",
    "r1 = r10; r1 += -24; r2 = r10; r2 += -48; call tcp_raw_check_syncookie_ipv4; exit",
    null,
  ],
  [
    "check_mtu with a number for mtu_len",
    "r2 = 0; r3 = 0; r4 = 0; r5 = 0; call check_mtu; exit",
    "EACCES",
  ],
  [
    "check_mtu with the stack for mtu_len",
    "*(u32 *)(r10 -4) = 0; r2 = 0; r3 = r10; r3 += -4; r4 = 0; r5 = 0; call check_mtu; exit",
    null,
  ],
  [
    "check_mtu with an unaligned mtu_len",
    "*(u64 *)(r10 -8) = 0; r2 = 0; r3 = r10; r3 += -7; r4 = 0; r5 = 0; call check_mtu; exit",
    "EACCES",
  ],
]);

export const REFERENCES: readonly AsmCase[] = rows("sched_cls", [
  [
    "a lookup that is released",
    `${LOOKUP}; if r0 == 0 goto a; r1 = r0; call sk_release; a: ${END}`,
    null,
  ],
  ["a lookup that is never released", `${LOOKUP}; ${END}`, "EINVAL"],
  [
    "a lookup that is released on one path only",
    `${LOOKUP}; if r0 == 0 goto a; r1 = *(u32 *)(r0 +4); if r1 == 0 goto a; r1 = r0; ` +
      `call sk_release; a: ${END}`,
    "EINVAL",
  ],
  ["a release without a check", `${LOOKUP}; r1 = r0; call sk_release; ${END}`, "EACCES"],
  [
    "a use after the release",
    `${LOOKUP}; if r0 == 0 goto a; r6 = r0; ${RELEASE}; r0 = *(u32 *)(r6 +4); a: ${END}`,
    "EACCES",
  ],
  [
    "a second release",
    `${LOOKUP}; if r0 == 0 goto a; r6 = r0; ${RELEASE}; ${RELEASE}; a: ${END}`,
    "EACCES",
  ],
  [
    "a spilled socket that is released",
    `${LOOKUP}; *(u64 *)(r10 -24) = r0; if r0 == 0 goto a; r1 = *(u64 *)(r10 -24); ` +
      `call sk_release; a: ${END}`,
    null,
  ],
  ["an overwritten socket", `${LOOKUP}; if r0 == 0 goto a; r0 = 0; a: ${END}`, "EINVAL"],
  [
    "a part of a socket after the release",
    `${LOOKUP}; if r0 == 0 goto a; r6 = r0; r1 = r0; call tcp_sock; r7 = r0; ` +
      `if r7 == 0 goto b; ${RELEASE}; r0 = *(u32 *)(r7 +0); exit; b: ${RELEASE}; a: ${END}`,
    "EACCES",
  ],
  [
    "a part of a socket before the release",
    `${LOOKUP}; if r0 == 0 goto a; r6 = r0; r1 = r0; call tcp_sock; r7 = r0; ` +
      `if r7 == 0 goto b; r0 = *(u32 *)(r7 +0); b: ${RELEASE}; a: ${END}`,
    null,
  ],
  [
    "a release by the part of a socket",
    `${LOOKUP}; if r0 == 0 goto a; r6 = r0; r1 = r0; call sk_fullsock; ` +
      `if r0 == 0 goto b; r6 = r0; b: ${RELEASE}; a: ${END}`,
    null,
  ],
  [
    "skc_lookup_tcp that is never released",
    `${TUPLE}; call skc_lookup_tcp; if r0 == 0 goto a; a: ${END}`,
    "EINVAL",
  ],
  [
    "sk_lookup_udp that is released",
    `${TUPLE}; call sk_lookup_udp; if r0 == 0 goto a; r1 = r0; call sk_release; a: ${END}`,
    null,
  ],
  [
    "a socket that is assigned and released",
    `${LOOKUP}; if r0 == 0 goto a; r7 = r0; r1 = r6; r2 = r7; r3 = 0; call sk_assign; ` +
      `r1 = r7; call sk_release; a: ${END}`,
    null,
  ],
  [
    "an assigned socket that may be NULL",
    `${LOOKUP}; r7 = r0; r1 = r6; r2 = r7; r3 = 0; call sk_assign; ${END}`,
    "EACCES",
  ],
  ["a release of the context", `call sk_release; ${END}`, "EACCES"],
  ["a release of NULL", `r1 = 0; call sk_release; ${END}`, "EACCES"],
  [
    "a packet load with an open reference",
    `${LOOKUP}; r7 = r0; r0 = *(u8 *)skb[0]; if r7 == 0 goto a; r1 = r7; ` +
      `call sk_release; a: ${END}`,
    "EINVAL",
  ],
  [
    "a write to a referenced socket",
    `${LOOKUP}; if r0 == 0 goto a; *(u32 *)(r0 +0) = 1; r1 = r0; call sk_release; a: ${END}`,
    "EACCES",
  ],
]);

const RESERVE = "r1 = map[fd:1]; r2 = 16; r3 = 0; r4 = r10; r4 += -16; call ringbuf_reserve_dynptr";
const DISCARD = "r1 = r10; r1 += -16; r2 = 0; call ringbuf_discard_dynptr";
const SUBMIT = "r1 = r10; r1 += -16; r2 = 1; call ringbuf_submit_dynptr";
const DATA = "r1 = r10; r1 += -16; r2 = 0; r3 = 16; call dynptr_data";
const VALUE =
  "*(u32 *)(r10 -36) = 0; r1 = map[fd:0]; r2 = r10; r2 += -36; call map_lookup_elem; if r0 == 0 goto a";
const LOCAL = `${VALUE}; r1 = r0; r2 = 64; r3 = 0; r4 = r10; r4 += -16; call dynptr_from_mem`;
const READ = "r1 = r10; r1 += -32; r2 = 8; r3 = r10; r3 += -16; r4 = 0; r5 = 0; call dynptr_read";

export const DYNPTRS: readonly AsmCase[] = rows("sched_cls", [
  ["a record that is discarded", `${RESERVE}; ${DISCARD}; ${END}`, null],
  ["a record that is submitted", `${RESERVE}; ${SUBMIT}; ${END}`, null],
  ["a record that is never released", `${RESERVE}; ${END}`, "EINVAL"],
  ["a record that is released twice", `${RESERVE}; ${DISCARD}; ${DISCARD}; ${END}`, "EINVAL"],
  ["a release of nothing", `${DISCARD}; ${END}`, "EINVAL"],
  ["a release of the context", `r2 = 0; call ringbuf_discard_dynptr; ${END}`, "EACCES"],
  ["a release of a dynptr of a value", `${LOCAL}; ${DISCARD}; a: ${END}`, "EINVAL"],
  [
    "a record that is overwritten",
    `${RESERVE}; *(u64 *)(r10 -16) = 0; ${DISCARD}; ${END}`,
    "EINVAL",
  ],
  [
    "a byte of a record that is overwritten",
    `${RESERVE}; *(u8 *)(r10 -1) = 0; ${DISCARD}; ${END}`,
    "EINVAL",
  ],
  [
    "a second record at the place of the first",
    `${RESERVE}; ${RESERVE}; ${DISCARD}; ${END}`,
    "EINVAL",
  ],
  ["a load of a dynptr", `${RESERVE}; r6 = *(u64 *)(r10 -16); ${DISCARD}; ${END}`, "EACCES"],
  ["a load of half of a dynptr", `${RESERVE}; r6 = *(u32 *)(r10 -4); ${DISCARD}; ${END}`, "EACCES"],
  [
    "a dynptr as a key",
    `${RESERVE}; r1 = map[fd:0]; r2 = r10; r2 += -16; call map_lookup_elem; ${DISCARD}; ${END}`,
    "EACCES",
  ],
  [
    "an unaligned place for a dynptr",
    "r1 = map[fd:1]; r2 = 16; r3 = 0; r4 = r10; r4 += -20; call ringbuf_reserve_dynptr; exit",
    "EINVAL",
  ],
  [
    "a place of 8 bytes for a dynptr",
    "r1 = map[fd:1]; r2 = 16; r3 = 0; r4 = r10; r4 += -8; call ringbuf_reserve_dynptr; exit",
    "EINVAL",
  ],
  [
    "a dynptr beyond the stack",
    "r1 = map[fd:1]; r2 = 16; r3 = 0; r4 = r10; r4 += -520; call ringbuf_reserve_dynptr; exit",
    "EACCES",
  ],
  ["data without a check", `${RESERVE}; ${DATA}; *(u8 *)(r0 +0) = 1; ${DISCARD}; ${END}`, "EACCES"],
  [
    "data with a check",
    `${RESERVE}; ${DATA}; if r0 == 0 goto a; *(u8 *)(r0 +15) = 1; a: ${DISCARD}; ${END}`,
    null,
  ],
  [
    "data past its end",
    `${RESERVE}; ${DATA}; if r0 == 0 goto a; *(u8 *)(r0 +16) = 1; a: ${DISCARD}; ${END}`,
    "EACCES",
  ],
  [
    "data after the release",
    `${RESERVE}; ${DATA}; r6 = r0; if r6 == 0 goto a; ${SUBMIT}; *(u8 *)(r6 +0) = 1; ` +
      `${END}; a: ${DISCARD}; ${END}`,
    "EACCES",
  ],
  [
    "data of a size that is not known",
    `${RESERVE}; call get_prandom_u32; r3 = r0; r1 = r10; r1 += -16; r2 = 0; ` +
      `call dynptr_data; ${DISCARD}; ${END}`,
    "EACCES",
  ],
  ["data of nothing", `${DATA}; ${END}`, "EINVAL"],
  [
    "data handed to ringbuf_submit",
    `${RESERVE}; ${DATA}; if r0 == 0 goto a; r1 = r0; r2 = 0; call ringbuf_submit; ` +
      `a: ${DISCARD}; ${END}`,
    "EACCES",
  ],
  ["a dynptr of a value that is read", `${LOCAL}; ${READ}; a: ${END}`, null],
  ["a dynptr of a value that is overwritten", `${LOCAL}; *(u64 *)(r10 -16) = 0; a: ${END}`, null],
  [
    "a dynptr of a value that is used after it is overwritten",
    `${LOCAL}; *(u64 *)(r10 -8) = 0; ${READ}; a: ${END}`,
    "EINVAL",
  ],
  [
    "a dynptr of the stack",
    `r1 = r10; r1 += -32; r2 = 8; r3 = 0; r4 = r10; r4 += -16; call dynptr_from_mem; ${END}`,
    "EACCES",
  ],
  [
    "a dynptr of too much of a value",
    `${VALUE}; r1 = r0; r2 = 65; r3 = 0; r4 = r10; r4 += -16; call dynptr_from_mem; a: ${END}`,
    "EACCES",
  ],
  ["a read of what is no dynptr", `${READ}; ${END}`, "EINVAL"],
  [
    "a read into the dynptr itself",
    `${LOCAL}; r1 = r10; r1 += -16; r2 = 8; r3 = r10; r3 += -16; r4 = 0; r5 = 0; ` +
      `call dynptr_read; a: ${END}`,
    "EACCES",
  ],
  [
    "a write from the stack",
    `${LOCAL}; *(u64 *)(r10 -32) = 1; r1 = r10; r1 += -16; r2 = 0; r3 = r10; r3 += -32; ` +
      `r4 = 8; r5 = 0; call dynptr_write; a: ${END}`,
    null,
  ],
  [
    "a write from a number",
    `${LOCAL}; r1 = r10; r1 += -16; r2 = 0; r3 = 5; r4 = 8; r5 = 0; call dynptr_write; a: ${END}`,
    "EACCES",
  ],
  [
    "a dynptr made on one path only",
    `${VALUE}; r6 = r0; r1 = *(u64 *)(r6 +0); if r1 == 0 goto b; r1 = r6; r2 = 64; ` +
      `r3 = 0; r4 = r10; r4 += -16; call dynptr_from_mem; b: ${READ}; a: ${END}`,
    "EINVAL",
  ],
]);
