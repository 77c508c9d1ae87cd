// What a run did to an LRU map, in order: which elements are evicted when it commits depends on it.
// Of updates and deletions of an element only the last is kept; a lookup marks an element once between
// two updates.

import type { Op } from "../job.ts";
import type { Layout } from "./layout.ts";
import type { Entry } from "./tracked_element.ts";

/** Beyond so many steps only the last mark of an element is kept. */
const STEPS = 4096;

interface Step {
  op: "update" | "delete" | "touch";
  entry: Entry;
}

export class Lru {
  private readonly steps = new Set<Step>();
  private readonly stored = new Map<Entry, Step>();
  private readonly touched = new Map<Entry, Step>();

  touch(entry: Entry): void {
    const last = this.touched.get(entry);
    if (last !== undefined) {
      if (this.recent.has(entry)) return;
      if (this.steps.size > STEPS) this.steps.delete(last);
    }
    this.recent.add(entry);
    this.touched.set(entry, this.add({ op: "touch", entry }));
  }

  /** Marked since the last update. */
  private recent = new Set<Entry>();

  change(op: "update" | "delete", entry: Entry): void {
    const last = this.stored.get(entry);
    if (last !== undefined) this.steps.delete(last);
    this.stored.set(entry, this.add({ op, entry }));
    if (this.recent.size > 0) this.recent = new Set();
  }

  private add(step: Step): Step {
    this.steps.add(step);
    return step;
  }

  ops(map: number, layout: Layout): Op[] {
    return [...this.steps].flatMap(({ op, entry }): Op[] => {
      const { key, at, fetched } = entry;
      if (op === "update") return [{ op, map, key, value: layout.read(at), flags: 0 }];
      if (op === "delete" && fetched === null) return [];
      return [{ op, map, key }];
    });
  }
}
