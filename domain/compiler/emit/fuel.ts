// Instructions are paid for where a function begins, all of them once, and where a jump goes back, those
// that it goes over; so no way through a program is free. In a function that jumps back the fuel is in a
// local, which is handed on where others take from it.

import type { Graph } from "../analysis/graph.ts";
import { globals } from "../imports.ts";
import * as wasm from "../wasm/wasm.ts";
import type { WasmWriter } from "../wasm/wasm_writer.ts";
import { type EmitContext, FUEL, VALUE } from "./emit_context.ts";

/** A jump goes back, in program order. */
export function jumpsBack({ first, last, next, taken, order }: Graph): boolean {
  for (const block of order) {
    const at = last[block] as number;
    for (const to of [next[block] as number, taken[block] as number]) {
      if (to >= 0 && (first[to] as number) <= at) return true;
    }
  }
  return false;
}

/** Traps when what is left, on the stack, is too little; -1 tells the host why. */
function check(code: WasmWriter): void {
  code.i64(0);
  code.op(wasm.I64_LT_S);
  code.open(wasm.IF);
  code.i64(-1);
  code.with(wasm.GLOBAL_SET, globals.fuel);
  code.op(wasm.UNREACHABLE);
  code.op(wasm.END);
}

/** Pays for `count` instructions where a function begins. */
export function payEntry({ code, metered }: EmitContext, count: number): void {
  code.with(wasm.GLOBAL_GET, globals.fuel);
  code.i64(count);
  code.op(wasm.I64_SUB);
  code.tee(metered ? FUEL : VALUE);
  if (!metered) {
    code.with(wasm.GLOBAL_SET, globals.fuel);
    code.get(VALUE);
  }
  check(code);
}

/** Pays for a jump from the end of a block, if it goes back. */
export function payJump(
  { code, places }: EmitContext,
  graph: Graph,
  block: number,
  target: number,
): void {
  const at = graph.last[block] as number;
  const distance = at + 1 - (graph.first[target] as number);
  if (distance <= 0) return;
  places.mark(code.at, at);
  code.get(FUEL);
  code.i64(distance);
  code.op(wasm.I64_SUB);
  code.tee(FUEL);
  check(code);
}

/** Before others take from it. */
export function handFuel({ code, metered }: EmitContext): void {
  if (!metered) return;
  code.get(FUEL);
  code.with(wasm.GLOBAL_SET, globals.fuel);
}

/** After others have taken from it. */
export function takeFuel({ code, metered }: EmitContext): void {
  if (!metered) return;
  code.with(wasm.GLOBAL_GET, globals.fuel);
  code.set(FUEL);
}
