// Conditions of jumps: each leaves 1 on the stack when the jump is taken, else 0.

import { classOf, hasSrcReg, type Insn, opOf } from "../../isa/insn.ts";
import { BPF_JCOND, BPF_JMP, BPF_JSET } from "../../isa/opcodes.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import { half, register, TURNS } from "./emit_context.ts";

/** The comparison of 64 bits by op >> 4; that of 32 bits is `NARROW` less. */
const COMPARE = new Uint8Array(16);
COMPARE.set([wasm.I64_EQ, wasm.I64_GT_U, wasm.I64_GE_U], 0x1);
COMPARE.set([wasm.I64_NE, wasm.I64_GT_S, wasm.I64_GE_S], 0x5);
COMPARE.set([wasm.I64_LT_U, wasm.I64_LE_U, wasm.I64_LT_S, wasm.I64_LE_S], 0xa);
const NARROW = wasm.I64_EQ - wasm.I32_EQ;

/** may_goto: BPF_MAX_LOOPS times in all it is not taken. */
function mayGoto(code: WasmWriter): void {
  code.get(TURNS);
  code.i32(1);
  code.op(wasm.I32_SUB);
  code.tee(TURNS);
  code.i32(0);
  code.op(wasm.I32_LT_S);
}

function wide(code: WasmWriter, insn: Insn, op: number): void {
  register(code, insn.dst);
  if (hasSrcReg(insn)) register(code, insn.src);
  else code.i64(insn.imm);
  if (op === BPF_JSET) {
    code.op(wasm.I64_AND);
    code.i64(0);
    code.op(wasm.I64_NE);
  } else code.op(COMPARE[op >> 4] as number);
}

function narrow(code: WasmWriter, insn: Insn, op: number): void {
  half(code, insn.dst);
  if (hasSrcReg(insn)) half(code, insn.src);
  else code.i32(insn.imm);
  if (op === BPF_JSET) code.op(wasm.I32_AND);
  else code.op((COMPARE[op >> 4] as number) - NARROW);
}

export const isMayGoto = (insn: Insn): boolean => insn.code === (BPF_JMP | BPF_JCOND);

export function condition(code: WasmWriter, insn: Insn): void {
  const op = opOf(insn);
  if (isMayGoto(insn)) mayGoto(code);
  else if (classOf(insn) === BPF_JMP) wide(code, insn, op);
  else narrow(code, insn, op);
}
