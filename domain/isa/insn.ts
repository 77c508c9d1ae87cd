import { toBuffer } from "../bytes.ts";
import {
  BPF_ABS,
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_B,
  BPF_CALL,
  BPF_DW,
  BPF_END,
  BPF_EXIT,
  BPF_H,
  BPF_IND,
  BPF_JA,
  BPF_JCOND,
  BPF_JMP,
  BPF_JMP32,
  BPF_K,
  BPF_LD,
  BPF_LDX,
  BPF_MEM,
  BPF_MEMSX,
  BPF_NEG,
  BPF_PSEUDO_CALL,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_ST,
  BPF_STX,
  BPF_W,
  BPF_X,
  LD_IMM64,
} from "./opcodes.ts";

/** Decodes struct bpf_insn and names its parts; knows the opcodes of Linux 6.18. */

export interface Insn {
  readonly code: number;
  readonly dst: number;
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}

/** sizeof(struct bpf_insn) */
export const INSN_SIZE = 8;

export const classOf = (insn: Insn): number => insn.code & 0x07;
export const opOf = (insn: Insn): number => insn.code & 0xf0;
export const modeOf = (insn: Insn): number => insn.code & 0xe0;
/** The second operand is a register, not imm. */
export const hasSrcReg = (insn: Insn): boolean => (insn.code & BPF_X) !== 0;
/** Index into tables ordered word, half, byte, double word. */
export const sizeIndex = (insn: Insn): number => (insn.code & BPF_DW) >> 3;
const BYTES = [4, 2, 1, 8] as const;
/** Bytes that a load or a store accesses. */
export const bytesOf = (insn: Insn): number => BYTES[sizeIndex(insn)] as number;

export const isAlu = (insn: Insn): boolean =>
  classOf(insn) === BPF_ALU || classOf(insn) === BPF_ALU64;
export const isJump = (insn: Insn): boolean =>
  classOf(insn) === BPF_JMP || classOf(insn) === BPF_JMP32;
export const isCall = (insn: Insn): boolean => insn.code === (BPF_JMP | BPF_CALL);
export const isExit = (insn: Insn): boolean => insn.code === (BPF_JMP | BPF_EXIT);
export const isGoto = (insn: Insn): boolean => isJump(insn) && opOf(insn) === BPF_JA;
export const isMayGoto = (insn: Insn): boolean => insn.code === (BPF_JMP | BPF_JCOND);
export const isPseudoCall = (insn: Insn): boolean => isCall(insn) && insn.src === BPF_PSEUDO_CALL;
export const isKfuncCall = (insn: Insn): boolean =>
  isCall(insn) && insn.src === BPF_PSEUDO_KFUNC_CALL;
export const isHelperCall = (insn: Insn): boolean => isCall(insn) && insn.src === 0;
export const isPseudoFunc = (insn: Insn): boolean =>
  insn.code === LD_IMM64 && insn.src === BPF_PSEUDO_FUNC;
export const isAtomic = (insn: Insn): boolean =>
  classOf(insn) === BPF_STX && modeOf(insn) === BPF_ATOMIC;
/** LD_ABS or LD_IND. */
export const isSkbLoad = (insn: Insn): boolean =>
  classOf(insn) === BPF_LD && (modeOf(insn) === BPF_ABS || modeOf(insn) === BPF_IND);

/** The index of the target of a jump at `at`; wraps around at 32 bits as the kernel's int does. */
export function jumpTarget(insn: Insn, at: number): number {
  return (at + 1 + (insn.code === (BPF_JMP32 | BPF_JA) ? insn.imm : insn.off)) | 0;
}

/** The index of the first instruction of the function that a pseudo call or pseudo func names. */
export function calleeOf(insn: Insn, at: number): number {
  return (at + 1 + insn.imm) | 0;
}

export function decode(bytes: Uint8Array): Insn[] {
  const insns = toBuffer(bytes);
  const out: Insn[] = new Array(Math.floor(insns.length / INSN_SIZE));
  for (let i = 0; i < out.length; i++) {
    const at = i * INSN_SIZE;
    const regs = insns.readUInt8(at + 1);
    out[i] = {
      code: insns.readUInt8(at),
      dst: regs & 0x0f,
      src: regs >> 4,
      off: insns.readInt16LE(at + 2),
      imm: insns.readInt32LE(at + 4),
    };
  }
  return out;
}

const SIZES = [BPF_W, BPF_H, BPF_B, BPF_DW];
const NARROW_SIZES = [BPF_W, BPF_H, BPF_B];
const sized = (code: number, sizes: readonly number[] = SIZES): number[] =>
  sizes.map((size) => code | size);

const LOADS_AND_STORES = [
  LD_IMM64,
  ...sized(BPF_LD | BPF_ABS, NARROW_SIZES),
  ...sized(BPF_LD | BPF_IND, NARROW_SIZES),
  ...sized(BPF_LDX | BPF_MEM),
  ...sized(BPF_LDX | BPF_MEMSX, NARROW_SIZES),
  ...sized(BPF_ST | BPF_MEM),
  ...sized(BPF_STX | BPF_MEM),
  ...sized(BPF_STX | BPF_ATOMIC),
];
/** Operations without a source operand. */
const UNARY = [
  BPF_ALU | BPF_NEG,
  BPF_ALU64 | BPF_NEG,
  BPF_ALU | BPF_END,
  BPF_ALU | BPF_END | BPF_X,
  BPF_ALU64 | BPF_END,
];
const JUMPS = [
  BPF_JMP | BPF_JA,
  BPF_JMP32 | BPF_JA,
  BPF_JMP | BPF_CALL,
  BPF_JMP | BPF_EXIT,
  BPF_JMP | BPF_JCOND,
];

function opcodes(): ReadonlySet<number> {
  const known = new Set([...LOADS_AND_STORES, ...UNARY, ...JUMPS]);
  for (let op = 0x00; op <= 0xd0; op += 0x10) {
    for (const source of [BPF_K, BPF_X]) {
      if (op !== BPF_NEG && op !== BPF_END)
        known.add(op | source | BPF_ALU).add(op | source | BPF_ALU64);
      if (op !== BPF_JA && op !== BPF_CALL && op !== BPF_EXIT)
        known.add(op | source | BPF_JMP).add(op | source | BPF_JMP32);
    }
  }
  return known;
}

const OPCODES = opcodes();

/** bpf_opcode_in_insntable() */
export const isKnown = (insn: Insn): boolean => OPCODES.has(insn.code);
