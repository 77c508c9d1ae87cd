import type { MapModel, MapStep } from "./step.ts";

/**
 * Models the LRU of Linux for one CPU, list by list (kernel/bpf/bpf_lru_list.c). Keys are listed
 * from the newest to the oldest; every list is an array, and free nodes are only counted.
 */

const TARGET = 128;
const SCANS = 128;
type List = number[];

export class LruModel implements MapModel {
  evictions = 0;
  failures = 0;
  readonly #values = new Map<number, string>();
  readonly #target: number;
  readonly #inPlace: boolean;
  readonly #ref = new Set<number>();
  #pending: List = [];
  #inactive: List = [];
  #active: List = [];
  #free: number;
  #local = 0;
  /**
   * Models next_inactive_rotation; undefined is the head of the list, and the oldest key follows
   * it.
   */
  #hand: number | undefined;

  /** @param inPlace if set, an update writes into the existing element, as in a per-CPU map */
  constructor(maxEntries: number, inPlace: boolean, cpus = 2) {
    this.#free = maxEntries;
    this.#inPlace = inPlace;
    this.#target = Math.min(TARGET, Math.max(1, Math.floor(Math.floor(maxEntries / cpus) / 2)));
  }

  get elements(): ReadonlyMap<number, string> {
    return this.#values;
  }

  /** Returns the next newer key of the inactive list. */
  #newer(key: number): number | undefined {
    return this.#inactive[this.#inactive.indexOf(key) - 1];
  }

  #leave(key: number): void {
    if (key === this.#hand) this.#hand = this.#newer(key);
    const without = (list: List) => list.filter((other) => other !== key);
    this.#pending = without(this.#pending);
    this.#inactive = without(this.#inactive);
    this.#active = without(this.#active);
    this.#ref.delete(key);
  }

  #toActive(key: number): void {
    this.#leave(key);
    this.#active.unshift(key);
  }

  #toActiveOrInactive(key: number): void {
    const list = this.#ref.has(key) ? "active" : "inactive";
    this.#leave(key);
    if (list === "active") this.#active.unshift(key);
    else this.#inactive.unshift(key);
  }

  #evict(key: number): void {
    this.#leave(key);
    this.#values.delete(key);
    this.evictions += 1;
  }

  #shrink(want: number): number {
    let freed = 0;
    for (const key of this.#inactive.slice(-SCANS).reverse()) {
      if (this.#ref.has(key)) this.#toActive(key);
      else {
        this.#evict(key);
        freed += 1;
      }
      if (freed === want) break;
    }
    if (freed > 0) return freed;
    this.#evict((this.#inactive.at(-1) ?? this.#active.at(-1)) as number);
    return 1;
  }

  #rotateInactive(): void {
    const { length } = this.#inactive;
    if (length === 0) return;
    const at = this.#hand === undefined ? length - 1 : this.#inactive.indexOf(this.#hand);
    const turn = [
      ...this.#inactive.slice(0, at + 1).reverse(),
      ...this.#inactive.slice(at + 1).reverse(),
    ];
    const seen = turn.slice(0, SCANS);
    this.#hand = this.#newer(seen.at(-1) as number);
    for (const key of seen) if (this.#ref.has(key)) this.#toActive(key);
  }

  #refill(): void {
    for (const key of [...this.#pending].reverse()) this.#toActiveOrInactive(key);
    if (this.#inactive.length < this.#active.length) {
      for (const key of this.#active.slice(-SCANS).reverse()) this.#toActiveOrInactive(key);
    }
    this.#rotateInactive();
    this.#local = Math.min(this.#target, this.#free);
    this.#free -= this.#local;
    if (this.#local < this.#target) this.#local += this.#shrink(this.#target - this.#local);
  }

  #release(key: number): void {
    if (this.#pending.includes(key)) this.#local += 1;
    else this.#free += 1;
    this.#leave(key);
  }

  #update(key: number, value: string, flags: number): string {
    if (flags > 2) return "EINVAL";
    const allocates = !(this.#inPlace && flags === 2);
    if (allocates && this.#local === 0) this.#refill();
    const there = this.#values.has(key);
    if (there && flags === 1) return "EEXIST";
    if (!there && flags === 2) return "ENOENT";
    this.#values.set(key, value);
    if (!there || !this.#inPlace) {
      if (there) this.#release(key);
      this.#local -= 1;
      this.#pending.unshift(key);
    }
    if (there) this.#ref.add(key);
    return "ok";
  }

  apply({ op, key, value, flags }: MapStep): string {
    if (op === "update") return this.#update(key, value, flags);
    const found = this.#values.get(key);
    if (found === undefined) return "ENOENT";
    if (op === "touch") this.#ref.add(key);
    if (op === "delete" || op === "take") {
      this.#release(key);
      this.#values.delete(key);
    }
    return op === "delete" ? "ok" : found;
  }
}
