// The helpers that programs call, as a machine gives them to its programs.

import type { Helpers, Host } from "./helper.ts";
import { csumHelpers } from "./helpers_csum.ts";
import { mapHelpers } from "./helpers_map.ts";
import { perfHelpers } from "./helpers_perf.ts";
import { ringbufHelpers } from "./helpers_ringbuf.ts";
import { skbHelpers } from "./helpers_skb.ts";
import { stringHelpers } from "./helpers_string.ts";
import { timeHelpers } from "./helpers_time.ts";
import { traceHelpers } from "./helpers_trace.ts";
import { xdpHelpers } from "./helpers_xdp.ts";

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
