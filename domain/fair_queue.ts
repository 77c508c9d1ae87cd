import { LimitReached } from "./errno.ts";

/**
 * Places in which requests wait, and from which owners take turns.
 * Invariant: while another owner has two places or more, a newcomer finds one.
 */

export interface FairQueueOptions<T, Refusal extends Error> {
  /** Name of the limit, for those that it refuses. */
  limit: string;
  places: number;
  /** Called with an item that loses its place to an owner who has fewer. */
  onRefused(item: T, reason: Refusal): void;
  /** The error of those that it refuses; LimitReached when left out. */
  Refusal?: new (
    limit: string,
    places: number,
    held: number,
  ) => Refusal;
}

/** A ring of one owner's items between its oldest and its newest; the list itself is the ends' neighbour. */
interface Link<T> {
  previous: Link<T>;
  next: Link<T>;
  item: T | undefined;
}

class List<T> {
  readonly #ends: Link<T>;
  length = 0;

  constructor() {
    const ends = { item: undefined } as Link<T>;
    ends.previous = ends;
    ends.next = ends;
    this.#ends = ends;
  }

  get oldest(): Link<T> {
    return this.#ends.next;
  }

  get newest(): Link<T> {
    return this.#ends.previous;
  }

  push(item: T): Link<T> {
    const link = { item, previous: this.#ends.previous, next: this.#ends };
    link.previous.next = link;
    link.next.previous = link;
    this.length += 1;
    return link;
  }

  unlink({ previous, next }: Link<T>): void {
    previous.next = next;
    next.previous = previous;
    this.length -= 1;
  }
}

export class FairQueue<T, Refusal extends Error = LimitReached> {
  readonly #options: FairQueueOptions<T, Refusal>;
  /** By owner, each with an item or more; the first owner is next. */
  readonly #lists = new Map<string, List<T>>();
  readonly #links = new Map<T, Link<T>>();

  constructor(options: FairQueueOptions<T, Refusal>) {
    this.#options = options;
  }

  get length(): number {
    return this.#links.size;
  }

  get isFull(): boolean {
    return this.length >= this.#options.places;
  }

  countOf(owner: string): number {
    return this.#lists.get(owner)?.length ?? 0;
  }

  /** @param item is in the queue at most once. @throws the error of the options. */
  push(owner: string, item: T): void {
    if (this.isFull) this.#makeRoom(this.countOf(owner));
    let list = this.#lists.get(owner);
    if (list === undefined) {
      list = new List();
      this.#lists.set(owner, list);
    }
    this.#links.set(item, list.push(item));
  }

  /** Takes the place of the newest item of the owner with the most, unless that only swaps shares. */
  #makeRoom(held: number): void {
    let [longest, most] = ["", 0];
    for (const [owner, { length }] of this.#lists) {
      if (length > most) [longest, most] = [owner, length];
    }
    if (most < held + 2) throw this.#refusal(held);
    const item = this.#lists.get(longest)?.newest.item as T;
    this.remove(longest, item);
    this.#options.onRefused(item, this.#refusal(most - 1));
  }

  #refusal(held: number): Refusal {
    const { limit, places, Refusal = LimitReached } = this.#options;
    return new Refusal(limit, places, held) as Refusal;
  }

  /** Returns the first item of the next owner that can take its turn, which is then the last one. */
  shift(canTakeTurn: (owner: string, item: T) => boolean = () => true): T | undefined {
    for (const [owner, list] of this.#lists) {
      const item = list.oldest.item as T;
      if (!canTakeTurn(owner, item)) continue;
      this.remove(owner, item);
      if (this.#lists.delete(owner)) this.#lists.set(owner, list);
      return item;
    }
    return undefined;
  }

  /** Returns false when the item has left before. */
  remove(owner: string, item: T): boolean {
    const link = this.#links.get(item);
    const list = this.#lists.get(owner);
    if (link === undefined || list === undefined) return false;
    list.unlink(link);
    this.#links.delete(item);
    if (list.length === 0) this.#lists.delete(owner);
    return true;
  }

  /** Removes and returns all items. */
  drain(): T[] {
    const all = [...this.#links.keys()];
    this.#lists.clear();
    this.#links.clear();
    return all;
  }
}
