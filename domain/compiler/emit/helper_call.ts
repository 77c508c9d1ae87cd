import { helperOf } from "../../isa/helpers/index.ts";
import { type Insn, modeOf } from "../../isa/insn.ts";
import { BPF_IND } from "../../isa/opcodes.ts";
import { HELPERS, helperImport, type Signature } from "../abi.ts";
import * as wasm from "../wasm/wasm.ts";
import {
  type EmitContext,
  FRAME_POINTER,
  pushLowHalf,
  pushRegister,
  R0,
  VALUE,
} from "./emit_context.ts";
import { emitLoadFuel, emitStoreFuel } from "./fuel.ts";

/** Emits calls of helpers, which are imports of the module. */

/** Calls an import and leaves its result as r0 holds it. */
export function emitImportCall(
  context: EmitContext,
  name: string,
  signature: Signature | undefined,
): void {
  const { writer, imports } = context;
  const { args, ret } = signature as Signature;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "i") pushLowHalf(writer, i + 1);
    else if (args[i] === "l") pushRegister(writer, i + 1);
    else writer.localGet(FRAME_POINTER);
  }
  writer.opWithIndex(wasm.CALL, imports.functions.get(name) as number);
  if (ret === "i") writer.op(wasm.I64_EXTEND_I32_S);
  else if (ret === "p") writer.op(wasm.I64_EXTEND_I32_U);
  else if (ret === "v") writer.i64Const(0);
}

/** Emits a helper call; an unsupported helper traps. */
export function emitHelperCall(context: EmitContext, { imm }: Insn): void {
  const name = helperOf(imm);
  const signature = name && HELPERS[name];
  if (name === undefined || signature === undefined) context.writer.op(wasm.UNREACHABLE);
  else {
    const callsBack = signature.args.endsWith("b");
    if (callsBack) emitStoreFuel(context);
    emitImportCall(context, helperImport(name), signature);
    context.writer.localSet(R0);
    if (callsBack) emitLoadFuel(context);
  }
}

/** Emits LD_ABS or LD_IND. A load beyond the packet ends the function with 0. */
export function emitSkbLoad(context: EmitContext, insn: Insn, size: number): void {
  const { writer, imports } = context;
  writer.i32Const(insn.imm);
  if (modeOf(insn) === BPF_IND) {
    pushLowHalf(writer, insn.src);
    writer.op(wasm.I32_ADD);
  }
  writer.i32Const(size);
  writer.opWithIndex(wasm.CALL, imports.functions.get("skb_load") as number);
  writer.localTee(VALUE);
  writer.i64Const(0);
  writer.op(wasm.I64_LT_S);
  writer.openBlock(wasm.IF);
  emitStoreFuel(context);
  writer.i64Const(0);
  writer.op(wasm.RETURN);
  writer.op(wasm.END);
  writer.localGet(VALUE);
  writer.localSet(R0);
}
