import * as wasm from "./wasm.ts";

/** Writes the bytes of a module into a buffer that grows. */

/** Bytes of a padded LEB128 number, which is written before its value is known. */
const SIZE_BYTES = 5;

export class WasmWriter {
  bytes: Uint8Array<ArrayBuffer>;
  offset = 0;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
  }

  /** Makes room for `bytes` more bytes, so that the other methods need no check. */
  reserve(bytes: number): void {
    if (this.offset + bytes <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.offset + bytes));
    larger.set(this.bytes.subarray(0, this.offset));
    this.bytes = larger;
  }

  op(byte: number): void {
    this.bytes[this.offset++] = byte;
  }

  u32(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.offset++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.offset++] = rest;
  }

  #signed(value: number): void {
    let rest = value;
    while (rest < -64 || rest > 63) {
      this.bytes[this.offset++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    this.bytes[this.offset++] = rest & 0x7f;
  }

  i32Const(value: number): void {
    this.bytes[this.offset++] = wasm.I32_CONST;
    this.#signed(value);
  }

  /** Writes a 64-bit constant that is a sign-extended 32-bit number. */
  i64Const(value: number): void {
    this.bytes[this.offset++] = wasm.I64_CONST;
    this.#signed(value);
  }

  /** Writes a 64-bit constant given by its halves. */
  i64Halves(low: number, high: number): void {
    this.bytes[this.offset++] = wasm.I64_CONST;
    let [lo, hi] = [low, high];
    while (hi !== lo >> 31 || lo < -64 || lo > 63) {
      this.bytes[this.offset++] = (lo & 0x7f) | 0x80;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
    }
    this.bytes[this.offset++] = lo & 0x7f;
  }

  localGet(local: number): void {
    this.bytes[this.offset++] = wasm.LOCAL_GET;
    this.bytes[this.offset++] = local;
  }

  localSet(local: number): void {
    this.bytes[this.offset++] = wasm.LOCAL_SET;
    this.bytes[this.offset++] = local;
  }

  localTee(local: number): void {
    this.bytes[this.offset++] = wasm.LOCAL_TEE;
    this.bytes[this.offset++] = local;
  }

  /** Writes an instruction with one index: a branch, a call or an access to a global. */
  opWithIndex(op: number, index: number): void {
    this.bytes[this.offset++] = op;
    this.u32(index);
  }

  /** Writes a load or a store of any alignment. */
  memory(op: number, offset: number): void {
    this.bytes[this.offset++] = op;
    this.bytes[this.offset++] = 0;
    this.u32(offset);
  }

  /** Writes a block, loop or if that leaves nothing or one number. */
  openBlock(op: number, type: number = wasm.VOID): void {
    this.bytes[this.offset++] = op;
    this.bytes[this.offset++] = type;
  }

  /** Writes a trap for when the top of the stack is not 0. */
  trapIf(): void {
    this.openBlock(wasm.IF);
    this.bytes[this.offset++] = wasm.UNREACHABLE;
    this.bytes[this.offset++] = wasm.END;
  }

  name(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[this.offset++] = text.charCodeAt(i);
  }

  /** Reserves bytes for the size of what follows up to `endSized`. */
  beginSized(): number {
    this.offset += SIZE_BYTES;
    return this.offset;
  }

  /** Writes the size into the reserved bytes and returns it. */
  endSized(begun: number): number {
    const length = this.offset - begun;
    for (let i = 0; i < SIZE_BYTES; i++) {
      const more = i < SIZE_BYTES - 1 ? 0x80 : 0;
      this.bytes[begun - SIZE_BYTES + i] = ((length >>> (7 * i)) & 0x7f) | more;
    }
    return length;
  }
}
