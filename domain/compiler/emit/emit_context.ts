// What the writers of instructions share while a subprogram's function is written.

import type { Insn } from "../../isa/insn.ts";
import type { CompilationUnit } from "../abi.ts";
import type { CallAnalysis } from "../analysis/call_analysis.ts";
import type { Imports } from "../imports.ts";
import type { SourceMap } from "../source_map.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";

/** Locals. r1 to r5 and the frame pointer are the parameters. */
export const R0 = 6;
export const REGISTER = Uint8Array.of(R0, 0, 1, 2, 3, 4, 7, 8, 9, 10, 11);
export const FRAME_POINTER = 5;
/** The lowest address of the frame: also the frame pointer of what is called. */
export const FRAME_BOTTOM = 12;
/** An address that was checked, without LOW. */
export const ADDRESS = 13;
export const REACH = 14;
export const GRANULE_BYTES = 15;
/** In a dispatched body, the case to go to. */
export const DISPATCH_CASE = 16;
/** Of may_goto: how often it may still be passed. */
export const MAY_GOTO_LEFT = 17;
export const FUEL = 18;
export const VALUE = 19;
export const LOOP_COUNT = 20;

/** Numbers and types of the locals that are not parameters. */
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
  /** Instructions whose memory access needs no look at the shadow; undefined: all. */
  readonly provenAccesses: Uint8Array | undefined;
  /** Fuel is in a local while the function runs: it jumps back. */
  readonly hasLocalFuel: boolean;
}

export function pushRegister(writer: WasmWriter, reg: number): void {
  writer.localGet(REGISTER[reg] as number);
}

/** The low half of a register. */
export function pushLowHalf(writer: WasmWriter, reg: number): void {
  writer.localGet(REGISTER[reg] as number);
  writer.op(wasm.I32_WRAP_I64);
}

export function popRegister(writer: WasmWriter, reg: number): void {
  writer.localSet(REGISTER[reg] as number);
}
