/** Splits the bytes of a program into instructions. */

export interface ParsedInsn {
  code: number;
  dst: number;
  src: number;
  off: number;
  imm: number;
}

export class Text {
  readonly #view: DataView;
  readonly #count: number;

  constructor(code: Uint8Array) {
    this.#view = new DataView(code.buffer, code.byteOffset, code.byteLength);
    this.#count = code.length / 8;
  }

  insn(at: number): ParsedInsn {
    const view = this.#view;
    const regs = view.getUint8(8 * at + 1);
    return {
      code: view.getUint8(8 * at),
      dst: regs & 15,
      src: regs >> 4,
      off: view.getInt16(8 * at + 2, true),
      imm: view.getInt32(8 * at + 4, true),
    };
  }

  /** Lists the first instruction of each function in ascending order. */
  starts(): number[] {
    const starts = new Set([0]);
    for (let at = 0; at < this.#count; at++) {
      const { code, src, imm } = this.insn(at);
      if ((code === 0x85 && src === 1) || (code === 0x18 && src === 4)) starts.add(at + 1 + imm);
      if (code === 0x18) at++;
    }
    return [...starts].sort((a, b) => a - b);
  }
}
