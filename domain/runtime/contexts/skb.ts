import { type Arena, READ } from "../arena.ts";
import { ETH_HLEN, type RunInput, setFields } from "./context.ts";
import { fnv1a, isVlan, swap16 } from "./ether.ts";
import { Packet } from "./packet.ts";
import {
  ETH_P_IP,
  ETH_P_IPV6,
  fillSocket,
  protocolOf,
  SETTABLE,
  SK_BUFF,
  skbInput,
} from "./skb_input.ts";

/** A packet as struct sk_buff, and the struct __sk_buff that programs access. */

/** What differs between program types. */
export interface SkbTraits {
  /** The packet starts with the Ethernet header. */
  hasEthernetHeader: boolean;
  /** data and data_end are set. */
  hasPacketPointers: boolean;
  /** data_meta is set. */
  hasMetadata: boolean;
  /** The addresses of the socket are set. */
  hasSocket: boolean;
  /** Writable fields, from multiples of 8 on. */
  writable: readonly (readonly [offset: number, size: number])[];
}

/** bpf_internal_load_pointer_neg_helper(): offsets from the network header and the link header. */
const SKF_NET_OFF = -0x100000;
const SKF_LL_OFF = -0x200000;

const VLAN_HLEN = 4;

export class Skb implements RunInput {
  readonly at: number;
  readonly packet: Packet;
  /** The VLAN tag that is not in the packet; the protocol is ETH_P_*, in host order. */
  #tag: { protocol: number; tci: number } | undefined;
  #protocol: number;
  readonly #arena: Arena;
  readonly #traits: SkbTraits;
  /** Offsets of the network header and the link header from the start of the packet. */
  networkOffset: number;
  #linkOffset: number;
  /** The Ethernet header, when the program does not see it. */
  readonly #hiddenHeader: Uint8Array;
  /** gso_size of the caller, which the output keeps. */
  readonly #gsoSize: number;

  constructor(arena: Arena, traits: SkbTraits, data?: Uint8Array, ctx?: Uint8Array) {
    const input = skbInput(data, ctx, traits.hasEthernetHeader);
    this.#arena = arena;
    this.#traits = traits;
    this.#protocol = input.protocol;
    this.#gsoSize = input.fields.readUInt32LE(SK_BUFF.gso_size);
    this.at = arena.place(input.fields, READ);
    for (const [offset, size] of traits.writable) arena.allowWrites(this.at + offset, size);
    const hidden = traits.hasEthernetHeader ? 0 : ETH_HLEN;
    this.#hiddenHeader = Uint8Array.from(input.frame.subarray(0, hidden));
    this.packet = new Packet(arena, input.frame.subarray(hidden));
    this.#linkOffset = -hidden;
    this.networkOffset = ETH_HLEN - hidden;
    setFields(arena, this.at, [[SK_BUFF.pkt_type, input.pktType]]);
    if (traits.hasSocket) fillSocket(arena, this.at, input);
    this.#updateFields();
  }

  /** Sets the fields that depend on the packet. */
  #updateFields(): void {
    const { at, end, size } = this.packet;
    const [tag, traits] = [this.#tag, this.#traits];
    setFields(this.#arena, this.at, [
      [SK_BUFF.len, size],
      [SK_BUFF.protocol, swap16(this.#protocol)],
      [SK_BUFF.vlan_present, tag ? 1 : 0],
      [SK_BUFF.vlan_tci, tag?.tci ?? 0],
      [SK_BUFF.vlan_proto, swap16(tag?.protocol ?? 0)],
      [SK_BUFF.data, traits.hasPacketPointers ? at : 0],
      [SK_BUFF.data_end, traits.hasPacketPointers ? end : 0],
      [SK_BUFF.data_meta, traits.hasMetadata ? at : 0],
    ]);
  }

  get length(): number {
    return this.packet.size;
  }

  /** skb_is_gso() */
  get isGso(): boolean {
    return this.#arena.view.getUint32(this.at + SK_BUFF.gso_size, true) !== 0;
  }

  /** skb_gso_reset(); the output context keeps the caller's gso_size. */
  resetGso(): void {
    if (!this.isGso) return;
    setFields(this.#arena, this.at, [
      [SK_BUFF.gso_segs, 0],
      [SK_BUFF.gso_size, 0],
    ]);
  }

  get hash(): number {
    return this.#arena.view.getUint32(this.at + SK_BUFF.hash, true);
  }

  set hash(hash: number) {
    setFields(this.#arena, this.at, [[SK_BUFF.hash, hash]]);
  }

  /** Replaces the packet after it grew or shrank at one end. */
  replace(bytes: Uint8Array): void {
    this.packet.set(bytes);
    this.#updateFields();
  }

  /** Prepends zeros; the link header moves to the new start. */
  growHead(head: number): void {
    const bytes = this.packet.bytes();
    const grown = new Uint8Array(head + bytes.length);
    grown.set(bytes, head);
    this.#linkOffset = 0;
    this.networkOffset += head;
    this.replace(grown);
  }

  /** Bytes at an offset from the link or network header; undefined when the packet is too short. */
  bytesFrom(header: "mac" | "net", offset: number, size: number): Buffer | undefined {
    const start =
      this.#hiddenHeader.length +
      offset +
      (header === "net" ? this.networkOffset : this.#linkOffset);
    const bytes = Buffer.concat([this.#hiddenHeader, this.packet.bytes()]);
    return start < 0 || start + size > bytes.length
      ? undefined
      : bytes.subarray(start, start + size);
  }

  /** Hashes addresses and ports, or the link header of a packet that is not IP; never 0. */
  flowHash(): number {
    const [from, to] = this.#protocol === ETH_P_IP ? [12, 24] : [8, 44];
    const isIp = this.#protocol === ETH_P_IP || this.#protocol === ETH_P_IPV6;
    const flow = isIp ? this.bytesFrom("net", from, to - from) : undefined;
    return fnv1a(flow ?? this.bytesFrom("mac", 0, ETH_HLEN) ?? this.packet.bytes());
  }

  loadBytes(offset: number, size: number): bigint {
    const { at } = this.packet;
    if (offset >= 0) {
      if (offset + size > this.packet.size) return -1n;
      return BigInt(this.#arena.bytes.readUIntBE(at + offset, size));
    }
    const bytes =
      offset >= SKF_NET_OFF
        ? this.bytesFrom("net", offset - SKF_NET_OFF, size)
        : this.bytesFrom("mac", offset - SKF_LL_OFF, size);
    return bytes === undefined ? -1n : BigInt(bytes.readUIntBE(0, size));
  }

  /** skb_vlan_push(): the offset of the network header does not change. */
  pushTag(protocol: number, tci: number): void {
    if (this.#tag !== undefined) {
      const tag = Buffer.alloc(VLAN_HLEN);
      tag.writeUInt16BE(this.#tag.protocol);
      tag.writeUInt16BE(this.#tag.tci, 2);
      const bytes = this.packet.bytes();
      this.#protocol = this.#tag.protocol;
      this.packet.set(Buffer.concat([bytes.subarray(0, 12), tag, bytes.subarray(12)]));
    }
    this.#tag = { protocol, tci };
    this.#updateFields();
  }

  /** skb_vlan_pop(); returns false when the packet is too short for its tags. */
  popTag(): boolean {
    const isBeside = this.#tag !== undefined;
    this.#tag = undefined;
    if (!isBeside && isVlan(this.#protocol) && !this.#popInnerTag()) return false;
    if (isVlan(this.#protocol)) this.#tag = this.#popInnerTag();
    this.#updateFields();
    return this.#tag !== undefined || !isVlan(this.#protocol);
  }

  /** __skb_vlan_pop(): removes and returns the tag in the packet; undefined when it is too short. */
  #popInnerTag() {
    if (this.packet.size < ETH_HLEN + VLAN_HLEN) return undefined;
    const bytes = Buffer.from(this.packet.bytes());
    const tag = { protocol: this.#protocol, tci: bytes.readUInt16BE(14) };
    const rest = Buffer.concat([bytes.subarray(0, 12), bytes.subarray(16)]);
    this.#protocol = protocolOf(rest);
    this.networkOffset = Math.max(ETH_HLEN, this.networkOffset - VLAN_HLEN);
    this.packet.set(rest);
    return tag;
  }

  outputPacket(): Uint8Array {
    const bytes = this.packet.bytes();
    if (this.#traits.hasEthernetHeader) return bytes;
    const data = new Uint8Array(ETH_HLEN + bytes.length);
    data.set(bytes, ETH_HLEN);
    return data;
  }

  outputContext(): Uint8Array {
    const ctx = new Uint8Array(SK_BUFF.SIZE);
    for (const [offset, size] of SETTABLE)
      ctx.set(this.#arena.copy(this.at + offset, size), offset);
    new DataView(ctx.buffer).setUint32(SK_BUFF.gso_size, this.#gsoSize, true);
    return ctx;
  }
}
