// One subprogram becomes one function.

import type { Insn } from "../../isa/insn.ts";
import { BPF_MAX_LOOPS, MAX_BPF_STACK } from "../../isa/limits.ts";
import { dominators } from "../analysis/dominators.ts";
import type { Graph } from "../analysis/graph.ts";
import { globals } from "../imports.ts";
import { MAX_FUNCTION_BYTES, TooLarge } from "../wasm/v8_limits.ts";
import * as wasm from "../wasm/wasm.ts";
import { isMayGoto } from "./branch.ts";
import { dispatched } from "./dispatch.ts";
import { BOTTOM, type EmitContext, LOCALS, REGISTER, SB, TURNS } from "./emit_context.ts";
import { payEntry } from "./fuel.ts";
import { structured } from "./structured.ts";

const ROOM = 256;

function mayGoes(prog: readonly Insn[], { last }: Graph): boolean {
  return last.some((at) => isMayGoto(prog[at] as Insn));
}

/** Frame pointers, and what all instructions of the subprogram cost once. */
function enter(body: EmitContext, graph: Graph): void {
  const { code } = body;
  const start = graph.first[0] as number;
  body.places.mark(code.at, start);
  code.get(SB);
  code.i32(MAX_BPF_STACK);
  code.op(wasm.I32_SUB);
  code.tee(BOTTOM);
  code.with(wasm.GLOBAL_GET, globals.floor);
  code.op(wasm.I32_LT_U);
  code.trapIf();
  code.get(SB);
  code.op(wasm.I64_EXTEND_I32_U);
  code.set(REGISTER[10] as number);
  payEntry(body, (graph.first.at(-1) as number) - start);
  if (!mayGoes(body.prog, graph)) return;
  // Where Linux takes the time instead (250 ms), this counts, too.
  code.i32(BPF_MAX_LOOPS);
  code.set(TURNS);
}

/** Writes it into the code section. TooLarge: V8 would not take it. */
export function writeFunction(body: EmitContext, graph: Graph, dispatch: boolean): void {
  const { code } = body;
  code.room(ROOM);
  const begun = code.begin();
  code.u32(LOCALS.length);
  for (const [count, type] of LOCALS) {
    code.u32(count);
    code.op(type);
  }
  enter(body, graph);
  const idom = dispatch ? null : dominators(graph);
  if (idom === null) dispatched(body, graph);
  else structured(body, graph, idom);
  code.room(ROOM);
  code.op(wasm.UNREACHABLE);
  code.op(wasm.END);
  if (code.close(begun) > MAX_FUNCTION_BYTES) throw new TooLarge("a subprogram is too large");
}
