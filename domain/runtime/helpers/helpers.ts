import { csumHelpers } from "./csum.ts";
import type { Helpers, Host } from "./helper.ts";
import { mapHelpers } from "./map.ts";
import { perfHelpers } from "./perf.ts";
import { ringbufHelpers } from "./ringbuf.ts";
import { skbHelpers } from "./skb.ts";
import { stringHelpers } from "./string.ts";
import { timeHelpers } from "./time.ts";
import { traceHelpers } from "./trace.ts";
import { xdpHelpers } from "./xdp.ts";

/** Collects the helper functions that a machine imports into its programs. */

export const createHelpers = (host: Host): Helpers => ({
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
