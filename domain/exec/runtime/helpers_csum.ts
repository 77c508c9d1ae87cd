// Internet checksums (lib/checksum.c, net/core/filter.c): sums with end-around carry, u32.

import { ERRNO } from "../../errno.ts";
import type { Helpers, Host } from "./helpers.ts";

const ALL = 0xffff_ffff;

export function csumAdd(a: number, b: number): number {
  const sum = a + b;
  return sum > ALL ? sum - ALL : sum;
}

export const csumNot = (sum: number): number => ~sum >>> 0;

/** csum_partial(), of whole words of 32 bits. */
function csumPartial(words: DataView, seed: number): number {
  let sum = seed;
  for (let at = 0; at < words.byteLength; at += 4) sum = csumAdd(sum, words.getUint32(at, true));
  return sum;
}

/** csum_from32to16() */
export function csumFold(sum: number): number {
  const halves = (sum & 0xffff) + (sum >>> 16);
  return (halves & 0xffff) + (halves >>> 16);
}

export function csumHelpers(host: Host): Helpers {
  const words = (at: number, size: number): DataView => {
    host.arena.readable(at, size);
    return new DataView(host.arena.memory.buffer, at, size);
  };
  return {
    // bpf_csum_diff()
    28: (from: number, fromSize: number, to: number, toSize: number, given: bigint) => {
      if (((fromSize | toSize) & 3) !== 0) return BigInt(-ERRNO.EINVAL);
      const seed = Number(BigInt.asUintN(32, given));
      const taken = words(from >>> 0, fromSize >>> 0);
      const put = words(to >>> 0, toSize >>> 0);
      if (fromSize === 0 && toSize === 0) return BigInt(csumFold(seed));
      if (toSize === 0) return BigInt(csumFold(csumNot(csumPartial(taken, csumNot(seed)))));
      const sum = csumPartial(put, seed);
      if (fromSize === 0) return BigInt(csumFold(sum));
      return BigInt(csumFold(csumAdd(sum, csumNot(csumPartial(taken, 0)))));
    },
  };
}
