import { ERRNO } from "../../errno.ts";
import { Xdp } from "../contexts/xdp.ts";
import { RunFailure } from "../fault.ts";
import type { Helpers, Host } from "./helper.ts";

/** Helpers on packets as struct xdp_buff (net/core/filter.c). */

const { EFAULT, EINVAL } = ERRNO;
const OFFSET_MAX = 0xffff;

export function xdpHelpers(host: Host): Helpers {
  const { arena } = host;
  const xdp = (): Xdp => {
    const { context } = host.run;
    if (context instanceof Xdp) return context;
    throw new RunFailure("memory", "the helper needs a struct xdp_buff context");
  };
  const isTooFar = (offset: number, size: number) => offset >>> 0 > OFFSET_MAX || size > OFFSET_MAX;
  return {
    xdp_adjust_head: (_ctx: number, offset: number) => (xdp().adjustHead(offset) ? 0 : -EINVAL),
    // Only records where the packet would go.
    redirect_map: (handle: number, index: number, flags: bigint) =>
      host.run.map(handle).redirect(index >>> 0, BigInt.asUintN(64, flags)),
    xdp_adjust_meta: (_ctx: number, offset: number) => {
      const errno = xdp().adjustMeta(offset);
      return errno === undefined ? 0 : -ERRNO[errno];
    },
    xdp_adjust_tail: (_ctx: number, offset: number) => (xdp().adjustTail(offset) ? 0 : -EINVAL),
    xdp_get_buff_len: () => BigInt(xdp().length),
    xdp_load_bytes: (_ctx: number, offset: number, to: number, length: number) => {
      const size = length >>> 0;
      arena.checkWritable(to >>> 0, size);
      if (isTooFar(offset, size)) return -EFAULT;
      const bytes = xdp().read(offset, size);
      if (bytes === undefined) return -EINVAL;
      arena.bytes.set(bytes, to >>> 0);
      return 0;
    },
    xdp_store_bytes: (_ctx: number, offset: number, from: number, length: number) => {
      const size = length >>> 0;
      arena.checkReadable(from >>> 0, size);
      if (isTooFar(offset, size)) return -EFAULT;
      return xdp().write(offset, arena.copy(from >>> 0, size)) ? 0 : -EINVAL;
    },
  };
}
