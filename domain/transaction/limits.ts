import { Errno } from "../errno.ts";
import type { Miss, ReadSetEntry } from "../runtime/job.ts";
import type { MapSnapshot } from "./map_snapshot.ts";

/** What one script may show a run, and what a run may change by one. */

const WHOLE_ELEMENTS = 4096;
const WHOLE_BYTES = 1 << 20;
/** Elements changed by one run, those it looked at, and bytes told of them: a commit holds up all others. */
const OPS_MAX = 1024;
const COMMIT_BYTES = 1 << 20;

/** Instead of one more key of a map that is not too large, all of it. */
export function widened(need: Miss, maps: ReadonlyMap<number, MapSnapshot>): Miss {
  const view = "key" in need ? maps.get(need.map)?.view : undefined;
  if (!view || view.entries > WHOLE_ELEMENTS) return need;
  const bytes = view.entries * (view.key_size + view.value_size * (view.cpus ?? 1));
  return bytes > WHOLE_BYTES / 2 ? need : { map: view.id, whole: true };
}

/** More elements of one map than this are compared by the map's revision. */
const READS_EACH = 1024;

/** Reads as the commit compares them: each, or their maps. */
export function compared(reads: readonly ReadSetEntry[]): readonly ReadSetEntry[] {
  const counts = new Map<number, number>();
  for (const { map } of reads) counts.set(map, (counts.get(map) ?? 0) + 1);
  const many = [...counts.keys()].filter((map) => (counts.get(map) ?? 0) > READS_EACH);
  if (many.length === 0) return reads;
  const few = reads.filter(({ map }) => !many.includes(map));
  return [...few, ...many.map((map) => ({ map, unchanged: true as const }))];
}

/** @throws E2BIG; domain/lua/test_run/run_limits.lua throws it where one element takes the time of several. */
export function checkSize(
  reads: readonly unknown[],
  ops: readonly unknown[],
  packed: Buffer,
): void {
  if (reads.length > WHOLE_ELEMENTS) {
    throw new Errno("E2BIG", `a run looks at no more than ${WHOLE_ELEMENTS} elements, map by map`);
  }
  if (ops.length <= OPS_MAX && packed.length <= COMMIT_BYTES) return;
  throw new Errno("E2BIG", `a run changes at most ${OPS_MAX} elements and ${COMMIT_BYTES} bytes`);
}
