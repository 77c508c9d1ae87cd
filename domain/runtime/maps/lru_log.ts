import type { WriteSetEntry } from "../job.ts";
import type { Layout } from "./layout.ts";
import type { TrackedElement } from "./tracked_element.ts";

/**
 * The order of the accesses to an LRU map, on which evictions at the commit depend. The log keeps
 * only the last update or deletion of an element, and one lookup of it between two updates.
 */

/** Beyond so many steps the log keeps only the last lookup of an element. */
const MAX_STEPS = 4096;

interface LruStep {
  op: "update" | "delete" | "touch";
  element: TrackedElement;
}

export class LruLog {
  readonly #steps = new Set<LruStep>();
  readonly #lastChange = new Map<TrackedElement, LruStep>();
  readonly #lastTouch = new Map<TrackedElement, LruStep>();

  recordTouch(element: TrackedElement): void {
    const last = this.#lastTouch.get(element);
    if (last !== undefined) {
      if (this.#touchedSinceChange.has(element)) return;
      if (this.#steps.size > MAX_STEPS) this.#steps.delete(last);
    }
    this.#touchedSinceChange.add(element);
    this.#lastTouch.set(element, this.#add({ op: "touch", element }));
  }

  /** Elements looked up since the last change. */
  #touchedSinceChange = new Set<TrackedElement>();

  recordChange(op: "update" | "delete", element: TrackedElement): void {
    const last = this.#lastChange.get(element);
    if (last !== undefined) this.#steps.delete(last);
    this.#lastChange.set(element, this.#add({ op, element }));
    if (this.#touchedSinceChange.size > 0) this.#touchedSinceChange = new Set();
  }

  #add(step: LruStep): LruStep {
    this.#steps.add(step);
    return step;
  }

  toWrites(map: number, layout: Layout): WriteSetEntry[] {
    return [...this.#steps].flatMap(({ op, element }): WriteSetEntry[] => {
      const { key, at, fetched } = element;
      if (op === "update") return [{ op, map, key, value: layout.read(at), flags: 0 }];
      if (op === "delete" && fetched === null) return [];
      return [{ op, map, key }];
    });
  }
}
