import { malformed, tooBig } from "./object_errors.ts";

/**
 * A section of NUL-terminated strings. Names may overlap, so that a small file could name megabytes a
 * million times: all names together have a limit, and each is read once.
 */

const MAX_BYTES = 16 << 20;

export class StringTable {
  readonly #bytes: Buffer;
  readonly #what: string;
  readonly #strings = new Map<number, string>();
  #left = MAX_BYTES;

  /** @param what names the table in errors. */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** @throws EINVAL, E2BIG */
  at(offset: number): string {
    const known = this.#strings.get(offset);
    if (known !== undefined) return known;
    if (offset >= this.#bytes.length) throw this.#invalid(offset);
    const length = this.#bytes.subarray(offset, offset + this.#left + 1).indexOf(0);
    if (length < 0 && offset + this.#left >= this.#bytes.length) throw this.#invalid(offset);
    if (length < 0) throw tooBig(`${this.#what}: all names must have at most ${MAX_BYTES} bytes`);
    this.#left -= length;
    const text = this.#bytes.toString("latin1", offset, offset + length);
    this.#strings.set(offset, text);
    return text;
  }

  #invalid(offset: number): Error {
    return malformed(`${this.#what}: invalid string offset ${offset}`);
  }
}
