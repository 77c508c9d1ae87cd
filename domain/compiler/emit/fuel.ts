import type { Graph } from "../analysis/graph.ts";
import { globals } from "../imports.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import { type EmitContext, FUEL, VALUE } from "./emit_context.ts";

/**
 * Emits the payment for instructions: a function pays for all its instructions once on entry, and
 * a
 * backward jump pays for those it jumps over, so every path costs something. A function with
 * backward
 * jumps keeps the fuel in a local and stores it before it calls code that also pays.
 */

/** Some jump goes backward in program order. */
export function hasBackEdge({ first, last, next, taken, order }: Graph): boolean {
  for (const block of order) {
    const at = last[block] as number;
    for (const to of [next[block] as number, taken[block] as number]) {
      if (to >= 0 && (first[to] as number) <= at) return true;
    }
  }
  return false;
}

/** Traps when the remaining fuel, on the stack, is negative; fuel -1 tells the host the reason. */
function trapIfNegative(writer: WasmWriter): void {
  writer.i64Const(0);
  writer.op(wasm.I64_LT_S);
  writer.openBlock(wasm.IF);
  writer.i64Const(-1);
  writer.opWithIndex(wasm.GLOBAL_SET, globals.fuel);
  writer.op(wasm.UNREACHABLE);
  writer.op(wasm.END);
}

/** Emits the payment for `count` instructions on entry of a function. */
export function emitEntryFuel({ writer, hasLocalFuel }: EmitContext, count: number): void {
  writer.opWithIndex(wasm.GLOBAL_GET, globals.fuel);
  writer.i64Const(count);
  writer.op(wasm.I64_SUB);
  writer.localTee(hasLocalFuel ? FUEL : VALUE);
  if (!hasLocalFuel) {
    writer.opWithIndex(wasm.GLOBAL_SET, globals.fuel);
    writer.localGet(VALUE);
  }
  trapIfNegative(writer);
}

/** Emits the payment for a jump from the end of a block, if it is a backward jump. */
export function emitBackJumpFuel(
  { writer, sourceMap }: EmitContext,
  graph: Graph,
  block: number,
  target: number,
): void {
  const at = graph.last[block] as number;
  const distance = at + 1 - (graph.first[target] as number);
  if (distance <= 0) return;
  sourceMap.mark(writer.offset, at);
  writer.localGet(FUEL);
  writer.i64Const(distance);
  writer.op(wasm.I64_SUB);
  writer.localTee(FUEL);
  trapIfNegative(writer);
}

/** Stores the fuel before code that also pays runs. */
export function emitStoreFuel({ writer, hasLocalFuel }: EmitContext): void {
  if (!hasLocalFuel) return;
  writer.localGet(FUEL);
  writer.opWithIndex(wasm.GLOBAL_SET, globals.fuel);
}

/** Loads the fuel after other code has paid from it. */
export function emitLoadFuel({ writer, hasLocalFuel }: EmitContext): void {
  if (!hasLocalFuel) return;
  writer.opWithIndex(wasm.GLOBAL_GET, globals.fuel);
  writer.localSet(FUEL);
}
