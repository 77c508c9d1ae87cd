// Loads and stores. An address is good when all its 64 bits lie in the arena and, unless the verifier
// has proved the access, the shadow of each byte says so.

import { bytesOf, classOf, type Insn, modeOf, sizeIndex } from "../../isa/insn.ts";
import { MAX_BPF_STACK } from "../../isa/limits.ts";
import { BPF_MEMSX, BPF_ST } from "../../isa/opcodes.ts";
import { BPF_REG_FP } from "../../isa/registers.ts";
import { ARENA_END, LOW, SHADOW_READ, SHADOW_WRITE } from "../abi.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import {
  ADDRESS,
  assign,
  BOTTOM,
  type EmitContext,
  GRANULE,
  REACH,
  register,
  VALUE,
} from "./emit_context.ts";

export const READ = 1;
export const WRITE = 2;

export interface MemoryAccess {
  readonly reg: number;
  readonly off: number;
  readonly size: number;
  /** READ, WRITE or both. */
  readonly how: number;
}

const LOADS = [wasm.I64_LOAD32_U, wasm.I64_LOAD16_U, wasm.I64_LOAD8_U, wasm.I64_LOAD];
const SIGNED_LOADS = [wasm.I64_LOAD32_S, wasm.I64_LOAD16_S, wasm.I64_LOAD8_S, wasm.I64_LOAD];
const STORES = [wasm.I64_STORE32, wasm.I64_STORE16, wasm.I64_STORE8, wasm.I64_STORE];

export const loadOf = (insn: Insn): number => LOADS[sizeIndex(insn)] as number;
export const storeOf = (insn: Insn): number => STORES[sizeIndex(insn)] as number;

function shadowAt(code: WasmWriter, shadow: number, next: number): void {
  code.get(ADDRESS);
  code.i32(3);
  code.op(wasm.I32_SHR_U);
  code.memory(wasm.I32_LOAD8_U, shadow + (LOW >>> 3) + next);
}

/** What is left of an access behind its granule, all of which is good, lies within the next one's part. */
function beyond(code: WasmWriter, shadow: number): void {
  code.open(wasm.IF);
  code.get(GRANULE);
  code.i32(8);
  code.op(wasm.I32_NE);
  code.get(REACH);
  code.i32(8);
  code.op(wasm.I32_SUB);
  shadowAt(code, shadow, 1);
  code.op(wasm.I32_GT_S);
  code.op(wasm.I32_OR);
  code.trapIf();
  code.op(wasm.END);
}

/** The access reaches REACH bytes from the start of its granule; the shadow says how many are good. */
function shadowed(code: WasmWriter, shadow: number, size: number): void {
  code.get(ADDRESS);
  code.i32(7);
  code.op(wasm.I32_AND);
  code.i32(size);
  code.op(wasm.I32_ADD);
  code.tee(REACH);
  shadowAt(code, shadow, 0);
  code.tee(GRANULE);
  code.op(wasm.I32_GT_U);
  if (size === 1) code.trapIf();
  else beyond(code, shadow);
}

/**
 * Leaves the checked address on the stack, as i32, and returns the constant offset that still has to be
 * added to it.
 */
export function address({ code, flat }: EmitContext, access: MemoryAccess, at: number): number {
  const { reg, off, size, how } = access;
  if (reg === BPF_REG_FP && off >= -MAX_BPF_STACK && off + size <= 0) {
    code.get(BOTTOM);
    return MAX_BPF_STACK + off;
  }
  register(code, reg);
  code.i64(off - LOW);
  code.op(wasm.I64_ADD);
  code.tee(VALUE);
  code.i64(ARENA_END - LOW - size);
  code.op(wasm.I64_GT_U);
  code.trapIf();
  code.get(VALUE);
  code.op(wasm.I32_WRAP_I64);
  if (flat === undefined || flat[at] === 1) return LOW;
  code.set(ADDRESS);
  if ((how & READ) !== 0) shadowed(code, SHADOW_READ, size);
  if ((how & WRITE) !== 0) shadowed(code, SHADOW_WRITE, size);
  code.get(ADDRESS);
  return LOW;
}

export function load(body: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.src, off: insn.off, size: bytesOf(insn), how: READ };
  const offset = address(body, access, at);
  const loads = modeOf(insn) === BPF_MEMSX ? SIGNED_LOADS : LOADS;
  body.code.memory(loads[sizeIndex(insn)] as number, offset);
  assign(body.code, insn.dst);
}

export function store(body: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.dst, off: insn.off, size: bytesOf(insn), how: WRITE };
  const offset = address(body, access, at);
  if (classOf(insn) === BPF_ST) body.code.i64(insn.imm);
  else register(body.code, insn.src);
  body.code.memory(storeOf(insn), offset);
}
