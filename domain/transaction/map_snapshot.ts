import { MAP_SNAPSHOT, RUN_MAP } from "../redis/records.ts";
import type { RedisValue } from "../redis/redis_value.ts";
import { bytes, list, nameFields, number, text } from "../redis/reply.ts";
import type { MapView } from "../runtime/job.ts";

/** Decodes the snapshot of a map from domain/lua/test_run/run_snapshot.lua. */

type SnapshotElement = MapView["elements"][number];
const NO_KEY = Buffer.alloc(0);

function decodeElements(type: string, isComplete: boolean, items: RedisValue[]): SnapshotElement[] {
  if (type === "queue" || type === "stack") {
    return items.map((value) => ({ key: NO_KEY, value: bytes(value) }));
  }
  const step = isComplete ? 2 : 3;
  return Array.from({ length: items.length / step }, (_, i) => {
    const [key, value, matched] = items.slice(i * step, i * step + step);
    const element = { key: bytes(key), value: (value as Buffer | null) ?? null };
    return matched ? { ...element, matched: bytes(matched) } : element;
  });
}

export interface MapSnapshot {
  view: MapView;
  revision: number;
}

/** The offsets of locks, from their form in a map's record. */
export const parseLocks = (text: string) => ({ locks: text.split(",").map(Number) });

/** Decodes a row of RUN_MAP; `bytes` is the size of a value on all CPUs. */
export function decodeMapAttributes(row: RedisValue | undefined) {
  const map = nameFields(RUN_MAP, list(row));
  const map_type = text(map.type);
  const value_size = number(map.value_size);
  const bytes = number(map.value_bytes);
  return {
    id: number(map.id),
    map_type,
    key_size: number(map.key_size),
    value_size,
    max_entries: number(map.max_entries),
    map_flags: number(map.flags),
    ...(map_type.includes("percpu") ? { cpus: bytes / (Math.ceil(value_size / 8) * 8) } : {}),
    ...(map.locks ? parseLocks(text(map.locks)) : {}),
    bytes,
  };
}

/** All values of an array: Redis does not store the zeros after the last value written. */
function padArray(stored: Buffer, length: number): Uint8Array {
  if (stored.length === length) return stored;
  const padded = new Uint8Array(length);
  padded.set(stored);
  return padded;
}

/** Returns undefined for a map that is gone. */
export function decodeMapSnapshot(row: RedisValue): MapSnapshot | undefined {
  if (row === null) return undefined;
  const snapshot = nameFields(MAP_SNAPSHOT, list(row));
  const { attributes, revision, entries, positions, complete, content } = snapshot;
  const isComplete = complete === 1;
  const { bytes: size, ...attr } = decodeMapAttributes(attributes);
  const [producer, consumer] = list(positions).map(number);
  const shape = {
    ...attr,
    entries: number(entries),
    isComplete,
    ...(producer === undefined ? {} : { producer, consumer: consumer ?? 0 }),
  };
  const view = Buffer.isBuffer(content)
    ? { ...shape, elements: [], bytes: padArray(content, size * attr.max_entries) }
    : { ...shape, elements: decodeElements(attr.map_type, isComplete, list(content)) };
  return { view, revision: number(revision) };
}
