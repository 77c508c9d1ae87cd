import { type Arena, READ } from "../arena.ts";
import { InputRefused } from "../fault.ts";
import { checkPacket, ETH_HLEN, padContext, type RunInput, setFields } from "./context.ts";
import { Packet } from "./packet.ts";

/**
 * A packet as struct xdp_buff, and the struct xdp_md that programs access (net/bpf/test_run.c,
 * bpf_prog_test_run_xdp()). Bytes beyond the first page are in fragments, which only helpers
 * reach.
 */

const XDP_MD = {
  data: 0,
  data_end: 4,
  data_meta: 8,
  ingress_ifindex: 12,
  rx_queue_index: 16,
  SIZE: 24,
};
const PAGE = 4096;
/** XDP_PACKET_HEADROOM, which includes struct xdp_frame; TAILROOM is struct skb_shared_info. */
const HEADROOM = 256;
const FRAME = 40;
const TAILROOM = 320;
/** The first page and MAX_SKB_FRAGS more. */
const XDP_DATA_MAX = PAGE - HEADROOM - TAILROOM + 17 * PAGE;
const LOOPBACK = 1;

function refuse(detail: string): never {
  throw new InputRefused("EINVAL", "ctx_in", detail);
}

/** xdp_convert_md_to_buff(): the length of the metadata, and of the part in the first page. */
function convertMd(fields: Buffer, hasContext: boolean, size: number) {
  const read = (offset: number) => fields.readUInt32LE(offset);
  const [meta, end] = [read(XDP_MD.data), hasContext ? read(XDP_MD.data_end) : size];
  const [ingress, queue] = [read(XDP_MD.ingress_ifindex), read(XDP_MD.rx_queue_index)];
  if (read(XDP_MD.data_meta) !== 0) refuse("data_meta must be 0");
  if (end > size || meta > end)
    refuse(`data <= data_end <= ${size} must hold, got data ${meta}, data_end ${end}`);
  if (meta % 4 !== 0 || meta > Math.min(HEADROOM - FRAME, size - ETH_HLEN)) {
    refuse(`data must be a multiple of 4, at most ${HEADROOM - FRAME}, got ${meta}`);
  }
  if (read(XDP_MD.SIZE - 4) !== 0) refuse("egress_ifindex must be 0");
  if (ingress === 0 && queue !== 0) refuse("rx_queue_index must be 0 without ingress_ifindex");
  if (ingress > LOOPBACK)
    throw new InputRefused(
      "ENODEV",
      "ctx_in",
      `ingress_ifindex must be 0 or ${LOOPBACK} (lo), got ${ingress}`,
    );
  if (queue !== 0) refuse(`rx_queue_index must be 0, the only queue of lo, got ${queue}`);
  return { meta, linear: Math.min(end, PAGE - HEADROOM - TAILROOM + meta) };
}

export class Xdp implements RunInput {
  readonly at: number;
  readonly #arena: Arena;
  readonly #fields: Buffer;
  /** The metadata and the part of the packet in the first page. */
  readonly #packet: Packet;
  #meta: number;
  /** The headroom. */
  #head: Buffer;
  #fragments: Buffer;

  constructor(arena: Arena, data: Uint8Array | undefined, ctx: Uint8Array | undefined) {
    this.#fields = padContext(ctx, XDP_MD.SIZE);
    const bytes = checkPacket(data, Number.POSITIVE_INFINITY);
    if (bytes.length > XDP_DATA_MAX) {
      throw new InputRefused(
        "ENOMEM",
        "data_in",
        `must have at most ${XDP_DATA_MAX} bytes, got ${bytes.length}`,
      );
    }
    this.#arena = arena;
    const { meta, linear } = convertMd(this.#fields, ctx !== undefined, bytes.length);
    this.#meta = meta;
    this.#head = Buffer.alloc(HEADROOM - meta);
    this.#packet = new Packet(arena, bytes.subarray(0, linear));
    this.#fragments = Buffer.from(bytes.subarray(linear));
    this.at = arena.place(this.#fields, READ);
    setFields(arena, this.at, [[XDP_MD.ingress_ifindex, LOOPBACK]]);
    this.#updateFields();
  }

  #updateFields(): void {
    setFields(this.#arena, this.at, [
      [XDP_MD.data, this.#packet.at + this.#meta],
      [XDP_MD.data_end, this.#packet.end],
      [XDP_MD.data_meta, this.#packet.at],
    ]);
  }

  /** The verifier rejects LD_ABS and LD_IND in XDP programs. */
  loadBytes(): bigint {
    return -1n;
  }

  get #linear(): number {
    return this.#packet.size - this.#meta;
  }

  /** bpf_xdp_get_buff_len() */
  get length(): number {
    return this.#linear + this.#fragments.length;
  }

  /** Moves the start of the metadata by `by`; the caller has checked that this fits. */
  #moveStart(by: number, meta: number): void {
    const all = Buffer.concat([this.#head, this.#packet.bytes()]);
    const start = this.#head.length + by;
    this.#head = all.subarray(0, start);
    this.#meta = meta;
    this.#packet.set(all.subarray(start));
    this.#updateFields();
  }

  /** bpf_xdp_adjust_head(), which moves the metadata too; returns false for -EINVAL. */
  adjustHead(offset: number): boolean {
    if (this.#head.length + offset < FRAME || offset > this.#linear - ETH_HLEN) return false;
    const meta = this.#arena.copy(this.#packet.at, this.#meta);
    this.#moveStart(offset, this.#meta);
    this.#arena.bytes.set(meta, this.#packet.at);
    return true;
  }

  /** bpf_xdp_adjust_meta() */
  adjustMeta(offset: number): "EINVAL" | "EACCES" | undefined {
    const meta = this.#meta - offset;
    if (this.#head.length + offset < FRAME || meta < 0) return "EINVAL";
    if (meta % 4 !== 0) return "EACCES";
    this.#moveStart(offset, meta);
    return undefined;
  }

  /** bpf_xdp_adjust_tail(); returns false for -EINVAL. */
  adjustTail(offset: number): boolean {
    if (this.#fragments.length > 0) return this.#adjustFragments(offset);
    const size = this.#packet.size + offset;
    const room = PAGE - TAILROOM - this.#head.length;
    if (size > room || this.#linear + offset < ETH_HLEN) return false;
    const bytes = Buffer.alloc(size);
    bytes.set(this.#packet.bytes().subarray(0, size));
    this.#packet.set(bytes);
    this.#updateFields();
    return true;
  }

  #adjustFragments(offset: number): boolean {
    const { length } = this.#fragments;
    if (offset >= 0) {
      const last = length % PAGE || PAGE;
      if (offset > PAGE - last) return false;
      this.#fragments = Buffer.concat([this.#fragments, Buffer.alloc(offset)]);
      return true;
    }
    if (-offset > this.length - ETH_HLEN) return false;
    const kept = Math.max(0, length + offset);
    this.#fragments = this.#fragments.subarray(0, kept);
    return length + offset >= 0 || this.adjustTail(length + offset);
  }

  /** Bytes at an offset of the packet; undefined when it is too short. */
  read(offset: number, size: number): Uint8Array | undefined {
    if (offset + size > this.length) return undefined;
    const bytes = Buffer.concat([this.#packet.bytes().subarray(this.#meta), this.#fragments]);
    return bytes.subarray(offset, offset + size);
  }

  write(offset: number, data: Uint8Array): boolean {
    if (offset + data.length > this.length) return false;
    const linear = data.subarray(0, Math.max(0, this.#linear - offset));
    this.#arena.bytes.set(linear, this.#packet.at + this.#meta + offset);
    const kept = data.subarray(linear.length);
    if (kept.length > 0) this.#fragments.set(kept, offset + linear.length - this.#linear);
    return true;
  }

  outputPacket(): Uint8Array {
    return Buffer.concat([this.#packet.bytes(), this.#fragments]);
  }

  outputContext(): Uint8Array {
    const ctx = Uint8Array.from(this.#fields);
    const view = new DataView(ctx.buffer);
    view.setUint32(XDP_MD.data, this.#meta, true);
    view.setUint32(XDP_MD.data_end, this.#packet.size, true);
    return ctx;
  }
}
