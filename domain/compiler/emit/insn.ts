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
import { type Graph, isTerminator } from "../analysis/graph.ts";
import { globals, handleOf } from "../imports.ts";
import * as wasm from "../wasm/wasm.ts";
import { emitAlu } from "./alu.ts";
import { emitAtomic } from "./atomic.ts";
import { emitCall } from "./call.ts";
import { type EmitContext, popRegister, R0 } from "./emit_context.ts";
import { emitStoreFuel } from "./fuel.ts";
import { emitSkbLoad } from "./helper_call.ts";
import { emitLoad, emitStore } from "./memory.ts";

/** Emits the instructions of a basic block up to its terminator. */

/** Upper bound of the bytes that one instruction compiles to. */
const INSN_BYTES_MAX = 1024;

/** Pushes a map's handle, or the address of a byte of its only value. */
function pushMap({ writer, unit }: EmitContext, { src, imm }: Insn, offset: number): void {
  if (imm < 0 || imm >= unit.maps.length) {
    throw new RangeError(`ld_imm64 of map ${imm} of ${unit.maps.length}`);
  }
  const direct = src === BPF_PSEUDO_MAP_VALUE;
  writer.opWithIndex(wasm.GLOBAL_GET, direct ? globals.base(imm) : globals.map(imm));
  writer.op(wasm.I64_EXTEND_I32_U);
  if (!direct) return;
  writer.i64Halves(offset, 0);
  writer.op(wasm.I64_ADD);
}

function emitLdImm64(context: EmitContext, insn: Insn, at: number): void {
  const { writer, prog, imports } = context;
  const { src, imm } = insn;
  const high = prog[at + 1]?.imm ?? 0;
  if (src === BPF_PSEUDO_MAP_FD || src === BPF_PSEUDO_MAP_VALUE) pushMap(context, insn, high);
  else if (src === BPF_PSEUDO_FUNC) writer.i64Const(handleOf(imports, calleeOf(insn, at)));
  else if (src === 0) writer.i64Halves(imm, high);
  else writer.op(wasm.UNREACHABLE);
  popRegister(writer, insn.dst);
}

function emitInsn(context: EmitContext, insn: Insn, at: number): void {
  const kind = classOf(insn);
  if (kind === BPF_ALU || kind === BPF_ALU64) emitAlu(context.writer, insn);
  else if (kind === BPF_LDX) emitLoad(context, insn, at);
  else if (insn.code === LD_IMM64) emitLdImm64(context, insn, at);
  else if (kind === BPF_LD) emitSkbLoad(context, insn, bytesOf(insn));
  else if (kind === BPF_STX && modeOf(insn) === BPF_ATOMIC) emitAtomic(context, insn, at);
  else if (kind === BPF_ST || kind === BPF_STX) emitStore(context, insn, at);
  else emitCall(context, insn, at);
}

/** Arithmetic never traps, so it needs no entry in the source map. */
const canTrap = (insn: Insn): boolean => (insn.code & BPF_ALU) === 0 || isJump(insn);

/**
 * Emits the instructions of a block up to its terminator. An instruction that the verifier rejects
 * traps.
 */
export function emitBlock(context: EmitContext, graph: Graph, block: number): void {
  const { writer, prog, sourceMap } = context;
  const last = graph.last[block] as number;
  for (let at = graph.first[block] as number; at <= last; at++) {
    const insn = prog[at] as Insn;
    if (at === last && isTerminator(insn)) return;
    writer.reserve(INSN_BYTES_MAX);
    if (canTrap(insn)) sourceMap.mark(writer.offset, at);
    if (isKnown(insn)) emitInsn(context, insn, at);
    else writer.op(wasm.UNREACHABLE);
    if (insn.code === LD_IMM64) at++;
  }
}

/** Emits the end of a block without successors. */
export function emitReturn(context: EmitContext, graph: Graph, block: number): void {
  const { writer, prog } = context;
  const exits = isExit(prog[graph.last[block] as number] as Insn);
  if (!exits) writer.op(wasm.UNREACHABLE);
  emitStoreFuel(context);
  writer.localGet(R0);
  writer.op(wasm.RETURN);
}
