// Calls of subprograms, by name and by handle, and of other programs.

import { BPF_FUNC } from "../../isa/helpers/index.ts";
import { calleeOf, type Insn, isHelperCall, isPseudoCall } from "../../isa/insn.ts";
import { BPF_MAX_LOOPS } from "../../isa/limits.ts";
import * as wasm from "../wasm/wasm.ts";
import { BOTTOM, type EmitContext, half, OTHER, R0, REACH, register, SB } from "./emit_context.ts";
import { handFuel, takeFuel } from "./fuel.ts";
import { helper } from "./helper_call.ts";
import { lookup } from "./lookup.ts";

const E2BIG = 7;
const EINVAL = 22;
/** By index, the type of all subprograms and the table of all programs. */
export const SUBPROGRAM = 0;
export const SHARED_TABLE = 0;

function pseudoCall(body: EmitContext, insn: Insn, at: number): void {
  const { code, links } = body;
  handFuel(body);
  for (let reg = 1; reg <= 5; reg++) register(code, reg);
  code.get(BOTTOM);
  code.with(wasm.CALL, links.functions.get(calleeOf(insn, at)) as number);
  code.set(R0);
  takeFuel(body);
}

/** bpf_tail_call(): on a hit the other program's r0 is this one's, its frame lies over this one. */
function tailCall(body: EmitContext): void {
  const { code, links } = body;
  half(code, 2);
  half(code, 3);
  code.get(SB);
  code.with(wasm.CALL, links.functions.get("tail_call") as number);
  code.tee(REACH);
  code.i32(-1);
  code.op(wasm.I32_NE);
  code.open(wasm.IF);
  handFuel(body);
  register(code, 1);
  for (let reg = 2; reg <= 5; reg++) code.i64(0);
  code.get(SB);
  code.get(REACH);
  code.with(wasm.CALL_INDIRECT, SUBPROGRAM);
  code.op(SHARED_TABLE);
  code.op(wasm.RETURN);
  code.op(wasm.END);
}

/** Calls the function whose handle is in r2 with OTHER, the count of rounds, and r3. Leaves its answer. */
function round(body: EmitContext, callback: number | undefined): void {
  const { code, links } = body;
  if (callback === undefined) half(code, 2);
  code.get(OTHER);
  register(code, 3);
  for (let reg = 3; reg <= 5; reg++) code.i64(0);
  code.get(BOTTOM);
  const known = callback === undefined ? links.callback : links.functions.get(callback);
  code.with(wasm.CALL, known as number);
}

/** Rounds until the callback answers other than 0 or r1 are done; leaves how many. */
function rounds(body: EmitContext, callback: number | undefined): void {
  const { code } = body;
  code.i64(0);
  code.set(OTHER);
  code.open(wasm.BLOCK);
  code.open(wasm.LOOP);
  code.get(OTHER);
  register(code, 1);
  code.op(wasm.I64_GE_U);
  code.with(wasm.BR_IF, 1);
  round(body, callback);
  code.get(OTHER);
  code.i64(1);
  code.op(wasm.I64_ADD);
  code.set(OTHER);
  code.op(wasm.I64_EQZ);
  code.with(wasm.BR_IF, 0);
  code.op(wasm.END);
  code.op(wasm.END);
  code.get(OTHER);
}

/** bpf_loop(), counting in 64 bits as where the kernel inlines it. */
function loop(body: EmitContext, callback: number | undefined): void {
  const { code } = body;
  handFuel(body);
  register(code, 4);
  code.op(wasm.I64_EQZ);
  code.open(wasm.IF, wasm.I64);
  register(code, 1);
  code.i64(BPF_MAX_LOOPS);
  code.op(wasm.I64_GT_U);
  code.open(wasm.IF, wasm.I64);
  code.i64(-E2BIG);
  code.op(wasm.ELSE);
  rounds(body, callback);
  code.op(wasm.END);
  code.op(wasm.ELSE);
  code.i64(-EINVAL);
  code.op(wasm.END);
  code.set(R0);
  takeFuel(body);
}

export function call(body: EmitContext, insn: Insn, at: number): void {
  const { imm } = insn;
  if (isPseudoCall(insn)) pseudoCall(body, insn, at);
  else if (!isHelperCall(insn)) body.code.op(wasm.UNREACHABLE);
  else if (imm === BPF_FUNC.tail_call) tailCall(body);
  else if (imm === BPF_FUNC.loop) loop(body, body.calls.of(at).callback);
  else if (imm === BPF_FUNC.map_lookup_elem) lookup(body, at, body.calls.of(at));
  else helper(body, insn);
}
