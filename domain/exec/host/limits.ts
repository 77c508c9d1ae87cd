import { Errno } from "../../errno.ts";
import type { Need } from "../job.ts";
import type { Seen } from "./view.ts";

/** What one script may show a run, and what a run may change by one. */

const WHOLE_ELEMENTS = 4096;
const WHOLE_BYTES = 1 << 20;
/** Elements changed by one run, and bytes told of it: a commit holds up everybody else. */
const OPS_MAX = 1024;
const COMMIT_BYTES = 1 << 20;

/** Instead of one more key of a map that is not too large, all of it. */
export function widened(need: Need, maps: ReadonlyMap<number, Seen>): Need {
  const view = "key" in need ? maps.get(need.map)?.view : undefined;
  if (!view || view.entries > WHOLE_ELEMENTS) return need;
  const bytes = view.entries * (view.key_size + view.value_size * (view.cpus ?? 1));
  return bytes > WHOLE_BYTES / 2 ? need : { map: view.id, whole: true };
}

/** @throws E2BIG */
export function checkSize({ length }: { length: number }, packed: Buffer): void {
  if (length <= OPS_MAX && packed.length <= COMMIT_BYTES) return;
  throw new Errno("E2BIG", `a run changes at most ${OPS_MAX} elements and ${COMMIT_BYTES} bytes`);
}
