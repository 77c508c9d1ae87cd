// struct bpf_insn: decoding, and the opcodes Linux 6.18 has (bpf_opcode_in_insntable).

export interface Insn {
  readonly code: number;
  readonly dst: number;
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}

export const SIZE = 8;

export const LD = 0x00;
export const LDX = 0x01;
export const ST = 0x02;
export const STX = 0x03;
export const ALU = 0x04;
export const JMP = 0x05;
export const JMP32 = 0x06;
export const ALU64 = 0x07;

// The mode of a load or a store.
export const ABS = 0x20;
export const IND = 0x40;
export const MEM = 0x60;
export const MEMSX = 0x80;
export const ATOMIC = 0xc0;

// The operation of a jump.
export const JA = 0x00;
export const CALL = 0x80;
export const EXIT = 0x90;
export const JCOND = 0xe0;

// What src of a ld_imm64 makes of its imm.
export const PSEUDO_MAP_FD = 1;
export const PSEUDO_MAP_VALUE = 2;
export const PSEUDO_BTF_ID = 3;
export const PSEUDO_FUNC = 4;
export const PSEUDO_MAP_IDX = 5;
export const PSEUDO_MAP_IDX_VALUE = 6;

// What src of a call makes of its imm.
export const PSEUDO_CALL = 1;
export const PSEUDO_KFUNC_CALL = 2;

export const LD_IMM64 = 0x18;
export const TAIL_CALL = 12;

export const classOf = (insn: Insn): number => insn.code & 0x07;
export const opOf = (insn: Insn): number => insn.code & 0xf0;
export const modeOf = (insn: Insn): number => insn.code & 0xe0;
export const isX = (insn: Insn): boolean => (insn.code & 0x08) !== 0;
/** Index into tables ordered word, half, byte, double word. */
export const sizeOf = (insn: Insn): number => (insn.code & 0x18) >> 3;
const BYTES = [4, 2, 1, 8] as const;
export const bytesOf = (insn: Insn): number => BYTES[sizeOf(insn)] as number;

export const isJump = (insn: Insn): boolean => classOf(insn) === JMP || classOf(insn) === JMP32;
export const isCall = (insn: Insn): boolean => insn.code === (JMP | CALL);
export const isExit = (insn: Insn): boolean => insn.code === (JMP | EXIT);
export const isGoto = (insn: Insn): boolean => isJump(insn) && opOf(insn) === JA;
export const isPseudoCall = (insn: Insn): boolean => isCall(insn) && insn.src === PSEUDO_CALL;
export const isKfuncCall = (insn: Insn): boolean => isCall(insn) && insn.src === PSEUDO_KFUNC_CALL;
export const isHelperCall = (insn: Insn): boolean => isCall(insn) && insn.src === 0;
export const isPseudoFunc = (insn: Insn): boolean =>
  insn.code === LD_IMM64 && insn.src === PSEUDO_FUNC;
export const isSkbLoad = (insn: Insn): boolean =>
  classOf(insn) === LD && (modeOf(insn) === ABS || modeOf(insn) === IND);

/** Where a jump at `at` lands; 32-bit wrap-around as in the kernel's int. */
export function target(insn: Insn, at: number): number {
  return (at + 1 + (insn.code === (JMP32 | JA) ? insn.imm : insn.off)) | 0;
}

/** Where a pseudo call or pseudo func at `at` lands. */
export function callee(insn: Insn, at: number): number {
  return (at + 1 + insn.imm) | 0;
}

export function decode(insns: Buffer): Insn[] {
  const out: Insn[] = new Array(Math.floor(insns.length / SIZE));
  for (let i = 0; i < out.length; i++) {
    const at = i * SIZE;
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

const MEMORY = [
  [LD_IMM64, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50],
  [0x61, 0x69, 0x71, 0x79, 0x81, 0x89, 0x91],
  [0x62, 0x6a, 0x72, 0x7a],
  [0x63, 0x6b, 0x73, 0x7b, 0xc3, 0xcb, 0xd3, 0xdb],
];
const ARITHMETIC_K_ONLY = [0x84, 0x87, 0xd7];
const JUMP_K_ONLY = [0x05, 0x06, 0x85, 0x95, 0xe5];

function opcodes(): ReadonlySet<number> {
  const known = new Set([...MEMORY.flat(), ...ARITHMETIC_K_ONLY, ...JUMP_K_ONLY]);
  for (let op = 0x00; op <= 0xd0; op += 0x10) {
    for (const source of [0x00, 0x08]) {
      if (op !== 0x80 && op !== 0xd0) known.add(op | source | ALU).add(op | source | ALU64);
      if (op !== JA && op !== CALL && op !== EXIT)
        known.add(op | source | JMP).add(op | source | JMP32);
    }
  }
  return known.add(0xd4).add(0xdc);
}

const OPCODES = opcodes();

export const isKnown = (insn: Insn): boolean => OPCODES.has(insn.code);
