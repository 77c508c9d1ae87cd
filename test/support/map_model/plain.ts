import type { MapModel, MapStep } from "./step.ts";

/** Models the types without special rules: a Map, and an array for queues and stacks. */

export class HashModel implements MapModel {
  readonly elements = new Map<number, string>();
  readonly #max: number;
  evictions = 0;
  failures = 0;

  constructor(maxEntries: number) {
    this.#max = maxEntries;
  }

  #update(key: number, value: string, flags: number): string {
    const there = this.elements.has(key);
    if (flags > 2) return "EINVAL";
    if (there && flags === 1) return "EEXIST";
    if (!there && flags === 2) return "ENOENT";
    if (!there && this.elements.size === this.#max) {
      this.failures += 1;
      return "E2BIG";
    }
    this.elements.set(key, value);
    return "ok";
  }

  apply({ op, key, value, flags }: MapStep): string {
    if (op === "update") return this.#update(key, value, flags);
    const found = this.elements.get(key);
    if (found === undefined) return "ENOENT";
    if (op === "delete" || op === "take") this.elements.delete(key);
    return op === "delete" ? "ok" : found;
  }
}

export class ArrayModel implements MapModel {
  readonly elements = new Map<number, string>();
  readonly #max: number;
  evictions = 0;
  failures = 0;

  constructor(maxEntries: number) {
    this.#max = maxEntries;
    for (let n = 0; n < maxEntries; n++) this.elements.set(n, "00000000");
  }

  apply({ op, key, value, flags }: MapStep): string {
    if (op === "delete") return "EINVAL";
    if (op === "take") return "ENOTSUPP";
    if (op !== "update") return this.elements.get(key) ?? "ENOENT";
    if (flags > 2) return "EINVAL";
    if (key >= this.#max) return "E2BIG";
    if (flags === 1) return "EEXIST";
    this.elements.set(key, value);
    return "ok";
  }
}

/** The queue lists its oldest value first. */
export class QueueModel implements MapModel {
  #values: string[] = [];
  readonly #max: number;
  readonly #newestFirst: boolean;
  evictions = 0;
  failures = 0;

  constructor(maxEntries: number, newestFirst: boolean) {
    this.#max = maxEntries;
    this.#newestFirst = newestFirst;
  }

  get elements(): ReadonlyMap<number, string> {
    return new Map(this.#values.entries());
  }

  #push(value: string, flags: number): string {
    if (flags === 1 || flags > 2) return "EINVAL";
    if (this.#values.length === this.#max) {
      if (flags === 0) {
        this.failures += 1;
        return "E2BIG";
      }
      this.#values.shift();
      this.evictions += 1;
    }
    this.#values.push(value);
    return "ok";
  }

  apply({ op, value, flags }: MapStep): string {
    if (op === "update") return this.#push(value, flags);
    if (op === "delete") return "EINVAL";
    const next = this.#values.at(this.#newestFirst ? -1 : 0);
    if (next !== undefined && op === "take") {
      this.#values = this.#newestFirst ? this.#values.slice(0, -1) : this.#values.slice(1);
    }
    return next ?? "ENOENT";
  }
}
