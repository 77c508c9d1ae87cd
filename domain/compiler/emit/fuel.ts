// Instructions are paid for where a function begins, all of them once, and where a jump goes back, those
// that it goes over; so no way through a program is free. In a function that jumps back the fuel is in a
// local, which is handed on where others take from it.

import type { Graph } from "../analysis/graph.ts";
import { globals } from "../imports.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import { type EmitContext, FUEL, VALUE } from "./emit_context.ts";

/** A jump goes back, in program order. */
export function hasBackEdge({ first, last, next, taken, order }: Graph): boolean {
  for (const block of order) {
    const at = last[block] as number;
    for (const to of [next[block] as number, taken[block] as number]) {
      if (to >= 0 && (first[to] as number) <= at) return true;
    }
  }
  return false;
}

/** Traps when what is left, on the stack, is too little; -1 tells the host why. */
function trapIfNegative(writer: WasmWriter): void {
  writer.i64Const(0);
  writer.op(wasm.I64_LT_S);
  writer.openBlock(wasm.IF);
  writer.i64Const(-1);
  writer.opWithIndex(wasm.GLOBAL_SET, globals.fuel);
  writer.op(wasm.UNREACHABLE);
  writer.op(wasm.END);
}

/** Pays for `count` instructions where a function begins. */
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

/** Pays for a jump from the end of a block, if it goes back. */
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

/** Before others take from it. */
export function emitStoreFuel({ writer, hasLocalFuel }: EmitContext): void {
  if (!hasLocalFuel) return;
  writer.localGet(FUEL);
  writer.opWithIndex(wasm.GLOBAL_SET, globals.fuel);
}

/** After others have taken from it. */
export function emitLoadFuel({ writer, hasLocalFuel }: EmitContext): void {
  if (!hasLocalFuel) return;
  writer.opWithIndex(wasm.GLOBAL_GET, globals.fuel);
  writer.localSet(FUEL);
}
