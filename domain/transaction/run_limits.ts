import { Errno } from "../errno.ts";
import type { Miss, ReadSetEntry } from "../runtime/job.ts";
import type { MapSnapshot } from "./map_snapshot.ts";

/** Limits of what one script may read for a run, and of what one run may change. */

const MAX_SNAPSHOT_ELEMENTS = 4096;
const MAX_SNAPSHOT_BYTES = 1 << 20;
/** Elements changed by one run, those it looked at, and bytes told of them: a commit holds up all others. */
const MAX_WRITES = 1024;
const MAX_COMMIT_BYTES = 1 << 20;

/** Instead of one more key of a map that is not too large, all of it. */
export function widenMiss(miss: Miss, maps: ReadonlyMap<number, MapSnapshot>): Miss {
  const view = "key" in miss ? maps.get(miss.map)?.view : undefined;
  if (!view || view.entries > MAX_SNAPSHOT_ELEMENTS) return miss;
  const bytes = view.entries * (view.key_size + view.value_size * (view.cpus ?? 1));
  return bytes > MAX_SNAPSHOT_BYTES / 2 ? miss : { map: view.id, whole: true };
}

/** More elements of one map than this are compared by the map's revision. */
const MAX_READS_PER_MAP = 1024;

/** Reads as the commit compares them: each, or their maps. */
export function coalesceReads(reads: readonly ReadSetEntry[]): readonly ReadSetEntry[] {
  const counts = new Map<number, number>();
  for (const { map } of reads) counts.set(map, (counts.get(map) ?? 0) + 1);
  const oversized = [...counts.keys()].filter((map) => (counts.get(map) ?? 0) > MAX_READS_PER_MAP);
  if (oversized.length === 0) return reads;
  const others = reads.filter(({ map }) => !oversized.includes(map));
  return [...others, ...oversized.map((map) => ({ map, unchanged: true as const }))];
}

/** @throws E2BIG; domain/lua/test_run/run_limits.lua throws it where one element takes the time of several. */
export function checkCommitSize(
  reads: readonly unknown[],
  writes: readonly unknown[],
  packed: Buffer,
): void {
  if (reads.length > MAX_SNAPSHOT_ELEMENTS) {
    throw new Errno(
      "E2BIG",
      `a run looks at no more than ${MAX_SNAPSHOT_ELEMENTS} elements, map by map`,
    );
  }
  if (writes.length <= MAX_WRITES && packed.length <= MAX_COMMIT_BYTES) return;
  throw new Errno(
    "E2BIG",
    `a run changes at most ${MAX_WRITES} elements and ${MAX_COMMIT_BYTES} bytes`,
  );
}
