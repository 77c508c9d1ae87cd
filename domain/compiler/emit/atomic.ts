// Atomic operations. A run has the memory to itself, so each is a load and a store.

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
import { ADDRESS, assign, type EmitContext, R0, register, VALUE } from "./emit_context.ts";
import { address, loadOf, READ, storeOf, WRITE } from "./memory.ts";

const OPERATION: Readonly<Record<number, number>> = {
  [BPF_ADD]: wasm.I64_ADD,
  [BPF_OR]: wasm.I64_OR,
  [BPF_AND]: wasm.I64_AND,
  [BPF_XOR]: wasm.I64_XOR,
};

/** Puts the new value, left on the stack by `result`, where the old one (VALUE) was. */
function replace(body: EmitContext, insn: Insn, at: number, result: () => void): void {
  const { code } = body;
  const access = { reg: insn.dst, off: insn.off, size: bytesOf(insn), how: READ | WRITE };
  const offset = address(body, access, at);
  code.tee(ADDRESS);
  code.get(ADDRESS);
  code.memory(loadOf(insn), offset);
  code.set(VALUE);
  result();
  code.memory(storeOf(insn), offset);
}

function compareExchange(body: EmitContext, insn: Insn, at: number): void {
  const { code } = body;
  replace(body, insn, at, () => {
    register(code, insn.src);
    code.get(VALUE);
    code.get(VALUE);
    code.get(R0);
    if (bytesOf(insn) === 4) {
      code.wide(-1, 0);
      code.op(wasm.I64_AND);
    }
    code.op(wasm.I64_EQ);
    code.op(wasm.SELECT);
  });
  code.get(VALUE);
  code.set(R0);
}

/** An operation of OPERATION, or for any other the exchange. */
function modify(body: EmitContext, insn: Insn, at: number): void {
  const { code } = body;
  const operation = OPERATION[insn.imm & ~BPF_FETCH];
  replace(body, insn, at, () => {
    if (operation !== undefined) code.get(VALUE);
    register(code, insn.src);
    if (operation !== undefined) code.op(operation);
  });
  if ((insn.imm & BPF_FETCH) === 0) return;
  code.get(VALUE);
  assign(code, insn.src);
}

function acquire(body: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.src, off: insn.off, size: bytesOf(insn), how: READ };
  const offset = address(body, access, at);
  body.code.memory(loadOf(insn), offset);
  assign(body.code, insn.dst);
}

function release(body: EmitContext, insn: Insn, at: number): void {
  const access = { reg: insn.dst, off: insn.off, size: bytesOf(insn), how: WRITE };
  const offset = address(body, access, at);
  register(body.code, insn.src);
  body.code.memory(storeOf(insn), offset);
}

/** Writes it; a load and a store of any size, the others of 4 or 8 bytes. */
export function atomic(body: EmitContext, insn: Insn, at: number): void {
  const { imm } = insn;
  const known = imm === BPF_XCHG || OPERATION[imm & ~BPF_FETCH] !== undefined;
  if (imm === BPF_LOAD_ACQ) acquire(body, insn, at);
  else if (imm === BPF_STORE_REL) release(body, insn, at);
  else if (bytesOf(insn) < 4) body.code.op(wasm.UNREACHABLE);
  else if (imm === BPF_CMPXCHG) compareExchange(body, insn, at);
  else if (known) modify(body, insn, at);
  else body.code.op(wasm.UNREACHABLE);
}
