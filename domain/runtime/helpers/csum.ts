import type { Helpers, Host } from "./helper.ts";

/** Internet checksums (lib/checksum.c, net/core/filter.c): u32 sums with end-around carry. */

const U32_MAX = 0xffff_ffff;

export function csumAdd(a: number, b: number): number {
  const sum = a + b;
  return sum > U32_MAX ? sum - U32_MAX : sum;
}

export const csumNot = (sum: number): number => ~sum >>> 0;

/** csum_partial(), in words of 32 bits; zeros follow the last bytes. */
function csumPartial(readBytes: Buffer, seed: number): number {
  const whole = readBytes.length & ~3;
  let sum = seed;
  for (let at = 0; at < whole; at += 4) sum = csumAdd(sum, readBytes.readUInt32LE(at));
  const rest = readBytes.length - whole;
  return rest === 0 ? sum : csumAdd(sum, readBytes.readUIntLE(whole, rest));
}

/** csum_from32to16() */
export function csumFold(sum: number): number {
  const halves = (sum & 0xffff) + (sum >>> 16);
  return (halves & 0xffff) + (halves >>> 16);
}

export function csumHelpers(host: Host): Helpers {
  const readBytes = (at: number, size: number): Buffer => {
    host.arena.checkReadable(at, size);
    return host.arena.bytes.subarray(at, at + size);
  };
  return {
    csum_diff: (from: number, fromSize: number, to: number, toSize: number, start: bigint) => {
      const seed = Number(BigInt.asUintN(32, start));
      const oldBytes = readBytes(from >>> 0, fromSize >>> 0);
      const newBytes = readBytes(to >>> 0, toSize >>> 0);
      if (fromSize === 0 && toSize === 0) return BigInt(csumFold(seed));
      if (toSize === 0) return BigInt(csumFold(csumNot(csumPartial(oldBytes, csumNot(seed)))));
      const sum = csumPartial(newBytes, seed);
      if (fromSize === 0) return BigInt(csumFold(sum));
      return BigInt(csumFold(csumAdd(sum, csumNot(csumPartial(oldBytes, 0)))));
    },
  };
}
