// An element that a run has come to know of: as it was fetched, and as it is now.

import type { Layout } from "./layout.ts";
import type { Effects } from "./map.ts";

/** Ways in which the fetched element was looked at; compiled lookups set the first two. */
export const VALUE = 1;
export const ADDED = 2;
export const PRESENCE = 4;

export interface TrackedElement {
  readonly key: Uint8Array;
  /** null: it was not there; undefined: not known. */
  readonly fetched: Uint8Array | null | undefined;
  /** Now; undefined: not known. */
  present: boolean | undefined;
  /** Of its value, once somebody has looked at it. */
  at: number;
  /** The value is of this run, not the fetched one. */
  replaced: boolean;
  looks: number;
}

export function trackElement(
  key: Uint8Array,
  fetched: Uint8Array | null | undefined,
): TrackedElement {
  const present = fetched === undefined ? undefined : fetched !== null;
  return { key, fetched, present, at: 0, replaced: false, looks: 0 };
}

/** What the commit has to find unchanged. */
export function readOf(map: number, entry: TrackedElement, effects: Effects): void {
  const { key, fetched, looks } = entry;
  if (looks === 0 || fetched === undefined) return;
  if (fetched === null) effects.reads.push({ map, key, value: null });
  else if (looks & VALUE) effects.reads.push({ map, key, value: fetched });
  else effects.reads.push({ map, key, present: true });
}

/** The fetched value as this run has changed it through pointers, if it has. */
export function writeOf(
  map: number,
  entry: TrackedElement,
  layout: Layout,
  effects: Effects,
): void {
  const { key, at, fetched } = entry;
  if (at === 0 || entry.replaced || !entry.present || !fetched) return;
  if ((entry.looks & VALUE) === 0) {
    const sums = layout.added(map, key, at, fetched, effects.addSize);
    if (sums !== undefined) {
      effects.ops.push(...sums);
      return;
    }
    entry.looks |= VALUE;
  }
  if (!layout.equals(at, fetched)) {
    effects.ops.push({ op: "write", map, key, value: layout.read(at) });
  }
}
