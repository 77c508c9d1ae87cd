// Calls of helpers, which are imports.

import { helperOf } from "../../isa/helpers/index.ts";
import { type Insn, modeOf } from "../../isa/insn.ts";
import { BPF_IND } from "../../isa/opcodes.ts";
import { HELPERS, helperImport, type Signature } from "../abi.ts";
import * as wasm from "../wasm/wasm.ts";
import { type EmitContext, half, R0, register, SB, VALUE } from "./emit_context.ts";
import { handFuel, takeFuel } from "./fuel.ts";

/** Leaves what an import answers, as r0 will hold it. */
export function invoke(body: EmitContext, name: string, signature: Signature | undefined): void {
  const { code, links } = body;
  const { args, ret } = signature as Signature;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "i") half(code, i + 1);
    else if (args[i] === "l") register(code, i + 1);
    else code.get(SB);
  }
  code.with(wasm.CALL, links.functions.get(name) as number);
  if (ret === "i") code.op(wasm.I64_EXTEND_I32_S);
  else if (ret === "p") code.op(wasm.I64_EXTEND_I32_U);
  else if (ret === "v") code.i64(0);
}

/** One that cannot run traps. */
export function helper(body: EmitContext, { imm }: Insn): void {
  const name = helperOf(imm);
  const signature = name && HELPERS[name];
  if (name === undefined || signature === undefined) body.code.op(wasm.UNREACHABLE);
  else {
    const callsBack = signature.args.endsWith("b");
    if (callsBack) handFuel(body);
    invoke(body, helperImport(name), signature);
    body.code.set(R0);
    if (callsBack) takeFuel(body);
  }
}

/** LD_ABS and LD_IND: with what is not there the function ends with 0. */
export function skbLoad(body: EmitContext, insn: Insn, size: number): void {
  const { code, links } = body;
  code.i32(insn.imm);
  if (modeOf(insn) === BPF_IND) {
    half(code, insn.src);
    code.op(wasm.I32_ADD);
  }
  code.i32(size);
  code.with(wasm.CALL, links.functions.get("skb_load") as number);
  code.tee(VALUE);
  code.i64(0);
  code.op(wasm.I64_LT_S);
  code.open(wasm.IF);
  handFuel(body);
  code.i64(0);
  code.op(wasm.RETURN);
  code.op(wasm.END);
  code.get(VALUE);
  code.set(R0);
}
