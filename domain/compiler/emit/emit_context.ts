import type { Insn } from "../../isa/insn.ts";
import type { CompilationUnit } from "../abi.ts";
import type { CallAnalysis } from "../analysis/call_analysis.ts";
import type { Imports } from "../imports.ts";
import type { SourceMap } from "../source_map.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";

/** The state that all emitters share while they write the function of one subprogram. */

/** Locals of a function. r1 to r5 and the frame pointer are its parameters. */
export const R0 = 6;
export const REGISTER = Uint8Array.of(R0, 0, 1, 2, 3, 4, 7, 8, 9, 10, 11);
export const FRAME_POINTER = 5;
/** The lowest address of the frame, which is the frame pointer of a callee. */
export const FRAME_BOTTOM = 12;
/** A checked address, less MEMORY_START. */
export const ADDRESS = 13;
export const REACH = 14;
export const GRANULE_BYTES = 15;
/** The case that a dispatch loop jumps to next. */
export const DISPATCH_CASE = 16;
/** How often a may_goto may still fall through. */
export const MAY_GOTO_LEFT = 17;
export const FUEL = 18;
export const VALUE = 19;
export const LOOP_COUNT = 20;

/** Counts and types of the locals that are not parameters. */
export const LOCALS = [
  [6, wasm.I64],
  [6, wasm.I32],
  [3, wasm.I64],
] as const;

export interface EmitContext {
  readonly writer: WasmWriter;
  readonly prog: readonly Insn[];
  readonly unit: CompilationUnit;
  readonly imports: Imports;
  readonly calls: CallAnalysis;
  readonly sourceMap: SourceMap;
  /** 1 for each instruction whose access needs no shadow check; undefined when no access needs one. */
  readonly provenAccesses: Uint8Array | undefined;
  /** The function has backward jumps and keeps its fuel in a local. */
  readonly hasLocalFuel: boolean;
}

export function pushRegister(writer: WasmWriter, reg: number): void {
  writer.localGet(REGISTER[reg] as number);
}

/** Pushes the low 32 bits of a register. */
export function pushLowHalf(writer: WasmWriter, reg: number): void {
  writer.localGet(REGISTER[reg] as number);
  writer.op(wasm.I32_WRAP_I64);
}

export function popRegister(writer: WasmWriter, reg: number): void {
  writer.localSet(REGISTER[reg] as number);
}
