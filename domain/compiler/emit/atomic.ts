import { bytesOf, type Insn } from "../../isa/insn.ts";
import {
  BPF_ADD,
  BPF_AND,
  BPF_CMPXCHG,
  BPF_FETCH,
  BPF_LOAD_ACQ,
  BPF_OR,
  BPF_STORE_REL,
  BPF_XCHG,
  BPF_XOR,
} from "../../isa/opcodes.ts";
import * as wasm from "../wasm/wasm.ts";
import { ADDRESS, type EmitContext, popRegister, pushRegister, R0, VALUE } from "./emit_context.ts";
import { loadOf, pushAddress, READ, storeOf, WRITE } from "./memory.ts";

/** Emits atomic operations. A run has the memory to itself, so each is a plain load and store. */

const OPERATIONS: Readonly<Record<number, number>> = {
  [BPF_ADD]: wasm.I64_ADD,
  [BPF_OR]: wasm.I64_OR,
  [BPF_AND]: wasm.I64_AND,
  [BPF_XOR]: wasm.I64_XOR,
};

/** Loads the old value into VALUE and stores the new one, which `result` leaves on the stack. */
function emitReadModifyWrite(
  context: EmitContext,
  insn: Insn,
  at: number,
  result: () => void,
): void {
  const { writer } = context;
  const access = { reg: insn.dst, off: insn.off, size: bytesOf(insn), how: READ | WRITE };
  const offset = pushAddress(context, access, at);
  writer.localTee(ADDRESS);
  writer.localGet(ADDRESS);
  writer.memory(loadOf(insn), offset);
  writer.localSet(VALUE);
  result();
  writer.memory(storeOf(insn), offset);
}

function emitCompareExchange(context: EmitContext, insn: Insn, at: number): void {
  const { writer } = context;
  emitReadModifyWrite(context, insn, at, () => {
    pushRegister(writer, insn.src);
    writer.localGet(VALUE);
    writer.localGet(VALUE);
    writer.localGet(R0);
    if (bytesOf(insn) === 4) {
      writer.i64Halves(-1, 0);
      writer.op(wasm.I64_AND);
    }
    writer.op(wasm.I64_EQ);
    writer.op(wasm.SELECT);
  });
  writer.localGet(VALUE);
  writer.localSet(R0);
}

/** Emits an operation of OPERATIONS, or else an exchange. */
function emitFetchOp(context: EmitContext, insn: Insn, at: number): void {
  const { writer } = context;
  const operation = OPERATIONS[insn.imm & ~BPF_FETCH];
  emitReadModifyWrite(context, insn, at, () => {
    if (operation !== undefined) writer.localGet(VALUE);
    pushRegister(writer, insn.src);
    if (operation !== undefined) writer.op(operation);
  });
  if ((insn.imm & BPF_FETCH) === 0) return;
  writer.localGet(VALUE);
  popRegister(writer, insn.src);
}

function emitLoadAcquire(context: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.src, off: insn.off, size: bytesOf(insn), how: READ };
  const offset = pushAddress(context, access, at);
  context.writer.memory(loadOf(insn), offset);
  popRegister(context.writer, insn.dst);
}

function emitStoreRelease(context: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.dst, off: insn.off, size: bytesOf(insn), how: WRITE };
  const offset = pushAddress(context, access, at);
  pushRegister(context.writer, insn.src);
  context.writer.memory(storeOf(insn), offset);
}

/** Emits an atomic operation. Acquire and release have any size, the others 4 or 8 bytes. */
export function emitAtomic(context: EmitContext, insn: Insn, at: number): void {
  const { imm } = insn;
  const known = imm === BPF_XCHG || OPERATIONS[imm & ~BPF_FETCH] !== undefined;
  if (imm === BPF_LOAD_ACQ) emitLoadAcquire(context, insn, at);
  else if (imm === BPF_STORE_REL) emitStoreRelease(context, insn, at);
  else if (bytesOf(insn) < 4) context.writer.op(wasm.UNREACHABLE);
  else if (imm === BPF_CMPXCHG) emitCompareExchange(context, insn, at);
  else if (known) emitFetchOp(context, insn, at);
  else context.writer.op(wasm.UNREACHABLE);
}
