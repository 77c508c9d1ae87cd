import type { MapShape } from "../../isa/map_shape.ts";
import { ADD_LOOKUP, elementStride, HELPERS, helperImport } from "../abi.ts";
import type { RegisterFacts } from "../analysis/constant_propagation.ts";
import { globals } from "../imports.ts";
import * as wasm from "../wasm/wasm.ts";
import { ADDRESS, type EmitContext, R0, REACH } from "./emit_context.ts";
import { emitImportCall } from "./helper_call.ts";
import { pushAddress, READ } from "./memory.ts";

/**
 * Emits bpf_map_lookup_elem(). For an array whose values are all in memory it is inlined, as in
 * the kernel.
 */

const LOOKUP = helperImport("map_lookup_elem");

/**
 * Marks the element's byte of `seen` and leaves the value's address, or 0. The index is in REACH.
 */
function emitElementAddress({ writer }: EmitContext, map: number, shape: MapShape): void {
  writer.localGet(REACH);
  writer.i32Const(shape.max_entries);
  writer.op(wasm.I32_LT_U);
  writer.openBlock(wasm.IF, wasm.I64);
  writer.opWithIndex(wasm.GLOBAL_GET, globals.seen(map));
  writer.localGet(REACH);
  writer.op(wasm.I32_ADD);
  writer.localTee(ADDRESS);
  writer.localGet(ADDRESS);
  writer.memory(wasm.I32_LOAD8_U, 0);
  writer.i32Const(1);
  writer.op(wasm.I32_OR);
  writer.memory(wasm.I32_STORE8, 0);
  writer.localGet(REACH);
  writer.i32Const(elementStride(shape));
  writer.op(wasm.I32_MUL);
  writer.opWithIndex(wasm.GLOBAL_GET, globals.base(map));
  writer.op(wasm.I32_ADD);
  writer.op(wasm.I64_EXTEND_I32_U);
  writer.op(wasm.ELSE);
  writer.i64Const(0);
  writer.op(wasm.END);
}

function emitArrayLookup(
  context: EmitContext,
  at: number,
  map: number,
  shape: MapShape,
  key?: number,
): void {
  const { writer } = context;
  const place = key === undefined ? { reg: 2, off: 0 } : { reg: 10, off: key };
  writer.opWithIndex(wasm.GLOBAL_GET, globals.base(map));
  writer.openBlock(wasm.IF, wasm.I64);
  writer.memory(wasm.I32_LOAD, pushAddress(context, { ...place, size: 4, how: READ }, at));
  writer.localSet(REACH);
  emitElementAddress(context, map, shape);
  writer.op(wasm.ELSE);
  emitImportCall(context, LOOKUP, HELPERS.map_lookup_elem);
  writer.op(wasm.END);
}

export function emitLookup(
  context: EmitContext,
  at: number,
  { map, keyOffset, isAddOnly }: RegisterFacts,
): void {
  const shape = map === undefined ? undefined : context.unit.maps[map];
  if (isAddOnly) emitImportCall(context, "add_lookup", ADD_LOOKUP);
  else if (map === undefined || shape?.map_type !== "array") {
    emitImportCall(context, LOOKUP, HELPERS.map_lookup_elem);
  } else emitArrayLookup(context, at, map, shape, keyOffset);
  context.writer.localSet(R0);
}
