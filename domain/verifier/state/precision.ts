// What a number was computed from, so that one that turns out to matter makes those matter that it came
// from (mark_chain_precision of Linux, which walks the instructions back instead). Of a number that does
// not matter, any other can take the place when states are compared.

export class Precision {
  /** It decided a jump, an address or a size. */
  matters = false;
  /** States were kept that hold it. */
  isKept = false;
  #parts: readonly Precision[];

  constructor(parts: readonly Precision[] = []) {
    this.#parts = parts;
  }

  /** What is marked instead of it while no state holds it. */
  get #roots(): readonly Precision[] {
    if (this.matters) return [];
    return this.isKept ? [this] : this.#parts;
  }

  /** Of what is computed from these. */
  static of(first: Precision, second = first): Precision {
    if (first === second || second.#roots.length === 0) return new Precision(first.#roots);
    if (first.#roots.length === 0) return new Precision(second.#roots);
    return new Precision([...new Set([...first.#roots, ...second.#roots])]);
  }

  mark(): void {
    const pending: Precision[] = [this];
    for (let origin = pending.pop(); origin !== undefined; origin = pending.pop()) {
      if (origin.matters) continue;
      origin.matters = true;
      pending.push(...origin.#parts);
      origin.#parts = [];
    }
  }
}
