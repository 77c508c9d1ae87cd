// Registers that instructions read and write, and those that are still to be read somewhere
// (compute_live_registers of Linux 6.18): the others do not count when states are compared.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import { successors } from "./cfg.ts";

/** Registers as bits. */
export interface Effect {
  readonly reads: number;
  readonly writes: number;
}

const ARGUMENTS = 0b11_1110;
const CLOBBERED = 0b11_1111;
const FETCH = 0x01;
const CMPXCHG = 0xf1;
const LOAD_ACQ = 0x100;
const STORE_REL = 0x110;
const MOV = 0xb0;
const NONE: Effect = { reads: 0, writes: 0 };

function atomic({ dst, src, imm }: Insn): Effect {
  const both = (1 << dst) | (1 << src);
  if (imm === LOAD_ACQ) return { reads: 1 << src, writes: 1 << dst };
  if (imm === STORE_REL) return { reads: both, writes: 0 };
  if (imm === CMPXCHG) return { reads: both | 1, writes: 1 };
  return { reads: both, writes: (imm & FETCH) !== 0 ? 1 << src : 0 };
}

function jump(insn: Insn): Effect {
  const op = bpf.opOf(insn);
  if (op === bpf.CALL) return { reads: 0, writes: CLOBBERED };
  if (op === bpf.EXIT || op === bpf.JA || op === bpf.JCOND) return NONE;
  return { reads: (1 << insn.dst) | (bpf.isX(insn) ? 1 << insn.src : 0), writes: 0 };
}

function alu(insn: Insn): Effect {
  const op = bpf.opOf(insn);
  const isUnary = op === 0x80 || op === 0xd0;
  const src = bpf.isX(insn) && !isUnary ? 1 << insn.src : 0;
  return { reads: src | (op === MOV ? 0 : 1 << insn.dst), writes: 1 << insn.dst };
}

/** What is read and written by name: of a call no arguments, of an exit no answer. */
export function regEffect(insn: Insn): Effect {
  switch (bpf.classOf(insn)) {
    case bpf.ALU:
    case bpf.ALU64:
      return alu(insn);
    case bpf.LD:
      if (insn.code === bpf.LD_IMM64) return { reads: 0, writes: 1 << insn.dst };
      return { reads: bpf.modeOf(insn) === bpf.IND ? 1 << insn.src : 0, writes: CLOBBERED };
    case bpf.LDX:
      return { reads: 1 << insn.src, writes: 1 << insn.dst };
    case bpf.ST:
      return { reads: 1 << insn.dst, writes: 0 };
    case bpf.STX:
      if (bpf.modeOf(insn) === bpf.ATOMIC) return atomic(insn);
      return { reads: (1 << insn.dst) | (1 << insn.src), writes: 0 };
    default:
      return jump(insn);
  }
}

function impliedReads(insn: Insn): number {
  if (bpf.isExit(insn)) return 1;
  if (bpf.isCall(insn)) return ARGUMENTS;
  return bpf.isSkbLoad(insn) ? 1 << 6 : 0;
}

/** Before each instruction. */
export function liveRegisters(prog: readonly Insn[], effects: readonly Effect[]): Uint16Array {
  const live = new Uint16Array(prog.length);
  for (let changed = true; changed; ) {
    changed = false;
    for (let at = prog.length - 1; at >= 0; at--) {
      const insn = prog[at] as Insn;
      const { reads, writes } = effects[at] as Effect;
      let after = 0;
      for (const to of successors(insn, at)) {
        if (!bpf.isPseudoCall(insn) || to === at + 1) after |= live[to] ?? 0;
      }
      const before = (after & ~writes) | reads | impliedReads(insn);
      if (before === live[at]) continue;
      live[at] = before;
      changed = true;
    }
  }
  return live;
}
