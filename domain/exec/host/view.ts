import { bytes, list, number, text } from "../../call.ts";
import type { Value } from "../../script.ts";
import type { MapView } from "../job.ts";

/** Maps as domain/lua/run.lua shows them. */

type Element = MapView["elements"][number];
const NO_KEY = Buffer.alloc(0);

function elements(type: string, whole: boolean, items: Value[]): Element[] {
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

export interface Seen {
  view: MapView;
  revision: number;
}

/** Offsets, as a map's record has them. */
export const locksOf = (text: string) => ({ locks: text.split(",").map(Number) });

/** id, type, offsets of locks, key_size, value_size, max_entries, flags, bytes of a value on all CPUs. */
export function attributes(row: Value | undefined) {
  const [id, type, locks, ...sizes] = list(row);
  const [key_size = 0, value_size = 0, max_entries = 0, map_flags = 0, all = 0] = sizes.map(number);
  const stride = Math.ceil(value_size / 8) * 8;
  return {
    id: number(id),
    map_type: text(type),
    ...{ key_size, value_size, max_entries, map_flags },
    ...(text(type).includes("percpu") ? { cpus: all / stride } : {}),
    ...(locks ? locksOf(text(locks)) : {}),
    bytes: all,
  };
}

/** All values of an array, with the zeros at its end that were never written. */
function image(stored: Buffer, length: number): Uint8Array {
  if (stored.length === length) return stored;
  const all = new Uint8Array(length);
  all.set(stored);
  return all;
}

/** undefined for a map that is gone. */
export function seen(row: Value): Seen | undefined {
  if (row === null) return undefined;
  const [about, revision, entries, positions, whole, shown] = list(row);
  const { bytes: size, ...attr } = attributes(about);
  const [producer, consumer] = list(positions).map(number);
  const known = {
    ...attr,
    entries: number(entries),
    whole: whole === 1,
    ...(producer === undefined ? {} : { producer, consumer: consumer ?? 0 }),
  };
  const view = Buffer.isBuffer(shown)
    ? { ...known, elements: [], bytes: image(shown, size * attr.max_entries) }
    : { ...known, elements: elements(attr.map_type, whole === 1, list(shown)) };
  return { view, revision: number(revision) };
}
