/** Maps offsets in a module to instructions, so that a trap can name its instruction. */
export class SourceMap {
  #pairs = new Uint32Array(256);
  #used = 0;

  /** Records that the bytes from `offset` on belong to instruction `at`. */
  mark(offset: number, at: number): void {
    if (this.#used + 2 > this.#pairs.length) {
      const larger = new Uint32Array(this.#pairs.length * 2);
      larger.set(this.#pairs);
      this.#pairs = larger;
    }
    this.#pairs[this.#used++] = offset;
    this.#pairs[this.#used++] = at;
  }

  /** Returns pairs of an offset and an instruction, by ascending offset. */
  table(): Uint32Array {
    return this.#pairs.slice(0, this.#used);
  }
}
