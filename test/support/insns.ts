/** Builds BPF instructions for all tests; program text goes through the assembler instead. */

export function insn(code: number, dst = 0, src = 0, off = 0, imm = 0): Buffer {
  const out = Buffer.alloc(8);
  out[0] = code;
  out[1] = dst | (src << 4);
  out.writeInt16LE(off, 2);
  out.writeInt32LE(imm | 0, 4);
  return out;
}

export const insnHex = (...fields: Parameters<typeof insn>): string =>
  insn(...fields).toString("hex");

/** Builds a ld_imm64, which occupies two instructions. */
export const wide = (dst: number, src: number, low: number, high: number): Buffer =>
  Buffer.concat([insn(0x18, dst, src, 0, low), insn(0, 0, 0, 0, high)]);

export const mov = (dst: number, imm: number): Buffer => insn(0xb7, dst, 0, 0, imm);
export const copy = (dst: number, src: number): Buffer => insn(0xbf, dst, src);
export const add = (dst: number, imm: number): Buffer => insn(0x07, dst, 0, 0, imm);
export const and = (dst: number, imm: number): Buffer => insn(0x57, dst, 0, 0, imm);
export const call = (helper: number): Buffer => insn(0x85, 0, 0, 0, helper);
export const EXIT = insn(0x95);

const LDX = [0x71, 0x69, 0, 0x61, 0, 0, 0, 0x79];
const ST = [0x72, 0x6a, 0, 0x62, 0, 0, 0, 0x7a];
const STX = [0x73, 0x6b, 0, 0x63, 0, 0, 0, 0x7b];

/** `size` is 1, 2, 4 or 8 bytes. */
export const load = (size: number, dst: number, src: number, off: number): Buffer =>
  insn(LDX[size - 1] as number, dst, src, off);
export const put = (size: number, dst: number, off: number, imm: number): Buffer =>
  insn(ST[size - 1] as number, dst, 0, off, imm);
export const store = (size: number, dst: number, off: number, src: number): Buffer =>
  insn(STX[size - 1] as number, dst, src, off);

/** This is the shortest valid program: r0 = 0; exit. */
export const RETURN_ZERO = Buffer.concat([mov(0, 0), EXIT]);
export const RETURN_ZERO_HEX = RETURN_ZERO.toString("hex");
