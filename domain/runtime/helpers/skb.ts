import { ERRNO } from "../../errno.ts";
import { isVlan, swap16 } from "../contexts/ether.ts";
import { Skb } from "../contexts/skb.ts";
import { Xdp } from "../contexts/xdp.ts";
import { RunFailure } from "../fault.ts";
import type { Helpers, Host } from "./helper.ts";
import { csumReplace, csumReplaceTransport } from "./skb_csum.ts";

/** Helpers on packets as struct sk_buff (net/core/filter.c). */

const { EFAULT, EINVAL, ENOMEM, ENOTSUPP } = ERRNO;
/** BPF_SKB_MAX_LEN */
const SKB_MAX = 16064;
/** KMALLOC_MAX_SIZE */
const KMALLOC_MAX = 4 << 20;
const INVALIDATE_HASH = 2n;
const STORE_FLAGS = 3n;
const ETH_P_8021Q = 0x8100;
const TC_ACT_SHOT = 2;
const TC_ACT_REDIRECT = 7;
const XDP_ABORTED = 0;
const XDP_REDIRECT = 4;

/** The packet of the run. */
function skbOf(host: Host): Skb {
  const { context } = host.run;
  if (context instanceof Skb) return context;
  throw new RunFailure("memory", "the helper needs a struct sk_buff context");
}

function bytesHelpers(host: Host): Helpers {
  const { arena } = host;
  /** Copies bytes to the program, or zeros with an errno. */
  const copyOut = (to: number, size: number, bytes: Uint8Array | undefined): number => {
    arena.checkWritable(to, size);
    if (bytes !== undefined) arena.bytes.set(bytes, to);
    else arena.bytes.fill(0, to, to + size);
    return bytes === undefined ? -EFAULT : 0;
  };
  const isInside = (skb: Skb, offset: number, size: number): boolean =>
    offset >= 0 && offset + size <= skb.packet.size;
  return {
    skb_store_bytes: (
      _ctx: number,
      offset: number,
      from: number,
      length: number,
      flags: bigint,
    ) => {
      const [skb, size] = [skbOf(host), length >>> 0];
      arena.checkReadable(from >>> 0, size);
      if ((flags & ~STORE_FLAGS) !== 0n) return -EINVAL;
      if (!isInside(skb, offset, size)) return -EFAULT;
      arena.bytes.copyWithin(skb.packet.at + offset, from >>> 0, (from >>> 0) + size);
      if ((flags & INVALIDATE_HASH) !== 0n) skb.hash = 0;
      return 0;
    },
    skb_load_bytes: (_ctx: number, offset: number, to: number, length: number) => {
      const [skb, size] = [skbOf(host), length >>> 0];
      const at = skb.packet.at + offset;
      return copyOut(
        to >>> 0,
        size,
        isInside(skb, offset, size) ? arena.copy(at, size) : undefined,
      );
    },
    skb_load_bytes_relative: (
      _ctx: number,
      offset: number,
      to: number,
      length: number,
      header: bigint,
    ) => {
      const start = (["mac", "net"] as const)[Number(BigInt.asUintN(32, header))];
      const isValid = start !== undefined && offset >= 0 && offset <= 0xffff;
      const size = length >>> 0;
      return copyOut(
        to >>> 0,
        size,
        isValid ? skbOf(host).bytesFrom(start, offset, size) : undefined,
      );
    },
    l3_csum_replace: (_ctx: number, offset: number, from: bigint, to: bigint, flags: bigint) =>
      csumReplace(arena, skbOf(host), offset, from, to, flags),
    l4_csum_replace: (_ctx: number, offset: number, from: bigint, to: bigint, flags: bigint) =>
      csumReplaceTransport(arena, skbOf(host), offset, from, to, flags),
    // As for a packet whose checksum the device has not computed.
    csum_update: () => BigInt(-ENOTSUPP),
  };
}

function shapeHelpers(host: Host): Helpers {
  return {
    skb_vlan_push: (_ctx: number, protocol: number, tci: number) => {
      const tagProtocol = swap16(protocol & 0xffff);
      skbOf(host).pushTag(isVlan(tagProtocol) ? tagProtocol : ETH_P_8021Q, tci & 0xffff);
      return 0;
    },
    skb_vlan_pop: () => (skbOf(host).popTag() ? 0 : -ENOMEM),
    skb_change_tail: (_ctx: number, length: number, flags: bigint) => {
      const [skb, size] = [skbOf(host), length >>> 0];
      if (flags !== 0n || size < skb.networkOffset || size > SKB_MAX) return -EINVAL;
      const bytes = Buffer.alloc(size);
      bytes.set(skb.packet.bytes().subarray(0, size));
      skb.replace(bytes);
      skb.resetGso();
      return 0;
    },
    skb_pull_data: (_ctx: number, length: number) =>
      length >>> 0 > skbOf(host).packet.size ? -ENOMEM : 0,
    skb_change_head: (_ctx: number, room: number, flags: bigint) => {
      const skb = skbOf(host);
      const size = skb.packet.size + room;
      if (flags !== 0n || room < 0 || (!skb.isGso && size > SKB_MAX)) return -EINVAL;
      if (size > KMALLOC_MAX) return -ENOMEM;
      skb.growHead(room);
      return 0;
    },
  };
}

function hashHelpers(host: Host): Helpers {
  return {
    get_hash_recalc: () => {
      const skb = skbOf(host);
      if (skb.hash === 0) skb.hash = skb.flowHash();
      return skb.hash;
    },
    set_hash_invalid: () => {
      skbOf(host).hash = 0;
    },
    set_hash: (_ctx: number, hash: bigint) => {
      skbOf(host).hash = Number(BigInt.asUintN(32, hash));
      return 0n;
    },
  };
}

export const skbHelpers = (host: Host): Helpers => ({
  ...bytesHelpers(host),
  ...shapeHelpers(host),
  ...hashHelpers(host),
  // Only returns the verdict: there are no interfaces to redirect to.
  redirect: (_ifindex: number, flags: bigint) => {
    if (host.run.context instanceof Xdp) return flags === 0n ? XDP_REDIRECT : XDP_ABORTED;
    return (flags & ~1n) === 0n ? TC_ACT_REDIRECT : TC_ACT_SHOT;
  },
});
