// The checks of do_check() that need little but the instruction itself: registers, reserved fields,
// immediates. Within an instruction they keep the kernel's order.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import { einval, type Refusal, refuse, type VerifierOptions } from "../verdict.ts";

const FRAME_POINTER = 10;
const SKB_TYPES = ["socket_filter", "sched_cls", "sched_act"];
const FETCH_OPS = [0x01, 0x41, 0x51, 0xa1, 0xe1];
const CMPXCHG = 0xf1;
const ATOMIC_OPS = [0x00, 0x40, 0x50, 0xa0, CMPXCHG, ...FETCH_OPS];
const LOAD_ACQ = 0x100;
const STORE_REL = 0x110;

const ADDR_SPACE_CAST = 1;
const reservedFields = (what: string): Refusal => einval(`${what} uses reserved fields`);

/** Registers that were never written, as bits. */
type Unwritten = number;

/** check_reg_arg() */
function checkSource(reg: number, unwritten: Unwritten): Refusal | null {
  if (reg > FRAME_POINTER) return einval(`R${reg} is invalid`);
  return (unwritten & (1 << reg)) !== 0 ? refuse("EACCES", `R${reg} !read_ok`) : null;
}

function checkDestination(reg: number): Refusal | null {
  if (reg === FRAME_POINTER) return refuse("EACCES", "frame pointer is read only");
  return reg > FRAME_POINTER ? einval(`R${reg} is invalid`) : null;
}

function unary(insn: Insn, unwritten: Unwritten): Refusal | null {
  const clean = insn.src === 0 && insn.off === 0;
  if (bpf.opOf(insn) === 0x80 && (!clean || insn.imm !== 0)) return reservedFields("BPF_NEG");
  if (bpf.opOf(insn) === 0xd0 && (!clean || ![16, 32, 64].includes(insn.imm))) {
    return reservedFields("BPF_END");
  }
  return checkSource(insn.dst, unwritten) ?? checkDestination(insn.dst);
}

function addressSpace(insn: Insn): Refusal {
  const cast = "addr_space_cast insn can only";
  if (insn.imm !== 1 && insn.imm !== 1 << 16) {
    return einval(`${cast} convert between address space 1 and 0`);
  }
  return einval(`${cast} be used in a program that has an associated arena`);
}

function mov(insn: Insn, unwritten: Unwritten): Refusal | null {
  if (!bpf.isX(insn)) {
    return insn.src !== 0 || insn.off !== 0
      ? reservedFields("BPF_MOV")
      : checkDestination(insn.dst);
  }
  const wide = bpf.classOf(insn) === bpf.ALU64;
  if (wide && insn.off === ADDR_SPACE_CAST) return addressSpace(insn);
  const widths = wide ? [0, 8, 16, 32] : [0, 8, 16];
  if (!widths.includes(insn.off) || insn.imm !== 0) return reservedFields("BPF_MOV");
  return checkSource(insn.src, unwritten) ?? checkDestination(insn.dst);
}

function immediate(insn: Insn): Refusal | null {
  const op = bpf.opOf(insn);
  if ((op === 0x30 || op === 0x90) && insn.imm === 0) return einval("div by zero");
  const width = bpf.classOf(insn) === bpf.ALU64 ? 64 : 32;
  const shifts = op === 0x60 || op === 0x70 || op === 0xc0;
  if (shifts && (insn.imm < 0 || insn.imm >= width)) return einval(`invalid shift ${insn.imm}`);
  return null;
}

function alu(insn: Insn, unwritten: Unwritten): Refusal | null {
  const op = bpf.opOf(insn);
  if (op === 0x80 || op === 0xd0) return unary(insn, unwritten);
  if (op === 0xb0) return mov(insn, unwritten);
  const signed = insn.off === 1 && (op === 0x30 || op === 0x90);
  const other = bpf.isX(insn) ? insn.imm : insn.src;
  if (other !== 0 || (insn.off !== 0 && !signed)) return reservedFields("BPF_ALU");
  const source = bpf.isX(insn) ? checkSource(insn.src, unwritten) : null;
  const value = bpf.isX(insn) ? null : immediate(insn);
  return source ?? checkSource(insn.dst, unwritten) ?? value ?? checkDestination(insn.dst);
}

function atomic(insn: Insn, unwritten: Unwritten): Refusal | null {
  if (insn.imm === LOAD_ACQ) return checkSource(insn.src, unwritten) ?? checkDestination(insn.dst);
  if (insn.imm === STORE_REL)
    return checkSource(insn.src, unwritten) ?? checkSource(insn.dst, unwritten);
  if (!ATOMIC_OPS.includes(insn.imm)) {
    const op = (insn.imm >>> 0).toString(16).padStart(2, "0");
    return einval(`BPF_ATOMIC uses invalid atomic opcode ${op}`);
  }
  if (bpf.sizeOf(insn) === 1 || bpf.sizeOf(insn) === 2)
    return einval("invalid atomic operand size");
  const compared = insn.imm === CMPXCHG ? checkSource(0, unwritten) : null;
  const fetched = FETCH_OPS.includes(insn.imm) ? checkDestination(insn.src) : null;
  return (
    checkSource(insn.src, unwritten) ?? checkSource(insn.dst, unwritten) ?? compared ?? fetched
  );
}

function store(insn: Insn, unwritten: Unwritten): Refusal | null {
  if (bpf.classOf(insn) === bpf.ST) {
    return insn.src !== 0 ? reservedFields("BPF_ST") : checkSource(insn.dst, unwritten);
  }
  if (bpf.modeOf(insn) === bpf.ATOMIC) return atomic(insn, unwritten);
  if (insn.imm !== 0) return reservedFields("BPF_STX");
  return checkSource(insn.src, unwritten) ?? checkSource(insn.dst, unwritten);
}

function call(insn: Insn): Refusal | null {
  const kfunc = bpf.isKfuncCall(insn);
  const misused = (!kfunc && insn.off !== 0) || insn.src > bpf.PSEUDO_KFUNC_CALL || insn.dst !== 0;
  return misused ? reservedFields("BPF_CALL") : null;
}

function jump(insn: Insn, unwritten: Unwritten): Refusal | null {
  const { dst, src, off, imm } = insn;
  const op = bpf.opOf(insn);
  if (op === bpf.CALL) return call(insn);
  if (op === bpf.EXIT) return imm || src || dst ? reservedFields("BPF_EXIT") : null;
  if (op === bpf.JA) {
    const unused = bpf.classOf(insn) === bpf.JMP ? imm : off;
    return unused || src || dst ? reservedFields("BPF_JA") : null;
  }
  if (op === bpf.JCOND) return src || dst || imm ? einval(`invalid may_goto imm ${imm}`) : null;
  const other = bpf.isX(insn) ? imm : src;
  const misused = other !== 0 ? reservedFields("BPF_JMP/JMP32") : null;
  return (
    checkSource(dst, unwritten) ?? misused ?? (bpf.isX(insn) ? checkSource(src, unwritten) : null)
  );
}

function load(insn: Insn, options: VerifierOptions, unwritten: Unwritten): Refusal | null {
  if (insn.code === bpf.LD_IMM64) {
    if (insn.off !== 0) return reservedFields("BPF_LD_IMM64");
    const isFunc = insn.src === bpf.PSEUDO_FUNC && options.funcInfo !== true;
    return checkDestination(insn.dst) ?? (isFunc ? einval("missing btf func_info") : null);
  }
  if (options.progType !== undefined && !SKB_TYPES.includes(options.progType)) {
    return einval("BPF_LD_[ABS|IND] instructions not allowed for this program type");
  }
  const misused = insn.dst || insn.off || (bpf.modeOf(insn) === bpf.ABS && insn.src);
  if (misused) return reservedFields("BPF_LD_[ABS|IND]");
  return bpf.modeOf(insn) === bpf.IND ? checkSource(insn.src, unwritten) : null;
}

/** Why Linux refuses this instruction before it looks at what the registers hold. */
export function checkInsn(
  insn: Insn,
  options: VerifierOptions,
  unwritten: Unwritten,
): Refusal | null {
  switch (bpf.classOf(insn)) {
    case bpf.ALU:
    case bpf.ALU64:
      return alu(insn, unwritten);
    case bpf.LD:
      return load(insn, options, unwritten);
    case bpf.LDX:
      return checkSource(insn.src, unwritten) ?? checkDestination(insn.dst);
    case bpf.ST:
    case bpf.STX:
      return store(insn, unwritten);
    default:
      return jump(insn, unwritten);
  }
}
