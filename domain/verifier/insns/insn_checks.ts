import {
  classOf,
  hasSrcReg,
  type Insn,
  isKfuncCall,
  modeOf,
  opOf,
  sizeIndex,
} from "../../isa/insn.ts";
import {
  BPF_ABS,
  BPF_ADD,
  BPF_ALU,
  BPF_ALU64,
  BPF_AND,
  BPF_ARSH,
  BPF_ATOMIC,
  BPF_CALL,
  BPF_CMPXCHG,
  BPF_DIV,
  BPF_END,
  BPF_EXIT,
  BPF_FETCH,
  BPF_IND,
  BPF_JA,
  BPF_JCOND,
  BPF_JMP,
  BPF_LD,
  BPF_LDX,
  BPF_LOAD_ACQ,
  BPF_LSH,
  BPF_MOD,
  BPF_MOV,
  BPF_NEG,
  BPF_OR,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_KFUNC_CALL,
  BPF_RSH,
  BPF_ST,
  BPF_STORE_REL,
  BPF_STX,
  BPF_XCHG,
  BPF_XOR,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import { BPF_REG_FP } from "../../isa/registers.ts";
import { einval, type Refusal, refuse, type VerifierOptions } from "../verdict.ts";

/**
 * The checks of do_check() that need little but the instruction itself: registers, reserved fields,
 * immediates. Invariant: within an instruction they keep the order of the kernel.
 */

const SKB_TYPES = ["socket_filter", "sched_cls", "sched_act"];
const PLAIN_ATOMIC_OPS = [BPF_ADD, BPF_OR, BPF_AND, BPF_XOR];
const FETCH_OPS = [...PLAIN_ATOMIC_OPS.map((op) => op | BPF_FETCH), BPF_XCHG];
const ATOMIC_OPS = [...PLAIN_ATOMIC_OPS, BPF_CMPXCHG, ...FETCH_OPS];

const ADDR_SPACE_CAST = 1;
const reservedFields = (what: string): Refusal => einval(`${what} uses reserved fields`);

/** Registers that were never written, as bits. */
type Unwritten = number;

/** check_reg_arg() */
function checkSource(reg: number, unwritten: Unwritten): Refusal | null {
  if (reg > BPF_REG_FP) return einval(`R${reg} is invalid`);
  return (unwritten & (1 << reg)) !== 0 ? refuse("EACCES", `R${reg} !read_ok`) : null;
}

function checkDestination(reg: number): Refusal | null {
  if (reg === BPF_REG_FP) return refuse("EACCES", "frame pointer is read only");
  return reg > BPF_REG_FP ? einval(`R${reg} is invalid`) : null;
}

function unary(insn: Insn, unwritten: Unwritten): Refusal | null {
  const clean = insn.src === 0 && insn.off === 0;
  if (opOf(insn) === BPF_NEG && (!clean || insn.imm !== 0)) return reservedFields("BPF_NEG");
  if (opOf(insn) === BPF_END && (!clean || ![16, 32, 64].includes(insn.imm))) {
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
  if (!hasSrcReg(insn)) {
    return insn.src !== 0 || insn.off !== 0
      ? reservedFields("BPF_MOV")
      : checkDestination(insn.dst);
  }
  const wide = classOf(insn) === BPF_ALU64;
  if (wide && insn.off === ADDR_SPACE_CAST) return addressSpace(insn);
  const widths = wide ? [0, 8, 16, 32] : [0, 8, 16];
  if (!widths.includes(insn.off) || insn.imm !== 0) return reservedFields("BPF_MOV");
  return checkSource(insn.src, unwritten) ?? checkDestination(insn.dst);
}

function immediate(insn: Insn): Refusal | null {
  const op = opOf(insn);
  if ((op === BPF_DIV || op === BPF_MOD) && insn.imm === 0) return einval("div by zero");
  const width = classOf(insn) === BPF_ALU64 ? 64 : 32;
  const shifts = op === BPF_LSH || op === BPF_RSH || op === BPF_ARSH;
  if (shifts && (insn.imm < 0 || insn.imm >= width)) return einval(`invalid shift ${insn.imm}`);
  return null;
}

function alu(insn: Insn, unwritten: Unwritten): Refusal | null {
  const op = opOf(insn);
  if (op === BPF_NEG || op === BPF_END) return unary(insn, unwritten);
  if (op === BPF_MOV) return mov(insn, unwritten);
  const signed = insn.off === 1 && (op === BPF_DIV || op === BPF_MOD);
  const other = hasSrcReg(insn) ? insn.imm : insn.src;
  if (other !== 0 || (insn.off !== 0 && !signed)) return reservedFields("BPF_ALU");
  const source = hasSrcReg(insn) ? checkSource(insn.src, unwritten) : null;
  const value = hasSrcReg(insn) ? null : immediate(insn);
  return source ?? checkSource(insn.dst, unwritten) ?? value ?? checkDestination(insn.dst);
}

function atomic(insn: Insn, unwritten: Unwritten): Refusal | null {
  if (insn.imm === BPF_LOAD_ACQ)
    return checkSource(insn.src, unwritten) ?? checkDestination(insn.dst);
  if (insn.imm === BPF_STORE_REL)
    return checkSource(insn.src, unwritten) ?? checkSource(insn.dst, unwritten);
  if (!ATOMIC_OPS.includes(insn.imm)) {
    const op = (insn.imm >>> 0).toString(16).padStart(2, "0");
    return einval(`BPF_ATOMIC uses invalid atomic opcode ${op}`);
  }
  if (sizeIndex(insn) === 1 || sizeIndex(insn) === 2) return einval("invalid atomic operand size");
  const compared = insn.imm === BPF_CMPXCHG ? checkSource(0, unwritten) : null;
  const fetched = FETCH_OPS.includes(insn.imm) ? checkDestination(insn.src) : null;
  return (
    checkSource(insn.src, unwritten) ?? checkSource(insn.dst, unwritten) ?? compared ?? fetched
  );
}

function store(insn: Insn, unwritten: Unwritten): Refusal | null {
  if (classOf(insn) === BPF_ST) {
    return insn.src !== 0 ? reservedFields("BPF_ST") : checkSource(insn.dst, unwritten);
  }
  if (modeOf(insn) === BPF_ATOMIC) return atomic(insn, unwritten);
  if (insn.imm !== 0) return reservedFields("BPF_STX");
  return checkSource(insn.src, unwritten) ?? checkSource(insn.dst, unwritten);
}

function call(insn: Insn): Refusal | null {
  const kfunc = isKfuncCall(insn);
  const misused = (!kfunc && insn.off !== 0) || insn.src > BPF_PSEUDO_KFUNC_CALL || insn.dst !== 0;
  return misused ? reservedFields("BPF_CALL") : null;
}

function jump(insn: Insn, unwritten: Unwritten): Refusal | null {
  const { dst, src, off, imm } = insn;
  const op = opOf(insn);
  if (op === BPF_CALL) return call(insn);
  if (op === BPF_EXIT) return imm || src || dst ? reservedFields("BPF_EXIT") : null;
  if (op === BPF_JA) {
    const unused = classOf(insn) === BPF_JMP ? imm : off;
    return unused || src || dst ? reservedFields("BPF_JA") : null;
  }
  if (op === BPF_JCOND) return src || dst || imm ? einval(`invalid may_goto imm ${imm}`) : null;
  const other = hasSrcReg(insn) ? imm : src;
  const misused = other !== 0 ? reservedFields("BPF_JMP/JMP32") : null;
  return (
    checkSource(dst, unwritten) ?? misused ?? (hasSrcReg(insn) ? checkSource(src, unwritten) : null)
  );
}

function load(insn: Insn, options: VerifierOptions, unwritten: Unwritten): Refusal | null {
  if (insn.code === LD_IMM64) {
    if (insn.off !== 0) return reservedFields("BPF_LD_IMM64");
    const isFunc = insn.src === BPF_PSEUDO_FUNC && options.funcInfo !== true;
    return checkDestination(insn.dst) ?? (isFunc ? einval("missing btf func_info") : null);
  }
  if (options.progType !== undefined && !SKB_TYPES.includes(options.progType)) {
    return einval("BPF_LD_[ABS|IND] instructions not allowed for this program type");
  }
  const misused = insn.dst || insn.off || (modeOf(insn) === BPF_ABS && insn.src);
  if (misused) return reservedFields("BPF_LD_[ABS|IND]");
  return modeOf(insn) === BPF_IND ? checkSource(insn.src, unwritten) : null;
}

/** Why Linux refuses this instruction before it looks at what the registers hold. */
export function checkInsn(
  insn: Insn,
  options: VerifierOptions,
  unwritten: Unwritten,
): Refusal | null {
  switch (classOf(insn)) {
    case BPF_ALU:
    case BPF_ALU64:
      return alu(insn, unwritten);
    case BPF_LD:
      return load(insn, options, unwritten);
    case BPF_LDX:
      return checkSource(insn.src, unwritten) ?? checkDestination(insn.dst);
    case BPF_ST:
    case BPF_STX:
      return store(insn, unwritten);
    default:
      return jump(insn, unwritten);
  }
}
