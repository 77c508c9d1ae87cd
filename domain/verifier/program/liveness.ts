import {
  classOf,
  hasSrcReg,
  type Insn,
  isCall,
  isExit,
  isPseudoCall,
  isSkbLoad,
  modeOf,
  opOf,
} from "../../isa/insn.ts";
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CALL,
  BPF_CMPXCHG,
  BPF_END,
  BPF_EXIT,
  BPF_FETCH,
  BPF_IND,
  BPF_JA,
  BPF_JCOND,
  BPF_LD,
  BPF_LDX,
  BPF_LOAD_ACQ,
  BPF_MOV,
  BPF_NEG,
  BPF_ST,
  BPF_STORE_REL,
  BPF_STX,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import { successors } from "./cfg.ts";

/**
 * compute_live_registers() of Linux 6.18: the registers that some later instruction reads. The
 * others do not count when states are compared.
 */

/** Registers as bits. */
export interface Effect {
  readonly reads: number;
  readonly writes: number;
}

const ARGUMENTS = 0b11_1110;
const CLOBBERED = 0b11_1111;
const NONE: Effect = { reads: 0, writes: 0 };

function atomic({ dst, src, imm }: Insn): Effect {
  const both = (1 << dst) | (1 << src);
  if (imm === BPF_LOAD_ACQ) return { reads: 1 << src, writes: 1 << dst };
  if (imm === BPF_STORE_REL) return { reads: both, writes: 0 };
  if (imm === BPF_CMPXCHG) return { reads: both | 1, writes: 1 };
  return { reads: both, writes: (imm & BPF_FETCH) !== 0 ? 1 << src : 0 };
}

function jump(insn: Insn): Effect {
  const op = opOf(insn);
  if (op === BPF_CALL) return { reads: 0, writes: CLOBBERED };
  if (op === BPF_EXIT || op === BPF_JA || op === BPF_JCOND) return NONE;
  return { reads: (1 << insn.dst) | (hasSrcReg(insn) ? 1 << insn.src : 0), writes: 0 };
}

function alu(insn: Insn): Effect {
  const op = opOf(insn);
  const isUnary = op === BPF_NEG || op === BPF_END;
  const src = hasSrcReg(insn) && !isUnary ? 1 << insn.src : 0;
  return { reads: src | (op === BPF_MOV ? 0 : 1 << insn.dst), writes: 1 << insn.dst };
}

/** Registers that the instruction names: not the arguments of a call, nor the R0 of an exit. */
export function regEffect(insn: Insn): Effect {
  switch (classOf(insn)) {
    case BPF_ALU:
    case BPF_ALU64:
      return alu(insn);
    case BPF_LD:
      if (insn.code === LD_IMM64) return { reads: 0, writes: 1 << insn.dst };
      return { reads: modeOf(insn) === BPF_IND ? 1 << insn.src : 0, writes: CLOBBERED };
    case BPF_LDX:
      return { reads: 1 << insn.src, writes: 1 << insn.dst };
    case BPF_ST:
      return { reads: 1 << insn.dst, writes: 0 };
    case BPF_STX:
      if (modeOf(insn) === BPF_ATOMIC) return atomic(insn);
      return { reads: (1 << insn.dst) | (1 << insn.src), writes: 0 };
    default:
      return jump(insn);
  }
}

function impliedReads(insn: Insn): number {
  if (isExit(insn)) return 1;
  if (isCall(insn)) return ARGUMENTS;
  return isSkbLoad(insn) ? 1 << 6 : 0;
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
        if (!isPseudoCall(insn) || to === at + 1) after |= live[to] ?? 0;
      }
      const before = (after & ~writes) | reads | impliedReads(insn);
      if (before === live[at]) continue;
      live[at] = before;
      changed = true;
    }
  }
  return live;
}
