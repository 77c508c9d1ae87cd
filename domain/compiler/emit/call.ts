import { BPF_FUNC } from "../../isa/helpers/index.ts";
import { calleeOf, type Insn, isHelperCall, isPseudoCall } from "../../isa/insn.ts";
import { BPF_MAX_LOOPS } from "../../isa/limits.ts";
import * as wasm from "../wasm/wasm.ts";
import {
  type EmitContext,
  FRAME_BOTTOM,
  FRAME_POINTER,
  LOOP_COUNT,
  pushLowHalf,
  pushRegister,
  R0,
  REACH,
} from "./emit_context.ts";
import { emitLoadFuel, emitStoreFuel } from "./fuel.ts";
import { emitHelperCall } from "./helper_call.ts";
import { emitLookup } from "./lookup.ts";

/** Emits calls of subprograms, by number and by handle, of other programs and of helpers. */

const E2BIG = 7;
const EINVAL = 22;
/** Index of the type that all subprograms have. */
export const SUBPROGRAM_TYPE_INDEX = 0;
/** Index of the table of all programs. */
export const SHARED_TABLE = 0;

function emitPseudoCall(context: EmitContext, insn: Insn, at: number): void {
  const { writer, imports } = context;
  emitStoreFuel(context);
  for (let reg = 1; reg <= 5; reg++) pushRegister(writer, reg);
  writer.localGet(FRAME_BOTTOM);
  writer.opWithIndex(wasm.CALL, imports.functions.get(calleeOf(insn, at)) as number);
  writer.localSet(R0);
  emitLoadFuel(context);
}

/**
 * Emits bpf_tail_call(). On a hit the function returns the r0 of the other program, which reuses
 * its frame.
 */
function emitTailCall(context: EmitContext): void {
  const { writer, imports } = context;
  pushLowHalf(writer, 2);
  pushLowHalf(writer, 3);
  writer.localGet(FRAME_POINTER);
  writer.opWithIndex(wasm.CALL, imports.functions.get("tail_call") as number);
  writer.localTee(REACH);
  writer.i32Const(-1);
  writer.op(wasm.I32_NE);
  writer.openBlock(wasm.IF);
  emitStoreFuel(context);
  pushRegister(writer, 1);
  for (let reg = 2; reg <= 5; reg++) writer.i64Const(0);
  writer.localGet(FRAME_POINTER);
  writer.localGet(REACH);
  writer.opWithIndex(wasm.CALL_INDIRECT, SUBPROGRAM_TYPE_INDEX);
  writer.op(SHARED_TABLE);
  writer.op(wasm.RETURN);
  writer.op(wasm.END);
}

/** Calls the function whose handle is in r2 with LOOP_COUNT and r3 and leaves its result. */
function emitCallbackCall(context: EmitContext, callback: number | undefined): void {
  const { writer, imports } = context;
  if (callback === undefined) pushLowHalf(writer, 2);
  writer.localGet(LOOP_COUNT);
  pushRegister(writer, 3);
  for (let reg = 3; reg <= 5; reg++) writer.i64Const(0);
  writer.localGet(FRAME_BOTTOM);
  const known = callback === undefined ? imports.callback : imports.functions.get(callback);
  writer.opWithIndex(wasm.CALL, known as number);
}

/** Calls back until the result is not 0 or r1 rounds are done, and leaves the number of rounds. */
function emitLoopRounds(context: EmitContext, callback: number | undefined): void {
  const { writer } = context;
  writer.i64Const(0);
  writer.localSet(LOOP_COUNT);
  writer.openBlock(wasm.BLOCK);
  writer.openBlock(wasm.LOOP);
  writer.localGet(LOOP_COUNT);
  pushRegister(writer, 1);
  writer.op(wasm.I64_GE_U);
  writer.opWithIndex(wasm.BR_IF, 1);
  emitCallbackCall(context, callback);
  writer.localGet(LOOP_COUNT);
  writer.i64Const(1);
  writer.op(wasm.I64_ADD);
  writer.localSet(LOOP_COUNT);
  writer.op(wasm.I64_EQZ);
  writer.opWithIndex(wasm.BR_IF, 0);
  writer.op(wasm.END);
  writer.op(wasm.END);
  writer.localGet(LOOP_COUNT);
}

/** Emits bpf_loop(), which counts in 64 bits as the kernel does where it inlines it. */
function emitLoop(context: EmitContext, callback: number | undefined): void {
  const { writer } = context;
  emitStoreFuel(context);
  pushRegister(writer, 4);
  writer.op(wasm.I64_EQZ);
  writer.openBlock(wasm.IF, wasm.I64);
  pushRegister(writer, 1);
  writer.i64Const(BPF_MAX_LOOPS);
  writer.op(wasm.I64_GT_U);
  writer.openBlock(wasm.IF, wasm.I64);
  writer.i64Const(-E2BIG);
  writer.op(wasm.ELSE);
  emitLoopRounds(context, callback);
  writer.op(wasm.END);
  writer.op(wasm.ELSE);
  writer.i64Const(-EINVAL);
  writer.op(wasm.END);
  writer.localSet(R0);
  emitLoadFuel(context);
}

export function emitCall(context: EmitContext, insn: Insn, at: number): void {
  const { imm } = insn;
  if (isPseudoCall(insn)) emitPseudoCall(context, insn, at);
  else if (!isHelperCall(insn)) context.writer.op(wasm.UNREACHABLE);
  else if (imm === BPF_FUNC.tail_call) emitTailCall(context);
  else if (imm === BPF_FUNC.loop) emitLoop(context, context.calls.factsAt(at).callback);
  else if (imm === BPF_FUNC.map_lookup_elem) emitLookup(context, at, context.calls.factsAt(at));
  else emitHelperCall(context, insn);
}
