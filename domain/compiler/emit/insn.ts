// The instructions of a block, one after the other, up to where it goes.

import {
  bytesOf,
  calleeOf,
  classOf,
  type Insn,
  isExit,
  isJump,
  isKnown,
  modeOf,
} from "../../isa/insn.ts";
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_LD,
  BPF_LDX,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  BPF_PSEUDO_MAP_VALUE,
  BPF_ST,
  BPF_STX,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import { type Graph, leaves } from "../analysis/graph.ts";
import { globals, handleOf } from "../imports.ts";
import * as wasm from "../wasm/wasm.ts";
import { alu } from "./alu.ts";
import { atomic } from "./atomic.ts";
import { call } from "./call.ts";
import { assign, type EmitContext, R0 } from "./emit_context.ts";
import { handFuel } from "./fuel.ts";
import { skbLoad } from "./helper_call.ts";
import { load, store } from "./memory.ts";

/** Bytes that an instruction becomes, at most. */
const ROOM = 1024;

/** Address of a map's handle, or of a byte of its only value. */
function mapConstant({ code, unit }: EmitContext, { src, imm }: Insn, offset: number): void {
  if (imm < 0 || imm >= unit.maps.length) {
    throw new RangeError(`ld_imm64 of map ${imm} of ${unit.maps.length}`);
  }
  const direct = src === BPF_PSEUDO_MAP_VALUE;
  code.with(wasm.GLOBAL_GET, direct ? globals.base(imm) : globals.map(imm));
  code.op(wasm.I64_EXTEND_I32_U);
  if (!direct) return;
  code.wide(offset, 0);
  code.op(wasm.I64_ADD);
}

function wideConstant(body: EmitContext, insn: Insn, at: number): void {
  const { code, prog, links } = body;
  const { src, imm } = insn;
  const high = prog[at + 1]?.imm ?? 0;
  if (src === BPF_PSEUDO_MAP_FD || src === BPF_PSEUDO_MAP_VALUE) mapConstant(body, insn, high);
  else if (src === BPF_PSEUDO_FUNC) code.i64(handleOf(links, calleeOf(insn, at)));
  else if (src === 0) code.wide(imm, high);
  else code.op(wasm.UNREACHABLE);
  assign(code, insn.dst);
}

function known(body: EmitContext, insn: Insn, at: number): void {
  const kind = classOf(insn);
  if (kind === BPF_ALU || kind === BPF_ALU64) alu(body.code, insn);
  else if (kind === BPF_LDX) load(body, insn, at);
  else if (insn.code === LD_IMM64) wideConstant(body, insn, at);
  else if (kind === BPF_LD) skbLoad(body, insn, bytesOf(insn));
  else if (kind === BPF_STX && modeOf(insn) === BPF_ATOMIC) atomic(body, insn, at);
  else if (kind === BPF_ST || kind === BPF_STX) store(body, insn, at);
  else call(body, insn, at);
}

/** Arithmetic never traps. */
const mayTrap = (insn: Insn): boolean => (insn.code & BPF_ALU) === 0 || isJump(insn);

/** Writes what a block does before it is left. What the verifier would have refused traps. */
export function straight(body: EmitContext, graph: Graph, block: number): void {
  const { code, prog, places } = body;
  const last = graph.last[block] as number;
  for (let at = graph.first[block] as number; at <= last; at++) {
    const insn = prog[at] as Insn;
    if (at === last && leaves(insn)) return;
    code.room(ROOM);
    if (mayTrap(insn)) places.mark(code.at, at);
    if (isKnown(insn)) known(body, insn, at);
    else code.op(wasm.UNREACHABLE);
    if (insn.code === LD_IMM64) at++;
  }
}

/** The end of a block that nothing follows. */
export function leave(body: EmitContext, graph: Graph, block: number): void {
  const { code, prog } = body;
  const exits = isExit(prog[graph.last[block] as number] as Insn);
  if (!exits) code.op(wasm.UNREACHABLE);
  handFuel(body);
  code.get(R0);
  code.op(wasm.RETURN);
}
