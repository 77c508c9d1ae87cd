/**
 * mark_chain_precision() of Linux: when a number turns out to be precise, so do the numbers that it
 * was computed from. Linux walks the instructions back; here each number keeps its sources. States
 * may differ in numbers that are not precise.
 */

export class Precision {
  /** It decided a jump, an address or a size. */
  isPrecise = false;
  /** A checkpoint holds it. */
  isInCheckpoint = false;
  #sources: readonly Precision[];

  constructor(parts: readonly Precision[] = []) {
    this.#sources = parts;
  }

  /** The numbers to mark instead of it while no checkpoint holds it. */
  get #roots(): readonly Precision[] {
    if (this.isPrecise) return [];
    return this.isInCheckpoint ? [this] : this.#sources;
  }

  /** The precision of a number that is computed from these. */
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
