// What waits, owner by owner in turns, so that one who asks for much is not in everybody's way.

export class FairQueue<T> {
  /** The first is whose turn it is. */
  readonly #lists = new Map<string, T[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  of(owner: string): number {
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

  /** All of them, and none is left. */
  drain(): T[] {
    const all = [...this.#lists.values()].flat();
    this.#lists.clear();
    this.#length = 0;
    return all;
  }
}
