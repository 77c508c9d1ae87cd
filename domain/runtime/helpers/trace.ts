import { ERRNO } from "../../errno.ts";
import type { Helpers, Host } from "./helper.ts";
import { printf } from "./printf.ts";

/** bpf_trace_printk(), which appends lines to the trace of the run. */

/** MAX_TRACE_PRINTK_BUF, with a terminator. */
const LINE_MAX = 1023;
/** A run keeps so many lines. */
const LINES_MAX = 1000;

export function traceHelpers(host: Host): Helpers {
  const { arena } = host;
  /** Reads to the NUL; "" for inaccessible memory, as strncpy_from_kernel_nofault(). */
  const stringAt = (address: bigint): string => {
    const start = Number(BigInt.asUintN(64, address));
    let end = start;
    while (end - start < LINE_MAX && arena.canRead(end, 1) && arena.bytes[end] !== 0) end++;
    return arena.canRead(end, 1) ? arena.bytes.toString("latin1", start, end) : "";
  };
  return {
    trace_printk: (format: number, size: number, ...args: bigint[]) => {
      const at = format >>> 0;
      arena.checkReadable(at, size >>> 0);
      const end = arena.bytes.subarray(at, at + (size >>> 0)).indexOf(0);
      if (end < 0) return -ERRNO.EINVAL;
      const line = printf(arena.bytes.toString("latin1", at, at + end), args, stringAt);
      if (line === undefined) return -ERRNO.EINVAL;
      const { trace } = host.run;
      if (trace.length < LINES_MAX) trace.push(line.slice(0, LINE_MAX));
      return Math.min(line.length, LINE_MAX);
    },
  };
}
