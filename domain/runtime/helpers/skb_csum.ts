import { ERRNO } from "../../errno.ts";
import type { Arena } from "../arena.ts";
import type { Skb } from "../contexts/skb.ts";
import { csumAdd, csumFold, csumNot } from "./csum.ts";

/**
 * Updates checksums in a packet from the change of its data (net/core/filter.c,
 * include/net/checksum.h).
 */

const { EFAULT, EINVAL } = ERRNO;
const HDR_FIELD_MASK = 0xfn;
const PSEUDO_HDR = 0x10n;
const MARK_MANGLED_0 = 0x20n;
const MARK_ENFORCE = 0x40n;
const IPV6 = 0x80n;
const MANGLED_0 = 0xffff;

/** The address of the checksum; 0 when the offset is not in the packet. */
function sumAt(skb: Skb, offset: number): number {
  const isInside = offset >= 0 && offset <= 0xffff && offset + 2 <= skb.packet.size;
  return isInside && offset % 2 === 0 ? skb.packet.at + offset : 0;
}

/** csum_replace_by_diff() */
const replaceByDiff = (sum: number, diff: number): number =>
  ~csumFold(csumAdd(diff, csumNot(sum))) & 0xffff;

/** csum_replace4(), which equals csum_replace2() for 16 bits */
const replaceField = (sum: number, from: number, to: number): number =>
  ~csumFold(csumAdd(csumAdd(csumNot(sum), csumNot(from)), to)) & 0xffff;

/** Updates the sum by the size of the changed field, 0 for a difference; undefined for other sizes. */
function updateSum(sum: number, size: bigint, from: bigint, to: bigint): number | undefined {
  if (size === 0n && from === 0n) return replaceByDiff(sum, Number(BigInt.asUintN(32, to)));
  if (size !== 2n && size !== 4n) return undefined;
  const bits = 8 * Number(size);
  return replaceField(sum, Number(BigInt.asUintN(bits, from)), Number(BigInt.asUintN(bits, to)));
}

type CsumArgs = [offset: number, from: bigint, to: bigint, flags: bigint];

/** bpf_l3_csum_replace() */
export function csumReplace(
  arena: Arena,
  skb: Skb,
  ...[offset, from, to, flags]: CsumArgs
): number {
  if ((flags & ~HDR_FIELD_MASK) !== 0n) return -EINVAL;
  const at = sumAt(skb, offset);
  if (at === 0) return -EFAULT;
  const sum = updateSum(arena.view.getUint16(at, true), flags, from, to);
  if (sum === undefined) return -EINVAL;
  arena.view.setUint16(at, sum, true);
  return 0;
}

/** bpf_l4_csum_replace(): in UDP 0 means no checksum, so a sum of 0 is complemented. */
export function csumReplaceTransport(
  arena: Arena,
  skb: Skb,
  ...[offset, from, to, flags]: CsumArgs
): number {
  const validFlags = HDR_FIELD_MASK | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6;
  if ((flags & ~validFlags) !== 0n) return -EINVAL;
  const at = sumAt(skb, offset);
  if (at === 0) return -EFAULT;
  const old = arena.view.getUint16(at, true);
  const isMangled0 = (flags & MARK_MANGLED_0) !== 0n;
  if (isMangled0 && (flags & MARK_ENFORCE) === 0n && old === 0) return 0;
  const sum = updateSum(old, flags & HDR_FIELD_MASK, from, to);
  if (sum === undefined) return -EINVAL;
  arena.view.setUint16(at, isMangled0 && sum === 0 ? MANGLED_0 : sum, true);
  return 0;
}
