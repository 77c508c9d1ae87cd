// bpf_map_lookup_elem(). In an array whose values are all in memory it is compiled in, as the kernel does.

import type { MapShape } from "../../isa/map_shape.ts";
import { ADD_LOOKUP, HELPERS, helperImport, strideOf } from "../abi.ts";
import type { RegisterFacts } from "../analysis/constant_propagation.ts";
import { globals } from "../imports.ts";
import * as wasm from "../wasm/wasm.ts";
import { ADDRESS, type EmitContext, R0, REACH } from "./emit_context.ts";
import { invoke } from "./helper_call.ts";
import { address, READ } from "./memory.ts";

const LOOKUP = helperImport("map_lookup_elem");

/** Leaves the value's address, its byte of `seen` marked; or 0. The index is in REACH. */
function element({ code }: EmitContext, map: number, shape: MapShape): void {
  code.get(REACH);
  code.i32(shape.max_entries);
  code.op(wasm.I32_LT_U);
  code.open(wasm.IF, wasm.I64);
  code.with(wasm.GLOBAL_GET, globals.seen(map));
  code.get(REACH);
  code.op(wasm.I32_ADD);
  code.tee(ADDRESS);
  code.get(ADDRESS);
  code.memory(wasm.I32_LOAD8_U, 0);
  code.i32(1);
  code.op(wasm.I32_OR);
  code.memory(wasm.I32_STORE8, 0);
  code.get(REACH);
  code.i32(strideOf(shape));
  code.op(wasm.I32_MUL);
  code.with(wasm.GLOBAL_GET, globals.base(map));
  code.op(wasm.I32_ADD);
  code.op(wasm.I64_EXTEND_I32_U);
  code.op(wasm.ELSE);
  code.i64(0);
  code.op(wasm.END);
}

function inlined(body: EmitContext, at: number, map: number, shape: MapShape, key?: number): void {
  const { code } = body;
  const place = key === undefined ? { reg: 2, off: 0 } : { reg: 10, off: key };
  code.with(wasm.GLOBAL_GET, globals.base(map));
  code.open(wasm.IF, wasm.I64);
  code.memory(wasm.I32_LOAD, address(body, { ...place, size: 4, how: READ }, at));
  code.set(REACH);
  element(body, map, shape);
  code.op(wasm.ELSE);
  invoke(body, LOOKUP, HELPERS.map_lookup_elem);
  code.op(wasm.END);
}

export function lookup(body: EmitContext, at: number, { map, key, added }: RegisterFacts): void {
  const shape = map === undefined ? undefined : body.unit.maps[map];
  if (added) invoke(body, "add_lookup", ADD_LOOKUP);
  else if (map === undefined || shape?.map_type !== "array") {
    invoke(body, LOOKUP, HELPERS.map_lookup_elem);
  } else inlined(body, at, map, shape, key);
  body.code.set(R0);
}
