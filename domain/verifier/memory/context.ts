import { BPF_XDP_DEVMAP } from "../../isa/uapi.ts";
import { type RegisterValue, UNKNOWN, UNMODELLED, value } from "../state/value.ts";
import type { VerifierOptions } from "../verdict.ts";
import { type AccessibleField, allows, type ContextLayout, field } from "./context_field.ts";
import { SOCK_CONTEXTS } from "./sock_contexts.ts";
import { TRACING_CONTEXTS } from "./tracing_contexts.ts";

/**
 * is_valid_access() of Linux 6.18: the fields of the context that each program type may read and
 * write. The contexts of netfilter, of system calls and of writable tracepoints are not modelled.
 */

const PACKET = value("pkt");
const PACKET_END = value("pkt_end");
const PACKET_META = value("pkt_meta");
const SOCK_OR_NULL = value("sock_common", { canBeNull: true });

const SKB: Readonly<Record<string, AccessibleField>> = {
  len: field(0, 4),
  pkt_type: field(4, 4),
  mark: field(8, 4),
  queue_mapping: field(12, 4),
  protocol: field(16, 4),
  vlan_present: field(20, 4),
  vlan_tci: field(24, 4),
  vlan_proto: field(28, 4),
  priority: field(32, 4),
  ingress_ifindex: field(36, 4),
  ifindex: field(40, 4),
  tc_index: field(44, 4),
  cb: field(48, 20, "any"),
  hash: field(68, 4),
  tc_classid: field(72, 4),
  data: field(76, 4, "whole", { holds: PACKET }),
  data_end: field(80, 4, "whole", { holds: PACKET_END }),
  napi_id: field(84, 4),
  family: field(88, 4),
  addresses: field(92, 40, "words"),
  ports: field(132, 8),
  data_meta: field(140, 4, "whole", { holds: PACKET_META }),
  flow_keys: field(144, 8, "whole", { holds: UNMODELLED }),
  tstamp: field(152, 8, "whole"),
  wire_len: field(160, 4),
  gso_segs: field(164, 4),
  sk: field(168, 8, "whole", { holds: SOCK_OR_NULL }),
  gso_size: field(176, 4),
  tstamp_type: field(180, 1, "whole"),
  hwtstamp: field(184, 8, "whole"),
};

const XDP: readonly AccessibleField[] = [
  field(0, 4, "whole", { holds: PACKET }),
  field(4, 4, "whole", { holds: PACKET_END }),
  field(8, 4, "whole", { holds: PACKET_META }),
  field(12, 8, "words"),
];
/** egress_ifindex, for programs of a device map. */
const XDP_EGRESS = field(20, 4, "whole");

function skb(without: string, writes: string): ContextLayout {
  const absent = new Set(`flow_keys ${without}`.split(" "));
  const names = Object.keys(SKB).filter((name) => !absent.has(name));
  const fields = (list: string[]): AccessibleField[] =>
    list.map((name) => SKB[name] as AccessibleField);
  return { reads: fields(names), writes: fields(writes.split(" ")) };
}

const SOCKET = "family addresses ports";
const SCHED = skb(SOCKET, "mark queue_mapping priority tc_index cb tc_classid tstamp");
const LWT = skb(
  `${SOCKET} tc_classid data_meta tstamp wire_len tstamp_type hwtstamp`,
  "mark priority cb",
);

const CONTEXTS: Readonly<Record<string, ContextLayout>> = {
  ...SOCK_CONTEXTS,
  ...TRACING_CONTEXTS,
  xdp: { reads: XDP, writes: [] },
  sched_cls: SCHED,
  sched_act: SCHED,
  socket_filter: skb(
    `${SOCKET} tc_classid data data_end data_meta tstamp wire_len tstamp_type hwtstamp`,
    "cb",
  ),
  cgroup_skb: skb("tc_classid data_meta wire_len tstamp_type", "mark priority cb tstamp"),
  lwt_in: LWT,
  lwt_out: LWT,
  lwt_xmit: LWT,
  lwt_seg6local: LWT,
  sk_skb: skb(
    "mark tc_classid data_meta tstamp wire_len tstamp_type hwtstamp",
    "priority tc_index",
  ),
  flow_dissector: {
    reads: ["data", "data_end", "flow_keys"].map((name) => SKB[name] as AccessibleField),
    writes: [],
  },
};

const READ_ONLY_PACKETS = new Set([
  "lwt_in",
  "lwt_out",
  "lwt_seg6local",
  "sk_reuseport",
  "flow_dissector",
  "cgroup_skb",
]);

export const mayWritePacket = (progType: string | undefined): boolean =>
  progType === undefined || !READ_ONLY_PACKETS.has(progType);

/**
 * The value that a load from the context yields, or that a store overwrites; null when the access is
 * invalid, UNMODELLED when the field is not modelled.
 */
export function contextField(
  { progType, expectedAttachType }: VerifierOptions,
  off: number,
  size: number,
  writes: boolean,
): RegisterValue | null {
  const context = progType === undefined ? undefined : CONTEXTS[progType];
  if (context === undefined) return UNMODELLED;
  const isEgress = progType === "xdp" && expectedAttachType === BPF_XDP_DEVMAP && !writes;
  if (isEgress && allows(XDP_EGRESS, off, size, writes)) return UNKNOWN;
  const fields = writes ? context.writes : context.reads;
  const found = fields.find(
    (one) =>
      allows(one, off, size, writes) &&
      one.attachTypes?.includes(expectedAttachType ?? 0) !== false,
  );
  return found?.holds ?? null;
}

/** Whether the context of the program type is modelled. */
export const isModelled = (progType: string | undefined): boolean =>
  progType !== undefined && CONTEXTS[progType] !== undefined;
