import { classOf, hasSrcReg, type Insn, opOf } from "../../isa/insn.ts";
import { BPF_JCOND, BPF_JMP, BPF_JSET } from "../../isa/opcodes.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import { MAY_GOTO_LEFT, pushLowHalf, pushRegister } from "./emit_context.ts";

/** Emits conditions of jumps: each leaves 1 on the stack when the jump is taken, else 0. */

/** The 64-bit comparison by op >> 4; the opcode of the 32-bit one is `NARROW` less. */
const COMPARE = new Uint8Array(16);
COMPARE.set([wasm.I64_EQ, wasm.I64_GT_U, wasm.I64_GE_U], 0x1);
COMPARE.set([wasm.I64_NE, wasm.I64_GT_S, wasm.I64_GE_S], 0x5);
COMPARE.set([wasm.I64_LT_U, wasm.I64_LE_U, wasm.I64_LT_S, wasm.I64_LE_S], 0xa);
const NARROW = wasm.I64_EQ - wasm.I32_EQ;

/** A may_goto falls through BPF_MAX_LOOPS times in all, then it is taken. */
function emitMayGoto(writer: WasmWriter): void {
  writer.localGet(MAY_GOTO_LEFT);
  writer.i32Const(1);
  writer.op(wasm.I32_SUB);
  writer.localTee(MAY_GOTO_LEFT);
  writer.i32Const(0);
  writer.op(wasm.I32_LT_S);
}

function emitCondition64(writer: WasmWriter, insn: Insn, op: number): void {
  pushRegister(writer, insn.dst);
  if (hasSrcReg(insn)) pushRegister(writer, insn.src);
  else writer.i64Const(insn.imm);
  if (op === BPF_JSET) {
    writer.op(wasm.I64_AND);
    writer.i64Const(0);
    writer.op(wasm.I64_NE);
  } else writer.op(COMPARE[op >> 4] as number);
}

function emitCondition32(writer: WasmWriter, insn: Insn, op: number): void {
  pushLowHalf(writer, insn.dst);
  if (hasSrcReg(insn)) pushLowHalf(writer, insn.src);
  else writer.i32Const(insn.imm);
  if (op === BPF_JSET) writer.op(wasm.I32_AND);
  else writer.op((COMPARE[op >> 4] as number) - NARROW);
}

export const isMayGoto = (insn: Insn): boolean => insn.code === (BPF_JMP | BPF_JCOND);

export function emitCondition(writer: WasmWriter, insn: Insn): void {
  const op = opOf(insn);
  if (isMayGoto(insn)) emitMayGoto(writer);
  else if (classOf(insn) === BPF_JMP) emitCondition64(writer, insn, op);
  else emitCondition32(writer, insn, op);
}
