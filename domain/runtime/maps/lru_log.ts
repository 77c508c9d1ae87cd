// What a run did to an LRU map, in order: which elements are evicted when it commits depends on it.
// Of updates and deletions of an element only the last is kept; a lookup marks an element once between
// two updates.

import type { WriteSetEntry } from "../job.ts";
import type { Layout } from "./layout.ts";
import type { TrackedElement } from "./tracked_element.ts";

/** Beyond so many steps only the last mark of an element is kept. */
const STEPS = 4096;

interface LruStep {
  op: "update" | "delete" | "touch";
  entry: TrackedElement;
}

export class LruLog {
  readonly #steps = new Set<LruStep>();
  readonly #stored = new Map<TrackedElement, LruStep>();
  readonly #touched = new Map<TrackedElement, LruStep>();

  touch(entry: TrackedElement): void {
    const last = this.#touched.get(entry);
    if (last !== undefined) {
      if (this.#recent.has(entry)) return;
      if (this.#steps.size > STEPS) this.#steps.delete(last);
    }
    this.#recent.add(entry);
    this.#touched.set(entry, this.#add({ op: "touch", entry }));
  }

  /** Marked since the last update. */
  #recent = new Set<TrackedElement>();

  change(op: "update" | "delete", entry: TrackedElement): void {
    const last = this.#stored.get(entry);
    if (last !== undefined) this.#steps.delete(last);
    this.#stored.set(entry, this.#add({ op, entry }));
    if (this.#recent.size > 0) this.#recent = new Set();
  }

  #add(step: LruStep): LruStep {
    this.#steps.add(step);
    return step;
  }

  ops(map: number, layout: Layout): WriteSetEntry[] {
    return [...this.#steps].flatMap(({ op, entry }): WriteSetEntry[] => {
      const { key, at, fetched } = entry;
      if (op === "update") return [{ op, map, key, value: layout.read(at), flags: 0 }];
      if (op === "delete" && fetched === null) return [];
      return [{ op, map, key }];
    });
  }
}
