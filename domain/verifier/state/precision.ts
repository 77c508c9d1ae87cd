// What a number was computed from, so that one that turns out to matter makes those matter that it came
// from (mark_chain_precision of Linux, which walks the instructions back instead). Of a number that does
// not matter, any other can take the place when states are compared.

export class Precision {
  /** It decided a jump, an address or a size. */
  isPrecise = false;
  /** States were kept that hold it. */
  isInCheckpoint = false;
  #sources: readonly Precision[];

  constructor(parts: readonly Precision[] = []) {
    this.#sources = parts;
  }

  /** What is marked instead of it while no state holds it. */
  get #roots(): readonly Precision[] {
    if (this.isPrecise) return [];
    return this.isInCheckpoint ? [this] : this.#sources;
  }

  /** Of what is computed from these. */
  static derivedFrom(first: Precision, second = first): Precision {
    if (first === second || second.#roots.length === 0) return new Precision(first.#roots);
    if (first.#roots.length === 0) return new Precision(second.#roots);
    return new Precision([...new Set([...first.#roots, ...second.#roots])]);
  }

  markChainPrecision(): void {
    const pending: Precision[] = [this];
    for (let source = pending.pop(); source !== undefined; source = pending.pop()) {
      if (source.isPrecise) continue;
      source.isPrecise = true;
      pending.push(...source.#sources);
      source.#sources = [];
    }
  }
}
