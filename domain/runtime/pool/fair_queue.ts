/** A queue in which owners take turns, so that one with many items does not delay the others. */
export class FairQueue<T> {
  /** By owner; the first one is next. */
  readonly #lists = new Map<string, T[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  countOf(owner: string): number {
    return this.#lists.get(owner)?.length ?? 0;
  }

  push(owner: string, item: T): void {
    const list = this.#lists.get(owner);
    if (list) list.push(item);
    else this.#lists.set(owner, [item]);
    this.#length += 1;
  }

  shift(): T | undefined {
    for (const [owner, list] of this.#lists) {
      const item = list.shift();
      this.#lists.delete(owner);
      if (list.length > 0) this.#lists.set(owner, list);
      this.#length -= 1;
      return item;
    }
    return undefined;
  }

  /** Removes and returns all items. */
  drain(): T[] {
    const all = [...this.#lists.values()].flat();
    this.#lists.clear();
    this.#length = 0;
    return all;
  }
}
