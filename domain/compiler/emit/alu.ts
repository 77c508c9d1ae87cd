// Arithmetic. A 32-bit operation clears the upper half of what it writes.

import { classOf, hasSrcReg, type Insn, opOf } from "../../isa/insn.ts";
import {
  BPF_ADD,
  BPF_ALU64,
  BPF_DIV,
  BPF_END,
  BPF_MOD,
  BPF_MOV,
  BPF_NEG,
} from "../../isa/opcodes.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import { assign, half, register } from "./emit_context.ts";

interface Width {
  /** Of the plain operations, by op >> 4; 0: not one. */
  readonly plain: Uint8Array;
  readonly type: number;
  readonly get: (code: WasmWriter, reg: number) => void;
  readonly constant: (code: WasmWriter, value: number) => void;
  readonly eqz: number;
  readonly le_u: number;
  readonly extend8: number;
  readonly extend16: number;
  readonly add: number;
  readonly sub: number;
  readonly mul: number;
  readonly div: readonly [unsigned: number, signed: number];
  readonly rem: readonly [unsigned: number, signed: number];
}

function plain(add: number, sub: number, mul: number, and: number, shl: number): Uint8Array {
  const ops = new Uint8Array(16);
  ops.set([add, sub, mul, 0, and + 1, and, shl, shl + 2], BPF_ADD >> 4);
  ops[0xa] = and + 2;
  ops[0xc] = shl + 1;
  return ops;
}

const WIDE: Width = {
  plain: plain(wasm.I64_ADD, wasm.I64_SUB, wasm.I64_MUL, wasm.I64_AND, wasm.I64_SHL),
  type: wasm.I64,
  get: register,
  constant: (code, value) => code.i64(value),
  eqz: wasm.I64_EQZ,
  le_u: wasm.I64_LE_U,
  extend8: wasm.I64_EXTEND8_S,
  extend16: wasm.I64_EXTEND16_S,
  add: wasm.I64_ADD,
  sub: wasm.I64_SUB,
  mul: wasm.I64_MUL,
  div: [wasm.I64_DIV_U, wasm.I64_DIV_S],
  rem: [wasm.I64_REM_U, wasm.I64_REM_S],
};

const NARROW: Width = {
  plain: plain(wasm.I32_ADD, wasm.I32_SUB, wasm.I32_MUL, wasm.I32_AND, wasm.I32_SHL),
  type: wasm.I32,
  get: half,
  constant: (code, value) => code.i32(value),
  eqz: wasm.I32_EQZ,
  le_u: wasm.I32_LE_U,
  extend8: wasm.I32_EXTEND8_S,
  extend16: wasm.I32_EXTEND16_S,
  add: wasm.I32_ADD,
  sub: wasm.I32_SUB,
  mul: wasm.I32_MUL,
  div: [wasm.I32_DIV_U, wasm.I32_DIV_S],
  rem: [wasm.I32_REM_U, wasm.I32_REM_S],
};

function operand(code: WasmWriter, w: Width, insn: Insn): void {
  if (hasSrcReg(insn)) w.get(code, insn.src);
  else w.constant(code, insn.imm);
}

/** By 0: x / 0 = 0, x % 0 = x; the least number by -1: itself, and 0. WebAssembly would trap. */
function divide(code: WasmWriter, w: Width, insn: Insn): void {
  const signed = insn.off === 1 ? 1 : 0;
  const rem = opOf(insn) === BPF_MOD;
  if (signed === 1 && !rem) {
    // -1 and 0 are the divisors for which a product is the answer.
    operand(code, w, insn);
    w.constant(code, 1);
    code.op(w.add);
    w.constant(code, 1);
    code.op(w.le_u);
  } else {
    operand(code, w, insn);
    code.op(w.eqz);
  }
  code.open(wasm.IF, w.type);
  if (rem) w.get(code, insn.dst);
  else if (signed === 0) w.constant(code, 0);
  else product(code, w, insn);
  code.op(wasm.ELSE);
  w.get(code, insn.dst);
  operand(code, w, insn);
  code.op((rem ? w.rem : w.div)[signed]);
  code.op(wasm.END);
}

function product(code: WasmWriter, w: Width, insn: Insn): void {
  w.get(code, insn.dst);
  operand(code, w, insn);
  code.op(w.mul);
}

function quotient(code: WasmWriter, w: Width, insn: Insn): void {
  if (hasSrcReg(insn) || insn.imm === 0 || insn.imm === -1) divide(code, w, insn);
  else {
    w.get(code, insn.dst);
    w.constant(code, insn.imm);
    code.op((opOf(insn) === BPF_MOD ? w.rem : w.div)[insn.off === 1 ? 1 : 0]);
  }
}

/** MOV, and MOVSX by its off. */
function move(code: WasmWriter, w: Width, insn: Insn): void {
  operand(code, w, insn);
  if (!hasSrcReg(insn) || insn.off === 0) return;
  if (insn.off === 8) code.op(w.extend8);
  else if (insn.off === 16) code.op(w.extend16);
  else code.op(wasm.I64_EXTEND32_S);
}

/** Leaves the result of an operation that depends on nothing but op, dst and operand. */
function result(code: WasmWriter, w: Width, insn: Insn, op: number): void {
  if (op === BPF_NEG) {
    w.constant(code, 0);
    w.get(code, insn.dst);
    code.op(w.sub);
  } else {
    w.get(code, insn.dst);
    operand(code, w, insn);
    code.op(w.plain[op >> 4] as number);
  }
}

/** Writes an instruction of a known code in class ALU or ALU64. */
export function alu(code: WasmWriter, insn: Insn): void {
  const w = classOf(insn) === BPF_ALU64 ? WIDE : NARROW;
  const op = opOf(insn);
  if (op === BPF_END) reorder(code, insn);
  else {
    if (op === BPF_DIV || op === BPF_MOD) quotient(code, w, insn);
    else if (op === BPF_MOV) move(code, w, insn);
    else result(code, w, insn, op);
    if (w === NARROW) code.op(wasm.I64_EXTEND_I32_U);
  }
  assign(code, insn.dst);
}

/** Exchanges neighbours of `bits` bits; `low` has ones in each second of them. */
function exchange(code: WasmWriter, reg: number, bits: number, low: number): void {
  register(code, reg);
  code.wide(low, low);
  code.op(wasm.I64_AND);
  code.i64(bits);
  code.op(wasm.I64_SHL);
  register(code, reg);
  code.i64(bits);
  code.op(wasm.I64_SHR_U);
  code.wide(low, low);
  code.op(wasm.I64_AND);
  code.op(wasm.I64_OR);
}

function swap(code: WasmWriter, reg: number, bits: number): void {
  exchange(code, reg, 8, 0x00ff00ff);
  if (bits > 16) {
    assign(code, reg);
    exchange(code, reg, 16, 0x0000ffff);
  }
  if (bits > 32) {
    code.i64(32);
    code.op(wasm.I64_ROTL);
  }
}

/** Leaves le, be or bswap of the low 16, 32 or 64 bits; the rest is cleared. */
function reorder(code: WasmWriter, insn: Insn): void {
  const { dst, imm } = insn;
  if (imm !== 16 && imm !== 32 && imm !== 64) code.op(wasm.UNREACHABLE);
  if (classOf(insn) === BPF_ALU64 || hasSrcReg(insn)) swap(code, dst, imm);
  else register(code, dst);
  if (imm === 64) return;
  code.wide(imm === 16 ? 0xffff : -1, 0);
  code.op(wasm.I64_AND);
}
