// The bytes of a module as they grow.

import * as wasm from "./wasm.ts";

/** Bytes of a LEB128 number that is written before its value is known. */
const PADDED = 5;

export class WasmWriter {
  bytes: Uint8Array<ArrayBuffer>;
  at = 0;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes);
  }

  /** All that is written next, up to `bytes`, needs no further look at the size. */
  room(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.at + bytes));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
  }

  op(byte: number): void {
    this.bytes[this.at++] = byte;
  }

  u32(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.at++] = rest;
  }

  #signed(value: number): void {
    let rest = value;
    while (rest < -64 || rest > 63) {
      this.bytes[this.at++] = (rest & 0x7f) | 0x80;
      rest >>= 7;
    }
    this.bytes[this.at++] = rest & 0x7f;
  }

  i32(value: number): void {
    this.bytes[this.at++] = wasm.I32_CONST;
    this.#signed(value);
  }

  /** A constant that fits in 32 bits, sign-extended. */
  i64(value: number): void {
    this.bytes[this.at++] = wasm.I64_CONST;
    this.#signed(value);
  }

  /** A constant by its halves. */
  wide(low: number, high: number): void {
    this.bytes[this.at++] = wasm.I64_CONST;
    let [lo, hi] = [low, high];
    while (hi !== lo >> 31 || lo < -64 || lo > 63) {
      this.bytes[this.at++] = (lo & 0x7f) | 0x80;
      lo = (lo >>> 7) | (hi << 25);
      hi >>= 7;
    }
    this.bytes[this.at++] = lo & 0x7f;
  }

  get(local: number): void {
    this.bytes[this.at++] = wasm.LOCAL_GET;
    this.bytes[this.at++] = local;
  }

  set(local: number): void {
    this.bytes[this.at++] = wasm.LOCAL_SET;
    this.bytes[this.at++] = local;
  }

  tee(local: number): void {
    this.bytes[this.at++] = wasm.LOCAL_TEE;
    this.bytes[this.at++] = local;
  }

  /** An instruction with one index: a branch, a call, a global. */
  with(op: number, index: number): void {
    this.bytes[this.at++] = op;
    this.u32(index);
  }

  /** A load or a store, of any alignment. */
  memory(op: number, offset: number): void {
    this.bytes[this.at++] = op;
    this.bytes[this.at++] = 0;
    this.u32(offset);
  }

  /** block, loop or if, leaving nothing or a number. */
  open(op: number, type: number = wasm.VOID): void {
    this.bytes[this.at++] = op;
    this.bytes[this.at++] = type;
  }

  /** Traps when what is on the stack is not 0. */
  trapIf(): void {
    this.open(wasm.IF);
    this.bytes[this.at++] = wasm.UNREACHABLE;
    this.bytes[this.at++] = wasm.END;
  }

  name(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.bytes[this.at++] = text.charCodeAt(i);
  }

  /** Leaves place for the length of what follows up to `close`. */
  begin(): number {
    this.at += PADDED;
    return this.at;
  }

  /** Returns the length. */
  close(begun: number): number {
    const length = this.at - begun;
    for (let i = 0; i < PADDED; i++) {
      const more = i < PADDED - 1 ? 0x80 : 0;
      this.bytes[begun - PADDED + i] = ((length >>> (7 * i)) & 0x7f) | more;
    }
    return length;
  }
}
