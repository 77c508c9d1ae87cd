/** Which instruction the bytes of a module are of, so that a trap's place can be told. */
export class SourceMap {
  #pairs = new Uint32Array(256);
  #used = 0;

  /** What is written from `offset` on is of the instruction `at`. */
  mark(offset: number, at: number): void {
    if (this.#used + 2 > this.#pairs.length) {
      const larger = new Uint32Array(this.#pairs.length * 2);
      larger.set(this.#pairs);
      this.#pairs = larger;
    }
    this.#pairs[this.#used++] = offset;
    this.#pairs[this.#used++] = at;
  }

  /** Offsets, ascending, and instructions, by turns. */
  table(): Uint32Array {
    return this.#pairs.slice(0, this.#used);
  }
}
