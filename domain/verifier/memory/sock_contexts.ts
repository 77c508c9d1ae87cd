import {
  BPF_CGROUP_GETSOCKOPT,
  BPF_CGROUP_INET_SOCK_CREATE,
  BPF_CGROUP_INET_SOCK_RELEASE,
  BPF_CGROUP_INET4_BIND,
  BPF_CGROUP_INET4_CONNECT,
  BPF_CGROUP_INET4_GETPEERNAME,
  BPF_CGROUP_INET4_GETSOCKNAME,
  BPF_CGROUP_INET4_POST_BIND,
  BPF_CGROUP_INET6_BIND,
  BPF_CGROUP_INET6_CONNECT,
  BPF_CGROUP_INET6_GETPEERNAME,
  BPF_CGROUP_INET6_GETSOCKNAME,
  BPF_CGROUP_INET6_POST_BIND,
  BPF_CGROUP_SETSOCKOPT,
  BPF_CGROUP_UDP4_RECVMSG,
  BPF_CGROUP_UDP4_SENDMSG,
  BPF_CGROUP_UDP6_RECVMSG,
  BPF_CGROUP_UDP6_SENDMSG,
} from "../../isa/uapi.ts";
import { value } from "../state/value.ts";
import { type AccessibleField, type ContextLayout, field } from "./context_field.ts";
import { SOCK } from "./sock_fields.ts";

/** The contexts of programs on sockets, cgroups and devices, by the bpf_verifier_ops of Linux 6.18. */

const pointer = (start: number, kind: "pkt" | "pkt_end" | "sock"): AccessibleField =>
  field(start, 8, "whole", { holds: value(kind) });
/** A socket or NULL; each load of it gets an id of its own. */
const maybe = (start: number, kind: "sock" | "sock_common"): AccessibleField =>
  field(start, 8, "whole", { holds: value(kind, { canBeNull: true }) });

const SOCK_LIFE = [BPF_CGROUP_INET_SOCK_CREATE, BPF_CGROUP_INET_SOCK_RELEASE];
const POST_BINDS = [BPF_CGROUP_INET4_POST_BIND, BPF_CGROUP_INET6_POST_BIND];
const IP4 = [
  ...[BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET4_GETPEERNAME],
  ...[BPF_CGROUP_INET4_GETSOCKNAME, BPF_CGROUP_UDP4_SENDMSG, BPF_CGROUP_UDP4_RECVMSG],
];
const IP6 = [
  ...[BPF_CGROUP_INET6_BIND, BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_INET6_GETPEERNAME],
  ...[BPF_CGROUP_INET6_GETSOCKNAME, BPF_CGROUP_UDP6_SENDMSG, BPF_CGROUP_UDP6_RECVMSG],
];

/** __sock_filter_check_attach_type(), by the start of a field. */
function sockAttachTypes(start: number): readonly number[] | undefined {
  if (start === 0 || start === 16) return SOCK_LIFE;
  if (start === 24) return [BPF_CGROUP_INET4_POST_BIND];
  if (start === 28) return [BPF_CGROUP_INET6_POST_BIND];
  return start === 44 ? POST_BINDS : undefined;
}

const limited = (one: AccessibleField): AccessibleField => {
  const attachTypes = sockAttachTypes(one.start);
  return attachTypes === undefined ? one : { ...one, attachTypes };
};
/** The addresses of the source, apart by family. */
const SOCK_SOURCE = [field(24, 4), field(28, 16)];

const CGROUP_SOCK: ContextLayout = {
  reads: [...SOCK.filter(({ start }) => start !== 24), ...SOCK_SOURCE].map(limited),
  writes: [field(0, 4, "words"), field(16, 8, "words")].map(limited),
};

const SOCK_ADDR_WRITES: readonly AccessibleField[] = [
  field(4, 4, "parts", { attachTypes: IP4 }),
  field(8, 16, "wide_parts", { attachTypes: IP6 }),
  field(24, 4),
  field(40, 4, "parts", { attachTypes: [BPF_CGROUP_UDP4_SENDMSG] }),
  field(44, 16, "wide_parts", { attachTypes: [BPF_CGROUP_UDP6_SENDMSG] }),
];

export const SOCK_CONTEXTS: Readonly<Record<string, ContextLayout>> = {
  cgroup_sock: CGROUP_SOCK,
  cgroup_sock_addr: {
    reads: [...SOCK_ADDR_WRITES, field(0, 4, "words"), field(28, 12, "words"), pointer(64, "sock")],
    writes: SOCK_ADDR_WRITES,
  },
  sock_ops: {
    reads: [
      ...[field(0, 168, "words"), field(168, 8, "whole"), field(176, 8, "whole")],
      ...[maybe(184, "sock"), pointer(192, "pkt"), pointer(200, "pkt_end")],
      ...[field(208, 4, "words"), field(212, 4, "head"), field(216, 8, "whole")],
    ],
    writes: [field(4, 4, "words"), field(164, 4, "words")],
  },
  sk_msg: {
    reads: [
      ...[pointer(0, "pkt"), pointer(8, "pkt_end"), field(16, 56, "words")],
      pointer(72, "sock"),
    ],
    writes: [],
  },
  sk_reuseport: {
    reads: [
      ...[pointer(0, "pkt"), pointer(8, "pkt_end"), field(16, 4)],
      ...[field(20, 4, "words"), field(20, 2, "whole"), field(22, 2, "whole"), field(24, 8)],
      ...[field(32, 4, "whole"), pointer(40, "sock"), maybe(48, "sock_common")],
    ],
    writes: [],
  },
  sk_lookup: {
    reads: [
      ...[maybe(0, "sock"), field(8, 28), field(36, 4, "whole"), field(36, 2), field(38, 2)],
      field(40, 28),
    ],
    writes: [],
  },
  cgroup_device: { reads: [field(0, 4), field(4, 8, "words")], writes: [] },
  cgroup_sysctl: { reads: [field(0, 8)], writes: [field(4, 4, "words")] },
  cgroup_sockopt: {
    reads: [
      ...[pointer(0, "sock"), pointer(8, "pkt"), pointer(16, "pkt_end"), field(24, 12, "words")],
      field(36, 4, "words", { attachTypes: [BPF_CGROUP_GETSOCKOPT] }),
    ],
    writes: [
      field(24, 8, "words", { attachTypes: [BPF_CGROUP_SETSOCKOPT] }),
      field(32, 4, "words"),
      field(36, 4, "words", { attachTypes: [BPF_CGROUP_GETSOCKOPT] }),
    ],
  },
};
