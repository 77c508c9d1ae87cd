import { Errno } from "../errno.ts";
import type { Miss, ReadSetEntry } from "../runtime/job.ts";
import type { MapSnapshot } from "./map_snapshot.ts";

/** Limits of what one script may read for a run, and of what one run may change. */

const MAX_SNAPSHOT_ELEMENTS = 4096;
const MAX_SNAPSHOT_BYTES = 1 << 20;
/** Elements and bytes that one run may change: Redis executes nothing else during a commit. */
const MAX_WRITES = 1024;
const MAX_COMMIT_BYTES = 1 << 20;

/** Replaces the miss of a key by a miss of the whole map, unless the map is too large. */
export function widenMiss(miss: Miss, maps: ReadonlyMap<number, MapSnapshot>): Miss {
  const view = "key" in miss ? maps.get(miss.map)?.view : undefined;
  if (!view || view.entries > MAX_SNAPSHOT_ELEMENTS) return miss;
  const bytes = view.entries * (view.key_size + view.value_size * (view.cpus ?? 1));
  return bytes > MAX_SNAPSHOT_BYTES / 2 ? miss : { map: view.id, whole: true };
}

/** When a run reads more elements of one map, the commit compares the map's revision instead. */
const MAX_READS_PER_MAP = 1024;

/** Replaces the many reads of one map by one read of its revision. */
export function coalesceReads(reads: readonly ReadSetEntry[]): readonly ReadSetEntry[] {
  const counts = new Map<number, number>();
  for (const { map } of reads) counts.set(map, (counts.get(map) ?? 0) + 1);
  const oversized = [...counts.keys()].filter((map) => (counts.get(map) ?? 0) > MAX_READS_PER_MAP);
  if (oversized.length === 0) return reads;
  const others = reads.filter(({ map }) => !oversized.includes(map));
  return [...others, ...oversized.map((map) => ({ map, unchanged: true as const }))];
}

/** @throws E2BIG; domain/lua/test_run/run_limits.lua also throws it, by the cost of each element. */
export function checkCommitSize(
  reads: readonly unknown[],
  writes: readonly unknown[],
  packed: Buffer,
): void {
  if (reads.length > MAX_SNAPSHOT_ELEMENTS) {
    throw new Errno(
      "E2BIG",
      `a run may read at most ${MAX_SNAPSHOT_ELEMENTS} elements, got ${reads.length}`,
    );
  }
  if (writes.length <= MAX_WRITES && packed.length <= MAX_COMMIT_BYTES) return;
  throw new Errno(
    "E2BIG",
    `a run may change at most ${MAX_WRITES} elements and ${MAX_COMMIT_BYTES} bytes`,
  );
}
