// The constants a program computes on its way: just enough to see which way a jump must go.
// A value is known or it is not; a known one is exact, so what it decides Linux explores too.

import type { Insn } from "./insn.ts";
import * as bpf from "./insn.ts";

/** R0 to R9, unsigned 64-bit; undefined where the value is not known. */
export type Registers = (bigint | undefined)[];

const OPERATIONS: Readonly<Record<number, (a: bigint, b: bigint, bits: bigint) => bigint>> = {
  0: (a, b) => a + b,
  16: (a, b) => a - b,
  32: (a, b) => a * b,
  64: (a, b) => a | b,
  80: (a, b) => a & b,
  96: (a, b, bits) => a << (b % bits),
  112: (a, b, bits) => a >> (b % bits),
  160: (a, b) => a ^ b,
  176: (_, b) => b,
};

const COMPARISONS: Readonly<Record<number, (a: bigint, b: bigint, bits: number) => boolean>> = {
  16: (a, b) => a === b,
  32: (a, b) => a > b,
  48: (a, b) => a >= b,
  64: (a, b) => (a & b) !== 0n,
  80: (a, b) => a !== b,
  96: (a, b, bits) => BigInt.asIntN(bits, a) > BigInt.asIntN(bits, b),
  112: (a, b, bits) => BigInt.asIntN(bits, a) >= BigInt.asIntN(bits, b),
  160: (a, b) => a < b,
  176: (a, b) => a <= b,
  192: (a, b, bits) => BigInt.asIntN(bits, a) < BigInt.asIntN(bits, b),
  208: (a, b, bits) => BigInt.asIntN(bits, a) <= BigInt.asIntN(bits, b),
};

function operand(insn: Insn, registers: Registers, bits: number): bigint | undefined {
  const value = bpf.isX(insn) ? registers[insn.src] : BigInt(insn.imm);
  return value === undefined ? undefined : BigInt.asUintN(bits, value);
}

function alu(insn: Insn, registers: Registers): bigint | undefined {
  const bits = bpf.classOf(insn) === bpf.ALU64 ? 64 : 32;
  const operation = OPERATIONS[bpf.opOf(insn)];
  const isMov = bpf.opOf(insn) === 0xb0;
  const a = isMov ? 0n : registers[insn.dst];
  const b = operand(insn, registers, bits);
  if (operation === undefined || a === undefined || b === undefined || insn.off !== 0) return;
  return BigInt.asUintN(bits, operation(BigInt.asUintN(bits, a), b, BigInt(bits)));
}

/** After a call R0 is the answer and R1 to R5 are gone. */
export function clobber(registers: Registers, answer?: bigint): Registers {
  return [answer, undefined, undefined, undefined, undefined, undefined, ...registers.slice(6)];
}

/** The registers after an instruction that is no jump. */
export function advance(insn: Insn, next: Insn | undefined, before: Registers): Registers {
  const registers = before.slice();
  const kind = bpf.classOf(insn);
  if (bpf.isCall(insn) || bpf.isSkbLoad(insn)) return clobber(registers);
  if (kind === bpf.ALU || kind === bpf.ALU64) registers[insn.dst] = alu(insn, registers);
  if (kind === bpf.LDX) registers[insn.dst] = undefined;
  if (kind === bpf.STX && bpf.modeOf(insn) === bpf.ATOMIC) {
    for (const reg of [0, insn.src, insn.dst]) registers[reg] = undefined;
  }
  if (insn.code === bpf.LD_IMM64) {
    const value = (BigInt((next?.imm ?? 0) >>> 0) << 32n) | BigInt(insn.imm >>> 0);
    registers[insn.dst] = insn.src === 0 ? value : undefined;
  }
  return registers;
}

/** Whether a conditional jump is taken; undefined when that depends on something unknown. */
export function taken(insn: Insn, registers: Registers): boolean | undefined {
  const bits = bpf.classOf(insn) === bpf.JMP32 ? 32 : 64;
  const compare = COMPARISONS[bpf.opOf(insn)];
  const a = registers[insn.dst];
  const b = operand(insn, registers, bits);
  if (compare === undefined || a === undefined || b === undefined) return undefined;
  return compare(BigInt.asUintN(bits, a), b, bits);
}
