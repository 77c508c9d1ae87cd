/** Encodes the subset of MessagePack that arguments of the Lua need; cmsgpack.unpack() decodes it. */

export type Packed = number | string | boolean | Uint8Array | readonly Packed[];

const FIX_ARRAY = 0x90;
const ARRAY_32 = 0xdd;
const STR_32 = 0xdb;
const DOUBLE = 0xcb;
const TRUE = 0xc3;

class Writer {
  #bytes = Buffer.allocUnsafe(1024);
  #length = 0;

  /** Reserves `count` bytes and returns where they start. */
  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(2 * this.#length);
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return at;
  }

  #head(code: number, count: number): void {
    const at = this.#reserve(5);
    this.#bytes[at] = code;
    this.#bytes.writeUInt32BE(count, at + 1);
  }

  #number(value: number): void {
    if (Number.isInteger(value) && value >= 0 && value < 128) {
      const at = this.#reserve(1);
      this.#bytes[at] = value;
      return;
    }
    const at = this.#reserve(9);
    this.#bytes[at] = DOUBLE;
    this.#bytes.writeDoubleBE(value, at + 1);
  }

  #array(items: readonly Packed[]): void {
    if (items.length < 16) {
      const at = this.#reserve(1);
      this.#bytes[at] = FIX_ARRAY | items.length;
    } else this.#head(ARRAY_32, items.length);
    for (const item of items) this.add(item);
  }

  add(value: Packed): void {
    if (typeof value === "number") this.#number(value);
    else if (typeof value === "boolean") {
      const at = this.#reserve(1);
      this.#bytes[at] = value ? TRUE : TRUE - 1;
    } else if (Array.isArray(value)) this.#array(value);
    else {
      const bytes = typeof value === "string" ? Buffer.from(value) : (value as Uint8Array);
      this.#head(STR_32, bytes.length);
      const at = this.#reserve(bytes.length);
      this.#bytes.set(bytes, at);
    }
  }

  done(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Lua receives strings and bytes as strings, and every number as a double. */
export function pack(value: Packed): Buffer {
  const writer = new Writer();
  writer.add(value);
  return writer.done();
}
