import type { Insn } from "../../isa/insn.ts";
import { BPF_MAX_LOOPS, MAX_BPF_STACK } from "../../isa/limits.ts";
import { computeDominators } from "../analysis/dominators.ts";
import type { Graph } from "../analysis/graph.ts";
import { globals } from "../imports.ts";
import { MAX_FUNCTION_BYTES, TooLarge } from "../wasm/v8_limits.ts";
import * as wasm from "../wasm/wasm.ts";
import { isMayGoto } from "./branch.ts";
import { emitDispatchLoop } from "./dispatch.ts";
import {
  type EmitContext,
  FRAME_BOTTOM,
  FRAME_POINTER,
  LOCALS,
  MAY_GOTO_LEFT,
  REGISTER,
} from "./emit_context.ts";
import { emitEntryFuel } from "./fuel.ts";
import { emitStructured } from "./structured.ts";

/** Emits the WebAssembly function of one subprogram: its locals, prologue and control flow. */

const FRAMING_BYTES = 256;

function hasMayGoto(prog: readonly Insn[], { last }: Graph): boolean {
  return last.some((at) => isMayGoto(prog[at] as Insn));
}

/** Emits the check of the stack, the frame pointers and the payment of a function. */
function emitPrologue(context: EmitContext, graph: Graph): void {
  const { writer } = context;
  const start = graph.first[0] as number;
  context.sourceMap.mark(writer.offset, start);
  writer.localGet(FRAME_POINTER);
  writer.i32Const(MAX_BPF_STACK);
  writer.op(wasm.I32_SUB);
  writer.localTee(FRAME_BOTTOM);
  writer.opWithIndex(wasm.GLOBAL_GET, globals.floor);
  writer.op(wasm.I32_LT_U);
  writer.trapIf();
  writer.localGet(FRAME_POINTER);
  writer.op(wasm.I64_EXTEND_I32_U);
  writer.localSet(REGISTER[10] as number);
  emitEntryFuel(context, (graph.first.at(-1) as number) - start);
  if (!hasMayGoto(context.prog, graph)) return;
  // Linux ends a may_goto loop after 250 ms or this many rounds; here only the rounds count.
  writer.i32Const(BPF_MAX_LOOPS);
  writer.localSet(MAY_GOTO_LEFT);
}

/** Writes the function into the code section. @throws TooLarge when it exceeds V8's limit. */
export function emitFunction(context: EmitContext, graph: Graph, dispatch: boolean): void {
  const { writer } = context;
  writer.reserve(FRAMING_BYTES);
  const begun = writer.beginSized();
  writer.u32(LOCALS.length);
  for (const [count, type] of LOCALS) {
    writer.u32(count);
    writer.op(type);
  }
  emitPrologue(context, graph);
  const idom = dispatch ? null : computeDominators(graph);
  if (idom === null) emitDispatchLoop(context, graph);
  else emitStructured(context, graph, idom);
  writer.reserve(FRAMING_BYTES);
  writer.op(wasm.UNREACHABLE);
  writer.op(wasm.END);
  const size = writer.endSized(begun);
  if (size > MAX_FUNCTION_BYTES) {
    throw new TooLarge(
      `a subprogram may compile to at most ${MAX_FUNCTION_BYTES} bytes of WebAssembly, got ${size}`,
    );
  }
}
