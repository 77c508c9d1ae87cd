import { RUN_MAP } from "../redis/records.ts";
import { bytes, list, nameFields, number, text } from "../redis/reply.ts";
import type { RedisValue } from "../redis/script.ts";
import type { MapView } from "../runtime/job.ts";

/** Maps as domain/lua/test_run/run_snapshot.lua shows them. */

type SnapshotElement = MapView["elements"][number];
const NO_KEY = Buffer.alloc(0);

function elements(type: string, whole: boolean, items: RedisValue[]): SnapshotElement[] {
  if (type === "queue" || type === "stack") {
    return items.map((value) => ({ key: NO_KEY, value: bytes(value) }));
  }
  const step = whole ? 2 : 3;
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

/** Offsets, as a map's record has them. */
export const lockOffsets = (text: string) => ({ locks: text.split(",").map(Number) });

/** A map by RUN_MAP; bytes: of a value on all CPUs. */
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
    ...(map.locks ? lockOffsets(text(map.locks)) : {}),
    bytes,
  };
}

/** All values of an array, with the zeros at its end that were never written. */
function fullArray(stored: Buffer, length: number): Uint8Array {
  if (stored.length === length) return stored;
  const all = new Uint8Array(length);
  all.set(stored);
  return all;
}

/** undefined for a map that is gone. */
export function decodeMapSnapshot(row: RedisValue): MapSnapshot | undefined {
  if (row === null) return undefined;
  const [about, revision, entries, positions, whole, shown] = list(row);
  const { bytes: size, ...attr } = decodeMapAttributes(about);
  const [producer, consumer] = list(positions).map(number);
  const known = {
    ...attr,
    entries: number(entries),
    whole: whole === 1,
    ...(producer === undefined ? {} : { producer, consumer: consumer ?? 0 }),
  };
  const view = Buffer.isBuffer(shown)
    ? { ...known, elements: [], bytes: fullArray(shown, size * attr.max_entries) }
    : { ...known, elements: elements(attr.map_type, whole === 1, list(shown)) };
  return { view, revision: number(revision) };
}
