// The helpers that programs call, by number, as a machine gives them to its programs. Addresses and
// sizes come as signed 32-bit numbers.

import type { Arena } from "./arena.ts";
import { csumHelpers } from "./helpers_csum.ts";
import { mapHelpers } from "./helpers_map.ts";
import { perfHelpers } from "./helpers_perf.ts";
import { ringbufHelpers } from "./helpers_ringbuf.ts";
import { skbHelpers } from "./helpers_skb.ts";
import { stringHelpers } from "./helpers_string.ts";
import { timeHelpers } from "./helpers_time.ts";
import { traceHelpers } from "./helpers_trace.ts";
import { xdpHelpers } from "./helpers_xdp.ts";
import type { Run } from "./run.ts";

/** A machine as its helpers see it. */
export interface Host {
  readonly arena: Arena;
  /** The run under way. */
  readonly run: Run;
}

type Helper = (...args: never[]) => unknown;
export type Helpers = Record<number, Helper>;

/** A function of a program: its handle, r1 to r5, the frame pointer. */
export type Callback = (fn: number, ...rest: [...r: bigint[], sb: number]) => bigint;

export const helpersOf = (host: Host): Helpers => ({
  ...mapHelpers(host),
  ...timeHelpers(host),
  ...traceHelpers(host),
  ...stringHelpers(host),
  ...ringbufHelpers(host),
  ...perfHelpers(host),
  ...csumHelpers(host),
  ...skbHelpers(host),
  ...xdpHelpers(host),
});
