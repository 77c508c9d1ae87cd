import { LimitReached } from "./errno.ts";

/**
 * Places in which requests wait, and from which owners take turns.
 * Invariant: while another owner has two places or more, a newcomer finds one.
 */

export interface FairQueueOptions<T> {
  /** Name of the limit, for those that it refuses. */
  limit: string;
  places: number;
  /** Called with an item that loses its place to an owner who has fewer. */
  onRefused(item: T, reason: LimitReached): void;
}

export class FairQueue<T> {
  readonly #options: FairQueueOptions<T>;
  /** By owner, each with an item or more; the first owner is next. */
  readonly #lists = new Map<string, T[]>();
  #length = 0;

  constructor(options: FairQueueOptions<T>) {
    this.#options = options;
  }

  get length(): number {
    return this.#length;
  }

  get isFull(): boolean {
    return this.#length >= this.#options.places;
  }

  countOf(owner: string): number {
    return this.#lists.get(owner)?.length ?? 0;
  }

  /** @throws LimitReached */
  push(owner: string, item: T): void {
    if (this.isFull) this.#makeRoom(this.countOf(owner));
    const list = this.#lists.get(owner);
    if (list) list.push(item);
    else this.#lists.set(owner, [item]);
    this.#length += 1;
  }

  /** Takes the place of the newest item of the owner with the most, unless that only swaps shares. */
  #makeRoom(held: number): void {
    let longest: T[] = [];
    for (const list of this.#lists.values()) if (list.length > longest.length) longest = list;
    if (longest.length < held + 2) throw this.#limitReached(held);
    const item = longest.pop() as T;
    this.#length -= 1;
    this.#options.onRefused(item, this.#limitReached(longest.length));
  }

  #limitReached(held: number): LimitReached {
    const { limit, places } = this.#options;
    return new LimitReached(limit, places, held);
  }

  /** Returns the first item of the next owner that can take its turn, which is then the last one. */
  shift(canTakeTurn: (owner: string) => boolean = () => true): T | undefined {
    for (const [owner, list] of this.#lists) {
      if (!canTakeTurn(owner)) continue;
      const item = list.shift();
      this.#lists.delete(owner);
      if (list.length > 0) this.#lists.set(owner, list);
      this.#length -= 1;
      return item;
    }
    return undefined;
  }

  /** Returns false when the item has left before. */
  remove(owner: string, item: T): boolean {
    const list = this.#lists.get(owner) ?? [];
    const at = list.indexOf(item);
    if (at < 0) return false;
    list.splice(at, 1);
    if (list.length === 0) this.#lists.delete(owner);
    this.#length -= 1;
    return true;
  }

  /** Removes and returns all items. */
  drain(): T[] {
    const all = [...this.#lists.values()].flat();
    this.#lists.clear();
    this.#length = 0;
    return all;
  }
}
