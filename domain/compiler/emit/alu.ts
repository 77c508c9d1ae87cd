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
import { popRegister, pushLowHalf, pushRegister } from "./emit_context.ts";

/** Emits arithmetic. A 32-bit operation clears the upper half of its destination. */

interface Width {
  /** Opcodes of the operations that are one wasm instruction, by op >> 4; 0 for others. */
  readonly simpleOps: Uint8Array;
  readonly type: number;
  readonly pushRegister: (writer: WasmWriter, reg: number) => void;
  readonly pushConstant: (writer: WasmWriter, value: number) => void;
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

function listSimpleOps(
  add: number,
  sub: number,
  mul: number,
  and: number,
  shl: number,
): Uint8Array {
  const ops = new Uint8Array(16);
  ops.set([add, sub, mul, 0, and + 1, and, shl, shl + 2], BPF_ADD >> 4);
  ops[0xa] = and + 2;
  ops[0xc] = shl + 1;
  return ops;
}

const WIDE: Width = {
  simpleOps: listSimpleOps(wasm.I64_ADD, wasm.I64_SUB, wasm.I64_MUL, wasm.I64_AND, wasm.I64_SHL),
  type: wasm.I64,
  pushRegister: pushRegister,
  pushConstant: (writer, value) => writer.i64Const(value),
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
  simpleOps: listSimpleOps(wasm.I32_ADD, wasm.I32_SUB, wasm.I32_MUL, wasm.I32_AND, wasm.I32_SHL),
  type: wasm.I32,
  pushRegister: pushLowHalf,
  pushConstant: (writer, value) => writer.i32Const(value),
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

function pushOperand(writer: WasmWriter, w: Width, insn: Insn): void {
  if (hasSrcReg(insn)) w.pushRegister(writer, insn.src);
  else w.pushConstant(writer, insn.imm);
}

/**
 * Emits a division whose divisor may be 0 or -1, for which WebAssembly traps but BPF defines a
 * result.
 */
function emitCheckedDivision(writer: WasmWriter, w: Width, insn: Insn): void {
  const signed = insn.off === 1 ? 1 : 0;
  const rem = opOf(insn) === BPF_MOD;
  if (signed === 1 && !rem) {
    // For the divisors -1 and 0 the quotient equals the product.
    pushOperand(writer, w, insn);
    w.pushConstant(writer, 1);
    writer.op(w.add);
    w.pushConstant(writer, 1);
    writer.op(w.le_u);
  } else {
    pushOperand(writer, w, insn);
    writer.op(w.eqz);
  }
  writer.openBlock(wasm.IF, w.type);
  if (rem) w.pushRegister(writer, insn.dst);
  else if (signed === 0) w.pushConstant(writer, 0);
  else emitProduct(writer, w, insn);
  writer.op(wasm.ELSE);
  w.pushRegister(writer, insn.dst);
  pushOperand(writer, w, insn);
  writer.op((rem ? w.rem : w.div)[signed]);
  writer.op(wasm.END);
}

function emitProduct(writer: WasmWriter, w: Width, insn: Insn): void {
  w.pushRegister(writer, insn.dst);
  pushOperand(writer, w, insn);
  writer.op(w.mul);
}

function emitDivision(writer: WasmWriter, w: Width, insn: Insn): void {
  if (hasSrcReg(insn) || insn.imm === 0 || insn.imm === -1) emitCheckedDivision(writer, w, insn);
  else {
    w.pushRegister(writer, insn.dst);
    w.pushConstant(writer, insn.imm);
    writer.op((opOf(insn) === BPF_MOD ? w.rem : w.div)[insn.off === 1 ? 1 : 0]);
  }
}

/** Emits MOV, or MOVSX when `off` gives a width. */
function emitMove(writer: WasmWriter, w: Width, insn: Insn): void {
  pushOperand(writer, w, insn);
  if (!hasSrcReg(insn) || insn.off === 0) return;
  if (insn.off === 8) writer.op(w.extend8);
  else if (insn.off === 16) writer.op(w.extend16);
  else writer.op(wasm.I64_EXTEND32_S);
}

/** Leaves the result of an operation that one wasm instruction computes. */
function emitSimpleOp(writer: WasmWriter, w: Width, insn: Insn, op: number): void {
  if (op === BPF_NEG) {
    w.pushConstant(writer, 0);
    w.pushRegister(writer, insn.dst);
    writer.op(w.sub);
  } else {
    w.pushRegister(writer, insn.dst);
    pushOperand(writer, w, insn);
    writer.op(w.simpleOps[op >> 4] as number);
  }
}

/** Emits an instruction of class ALU or ALU64 whose opcode is known. */
export function emitAlu(writer: WasmWriter, insn: Insn): void {
  const w = classOf(insn) === BPF_ALU64 ? WIDE : NARROW;
  const op = opOf(insn);
  if (op === BPF_END) emitEndian(writer, insn);
  else {
    if (op === BPF_DIV || op === BPF_MOD) emitDivision(writer, w, insn);
    else if (op === BPF_MOV) emitMove(writer, w, insn);
    else emitSimpleOp(writer, w, insn, op);
    if (w === NARROW) writer.op(wasm.I64_EXTEND_I32_U);
  }
  popRegister(writer, insn.dst);
}

/** Swaps neighbouring fields of `bits` bits; the mask `low` selects every second field. */
function swapNeighbours(writer: WasmWriter, reg: number, bits: number, low: number): void {
  pushRegister(writer, reg);
  writer.i64Halves(low, low);
  writer.op(wasm.I64_AND);
  writer.i64Const(bits);
  writer.op(wasm.I64_SHL);
  pushRegister(writer, reg);
  writer.i64Const(bits);
  writer.op(wasm.I64_SHR_U);
  writer.i64Halves(low, low);
  writer.op(wasm.I64_AND);
  writer.op(wasm.I64_OR);
}

function emitByteSwap(writer: WasmWriter, reg: number, bits: number): void {
  swapNeighbours(writer, reg, 8, 0x00ff00ff);
  if (bits > 16) {
    popRegister(writer, reg);
    swapNeighbours(writer, reg, 16, 0x0000ffff);
  }
  if (bits > 32) {
    writer.i64Const(32);
    writer.op(wasm.I64_ROTL);
  }
}

/** Leaves le, be or bswap of the low 16, 32 or 64 bits and clears the rest. */
function emitEndian(writer: WasmWriter, insn: Insn): void {
  const { dst, imm } = insn;
  if (imm !== 16 && imm !== 32 && imm !== 64) writer.op(wasm.UNREACHABLE);
  if (classOf(insn) === BPF_ALU64 || hasSrcReg(insn)) emitByteSwap(writer, dst, imm);
  else pushRegister(writer, dst);
  if (imm === 64) return;
  writer.i64Halves(imm === 16 ? 0xffff : -1, 0);
  writer.op(wasm.I64_AND);
}
