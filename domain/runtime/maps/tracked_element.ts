import type { Layout } from "./layout.ts";
import type { Effects } from "./map.ts";

/** An element that a run has accessed: its value in the snapshot, and its state now. */

/** Accesses to the fetched element; inlined lookups set the first two. */
export const READ_VALUE = 1;
export const ADDED_TO = 2;
export const READ_PRESENCE = 4;

export interface TrackedElement {
  readonly key: Uint8Array;
  /** null: absent; undefined: unknown. */
  readonly fetched: Uint8Array | null | undefined;
  /** Now; undefined: unknown. */
  isPresent: boolean | undefined;
  /** Address of the value; 0 before the first access. */
  at: number;
  /** The run has replaced or deleted the fetched value. */
  isReplaced: boolean;
  accessed: number;
}

export function trackElement(
  key: Uint8Array,
  fetched: Uint8Array | null | undefined,
): TrackedElement {
  const isPresent = fetched === undefined ? undefined : fetched !== null;
  return { key, fetched, isPresent, at: 0, isReplaced: false, accessed: 0 };
}

/** Adds what the commit must find unchanged. */
export function addReadOf(map: number, element: TrackedElement, effects: Effects): void {
  const { key, fetched, accessed } = element;
  if (accessed === 0 || fetched === undefined) return;
  if (fetched === null) effects.reads.push({ map, key, value: null });
  else if (accessed & READ_VALUE) effects.reads.push({ map, key, value: fetched });
  else effects.reads.push({ map, key, present: true });
}

/** Adds the changes that the run made through pointers to the fetched value. */
export function addWriteOf(
  map: number,
  element: TrackedElement,
  layout: Layout,
  effects: Effects,
): void {
  const { key, at, fetched } = element;
  if (at === 0 || element.isReplaced || !element.isPresent || !fetched) return;
  if ((element.accessed & READ_VALUE) === 0) {
    const additions = layout.additions(map, key, at, fetched, effects.addSize);
    if (additions !== undefined) {
      effects.writes.push(...additions);
      return;
    }
    element.accessed |= READ_VALUE;
  }
  if (!layout.equals(at, fetched)) {
    effects.writes.push({ op: "write", map, key, value: layout.read(at) });
  }
}
