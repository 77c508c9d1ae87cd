import { toBuffer } from "../../bytes.ts";
import type { Arena } from "../arena.ts";
import { InputRefused } from "../fault.ts";
import { checkPacket, ETH_HLEN, padContext, setFields } from "./context.ts";

/**
 * Checks and converts the caller's __sk_buff as bpf_prog_test_run_skb() does (net/bpf/test_run.c).
 */

/** Offsets in struct __sk_buff. */
export const SK_BUFF = {
  len: 0,
  pkt_type: 4,
  mark: 8,
  protocol: 16,
  vlan_present: 20,
  vlan_tci: 24,
  vlan_proto: 28,
  priority: 32,
  ingress_ifindex: 36,
  ifindex: 40,
  cb: 48,
  hash: 68,
  data: 76,
  data_end: 80,
  family: 88,
  remote_ip4: 92,
  local_ip4: 96,
  remote_ip6: 100,
  local_ip6: 116,
  data_meta: 140,
  tstamp: 152,
  wire_len: 160,
  gso_segs: 164,
  gso_size: 176,
  hwtstamp: 184,
  SIZE: 192,
} as const;

/** The fields that a caller may set and gets back. */
export const SETTABLE: readonly (readonly [offset: number, size: number])[] = [
  [SK_BUFF.mark, 4],
  [SK_BUFF.priority, 4],
  [SK_BUFF.ingress_ifindex, 4],
  [SK_BUFF.ifindex, 4],
  [SK_BUFF.cb, 20],
  [SK_BUFF.tstamp, 8],
  [SK_BUFF.wire_len, 4],
  [SK_BUFF.gso_segs, 4],
  [SK_BUFF.gso_size, 4],
  [SK_BUFF.hwtstamp, 8],
];

/** A page less head room and struct skb_shared_info. */
const SKB_DATA_MAX = 3712;
const LOOPBACK = 1;
const GSO_LEGACY_MAX_SIZE = 65536;
const GSO_MAX_SEGS = 65535;

export const ETH_P_IP = 0x0800;
export const ETH_P_IPV6 = 0x86dd;
const ETH_P_802_3_MIN = 0x0600;
const ETH_P_802_3 = 0x0001;
const ETH_P_802_2 = 0x0004;

/** The minimal length of the network header, by protocol. */
const L3_BYTES: Readonly<Record<number, number>> = { [ETH_P_IP]: 20, [ETH_P_IPV6]: 40 };

export interface SkbInput {
  frame: Buffer;
  /** 192 bytes, with the program's wire_len and ifindex. */
  fields: Buffer;
  /** ETH_P_*, host order. */
  protocol: number;
  pktType: number;
}

/** eth_type_trans() */
export function protocolOf(frame: Buffer): number {
  const type = frame.readUInt16BE(12);
  if (type >= ETH_P_802_3_MIN) return type;
  return frame.length >= 16 && frame.readUInt16BE(14) === 0xffff ? ETH_P_802_3 : ETH_P_802_2;
}

/** PACKET_HOST, PACKET_MULTICAST or PACKET_OTHERHOST, for a device whose address is zero. */
function pktTypeOf(frame: Buffer): number {
  if (frame.readUIntBE(0, 6) === 0) return 0;
  return (frame.readUInt8(0) & 1) === 1 ? 2 : 3;
}

function refuse(detail: string): never {
  throw new InputRefused("EINVAL", "ctx_in", detail);
}

function checkUnsettableZero(fields: Buffer): void {
  const unsettable = Buffer.from(fields);
  for (const [offset, size] of SETTABLE) unsettable.fill(0, offset, offset + size);
  const at = unsettable.findIndex((byte) => byte !== 0);
  if (at >= 0) refuse(`byte ${at} of struct __sk_buff must be 0: the field cannot be set`);
}

/** convert___skb_to_skb() */
function checkAndConvert(fields: Buffer, size: number): void {
  checkUnsettableZero(fields);
  const wireLen = fields.readUInt32LE(SK_BUFF.wire_len);
  if (wireLen !== 0 && (wireLen < size || wireLen > GSO_LEGACY_MAX_SIZE)) {
    refuse(`wire_len must be from ${size} to ${GSO_LEGACY_MAX_SIZE}, got ${wireLen}`);
  }
  if (wireLen === 0) fields.writeUInt32LE(size, SK_BUFF.wire_len);
  const gsoSegs = fields.readUInt32LE(SK_BUFF.gso_segs);
  if (gsoSegs > GSO_MAX_SEGS) refuse(`gso_segs must be at most ${GSO_MAX_SEGS}, got ${gsoSegs}`);
}

/** @param l2 the program sees the Ethernet header @throws InputRefused */
export function skbInput(data: Uint8Array | undefined, ctx: Uint8Array | undefined, l2: boolean) {
  const bytes = checkPacket(data, SKB_DATA_MAX);
  const frame = toBuffer(bytes);
  const fields = padContext(ctx, SK_BUFF.SIZE);
  const ifindex = fields.readUInt32LE(SK_BUFF.ifindex);
  if (ifindex > LOOPBACK)
    throw new InputRefused(
      "ENODEV",
      "ctx_in",
      `ifindex must be 0 or ${LOOPBACK} (lo), got ${ifindex}`,
    );
  const protocol = protocolOf(frame);
  if (frame.length - ETH_HLEN < (L3_BYTES[protocol] ?? 0)) {
    const type = protocol.toString(16).padStart(4, "0");
    throw new InputRefused(
      "EINVAL",
      "data_in",
      `too short for the network header of protocol 0x${type}`,
    );
  }
  if (ctx !== undefined) checkAndConvert(fields, l2 ? frame.length : frame.length - ETH_HLEN);
  fields.writeUInt32LE(LOOPBACK, SK_BUFF.ifindex);
  const input: SkbInput = { frame, fields, protocol, pktType: pktTypeOf(frame) };
  return input;
}

/** sk_alloc() and later steps: the socket gets the addresses of the packet. */
export function fillSocket(arena: Arena, at: number, { frame, protocol }: SkbInput): void {
  const copy = (from: number, size: number, to: number) =>
    frame.copy(arena.bytes, at + to, from, from + size);
  if (protocol === ETH_P_IP) {
    setFields(arena, at, [[SK_BUFF.family, 2]]);
    copy(ETH_HLEN + 12, 4, SK_BUFF.local_ip4);
    copy(ETH_HLEN + 16, 4, SK_BUFF.remote_ip4);
  } else if (protocol === ETH_P_IPV6) {
    setFields(arena, at, [[SK_BUFF.family, 10]]);
    copy(ETH_HLEN + 8, 16, SK_BUFF.local_ip6);
    copy(ETH_HLEN + 24, 16, SK_BUFF.remote_ip6);
  }
}
