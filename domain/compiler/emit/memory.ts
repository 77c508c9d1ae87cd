import { bytesOf, classOf, type Insn, modeOf, sizeIndex } from "../../isa/insn.ts";
import { MAX_BPF_STACK } from "../../isa/limits.ts";
import { BPF_MEMSX, BPF_ST } from "../../isa/opcodes.ts";
import { BPF_REG_FP } from "../../isa/registers.ts";
import { ARENA_END, MEMORY_START, SHADOW_READ, SHADOW_WRITE } from "../abi.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import {
  ADDRESS,
  type EmitContext,
  FRAME_BOTTOM,
  GRANULE_BYTES,
  popRegister,
  pushRegister,
  REACH,
  VALUE,
} from "./emit_context.ts";

/**
 * Emits loads and stores. Each checks that the address lies in the arena and, unless the verifier
 * has
 * proved the access, that the shadow permits every byte.
 */

export const READ = 1;
export const WRITE = 2;

export interface MemoryAccess {
  readonly reg: number;
  readonly off: number;
  readonly size: number;
  /** READ, WRITE or both, as flags. */
  readonly how: number;
}

const LOADS = [wasm.I64_LOAD32_U, wasm.I64_LOAD16_U, wasm.I64_LOAD8_U, wasm.I64_LOAD];
const SIGNED_LOADS = [wasm.I64_LOAD32_S, wasm.I64_LOAD16_S, wasm.I64_LOAD8_S, wasm.I64_LOAD];
const STORES = [wasm.I64_STORE32, wasm.I64_STORE16, wasm.I64_STORE8, wasm.I64_STORE];

export const loadOf = (insn: Insn): number => LOADS[sizeIndex(insn)] as number;
export const storeOf = (insn: Insn): number => STORES[sizeIndex(insn)] as number;

function pushShadow(writer: WasmWriter, shadow: number, next: number): void {
  writer.localGet(ADDRESS);
  writer.i32Const(3);
  writer.op(wasm.I32_SHR_U);
  writer.memory(wasm.I32_LOAD8_U, shadow + (MEMORY_START >>> 3) + next);
}

/**
 * Traps unless the first granule is wholly accessible and the rest of the access lies in the next
 * one.
 */
function trapBeyondGranule(writer: WasmWriter, shadow: number): void {
  writer.openBlock(wasm.IF);
  writer.localGet(GRANULE_BYTES);
  writer.i32Const(8);
  writer.op(wasm.I32_NE);
  writer.localGet(REACH);
  writer.i32Const(8);
  writer.op(wasm.I32_SUB);
  pushShadow(writer, shadow, 1);
  writer.op(wasm.I32_GT_S);
  writer.op(wasm.I32_OR);
  writer.trapIf();
  writer.op(wasm.END);
}

/**
 * Traps unless the shadow permits the access, which ends REACH bytes after the start of its
 * granule.
 */
function emitShadowCheck(writer: WasmWriter, shadow: number, size: number): void {
  writer.localGet(ADDRESS);
  writer.i32Const(7);
  writer.op(wasm.I32_AND);
  writer.i32Const(size);
  writer.op(wasm.I32_ADD);
  writer.localTee(REACH);
  pushShadow(writer, shadow, 0);
  writer.localTee(GRANULE_BYTES);
  writer.op(wasm.I32_GT_U);
  if (size === 1) writer.trapIf();
  else trapBeyondGranule(writer, shadow);
}

/**
 * Leaves the checked address on the stack, as i32, and returns the constant offset that the load or
 * store has to add.
 */
export function pushAddress(
  { writer, provenAccesses }: EmitContext,
  access: MemoryAccess,
  at: number,
): number {
  const { reg, off, size, how } = access;
  if (reg === BPF_REG_FP && off >= -MAX_BPF_STACK && off + size <= 0) {
    writer.localGet(FRAME_BOTTOM);
    return MAX_BPF_STACK + off;
  }
  pushRegister(writer, reg);
  writer.i64Const(off - MEMORY_START);
  writer.op(wasm.I64_ADD);
  writer.localTee(VALUE);
  writer.i64Const(ARENA_END - MEMORY_START - size);
  writer.op(wasm.I64_GT_U);
  writer.trapIf();
  writer.localGet(VALUE);
  writer.op(wasm.I32_WRAP_I64);
  if (provenAccesses === undefined || provenAccesses[at] === 1) return MEMORY_START;
  writer.localSet(ADDRESS);
  if ((how & READ) !== 0) emitShadowCheck(writer, SHADOW_READ, size);
  if ((how & WRITE) !== 0) emitShadowCheck(writer, SHADOW_WRITE, size);
  writer.localGet(ADDRESS);
  return MEMORY_START;
}

export function emitLoad(context: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.src, off: insn.off, size: bytesOf(insn), how: READ };
  const offset = pushAddress(context, access, at);
  const loads = modeOf(insn) === BPF_MEMSX ? SIGNED_LOADS : LOADS;
  context.writer.memory(loads[sizeIndex(insn)] as number, offset);
  popRegister(context.writer, insn.dst);
}

export function emitStore(context: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.dst, off: insn.off, size: bytesOf(insn), how: WRITE };
  const offset = pushAddress(context, access, at);
  if (classOf(insn) === BPF_ST) context.writer.i64Const(insn.imm);
  else pushRegister(context.writer, insn.src);
  context.writer.memory(storeOf(insn), offset);
}
