import { helperName } from "./helpers/index.ts";
import {
  classOf,
  hasSrcReg,
  type Insn,
  isCall,
  isExit,
  isHelperCall,
  isKfuncCall,
  isPseudoCall,
  modeOf,
  opOf,
  sizeIndex,
} from "./insn.ts";
import {
  BPF_ABS,
  BPF_ADD,
  BPF_ALU,
  BPF_ALU64,
  BPF_AND,
  BPF_ATOMIC,
  BPF_CMPXCHG,
  BPF_DIV,
  BPF_END,
  BPF_FETCH,
  BPF_IND,
  BPF_JA,
  BPF_JCOND,
  BPF_JMP,
  BPF_JMP32,
  BPF_LD,
  BPF_LDX,
  BPF_LOAD_ACQ,
  BPF_MEMSX,
  BPF_MOD,
  BPF_MOV,
  BPF_NEG,
  BPF_OR,
  BPF_PSEUDO_FUNC,
  BPF_ST,
  BPF_STORE_REL,
  BPF_STX,
  BPF_X,
  BPF_XCHG,
  BPF_XOR,
} from "./opcodes.ts";

/**
 * print_bpf_insn() of kernel/bpf/disasm.c: one instruction as the verifier's log shows it. It never
 * fails, because the log prints an instruction before it is checked.
 */

const SIZES = ["u32", "u16", "u8", "u64"];
const SIGNED_SIZES = ["s32", "s16", "s8", "s64"];
const ASSIGN = "+= -= *= /= |= &= <<= >>= neg %= ^= = s>>= endian".split(" ");
const COMPARE = "jmp == > >= & != s> s>= call exit < <= s< s<=".split(" ");
const FETCH: Readonly<Record<number, string>> = {
  [BPF_ADD | BPF_FETCH]: "fetch_add",
  [BPF_OR | BPF_FETCH]: "fetch_or",
  [BPF_AND | BPF_FETCH]: "fetch_and",
  [BPF_XOR | BPF_FETCH]: "fetch_xor",
  [BPF_XCHG]: "xchg",
};
const MOV64_REG = BPF_ALU64 | BPF_MOV | BPF_X;
const LOCK = [BPF_ADD, BPF_OR, BPF_AND, BPF_XOR];

const signed = (n: number): string => (n < 0 ? `${n}` : `+${n}`);
const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;
const size = (insn: Insn): string => SIZES[sizeIndex(insn)] ?? "";
const memory = (insn: Insn, base: number, type = size(insn)): string =>
  `*(${type} *)(r${base} ${signed(insn.off)})`;

function assign(insn: Insn): string {
  const op = opOf(insn);
  const sign = ASSIGN[op >> 4] ?? "(null)";
  return insn.off === 1 && (op === BPF_DIV || op === BPF_MOD) ? `s${sign}` : sign;
}

function cast(insn: Insn): string {
  const widths = [8, 16, 32];
  return opOf(insn) === BPF_MOV && widths.includes(insn.off) ? `(s${insn.off})` : "";
}

function alu(insn: Insn): string {
  const wide = classOf(insn) === BPF_ALU64;
  const r = wide ? "r" : "w";
  const dst = `${r}${insn.dst}`;
  const op = opOf(insn);
  if (op === BPF_END) {
    const end = wide ? "bswap" : hasSrcReg(insn) ? "be" : "le";
    return `r${insn.dst} = ${end}${insn.imm} r${insn.dst}`;
  }
  if (op === BPF_NEG) return `${dst} = -${dst}`;
  if (insn.code === MOV64_REG && insn.off === 1) {
    return `r${insn.dst} = addr_space_cast(r${insn.src}, ${insn.imm >>> 16}, ${insn.imm & 0xffff})`;
  }
  if (insn.code === MOV64_REG && insn.off === -1)
    return `r${insn.dst} = &(void __percpu *)(r${insn.src})`;
  if (hasSrcReg(insn)) return `${dst} ${assign(insn)} ${cast(insn)}${r}${insn.src}`;
  return `${dst} ${assign(insn)} ${insn.imm}`;
}

function atomic(insn: Insn): string | null {
  const bits = sizeIndex(insn) === 3 ? "64" : "";
  const place = `(${size(insn)} *)(r${insn.dst} ${signed(insn.off)})`;
  if (LOCK.includes(insn.imm)) {
    return `lock *${place} ${ASSIGN[insn.imm >> 4] ?? ""} r${insn.src}`;
  }
  const fetch = FETCH[insn.imm];
  if (fetch !== undefined) return `r${insn.src} = atomic${bits}_${fetch}(${place}, r${insn.src})`;
  if (insn.imm === BPF_CMPXCHG) return `r0 = atomic${bits}_cmpxchg(${place}, r0, r${insn.src})`;
  if (insn.imm === BPF_LOAD_ACQ) {
    return `r${insn.dst} = load_acquire((${size(insn)} *)(r${insn.src} ${signed(insn.off)}))`;
  }
  return insn.imm === BPF_STORE_REL ? `store_release(${place}, r${insn.src})` : null;
}

/** Prints the constant of a ld_imm64 (cb_imm of struct bpf_insn_cbs). */
export type Constant = (insn: Insn, next: Insn | undefined) => string;

/** Prints all 64 bits of a ld_imm64. */
export function constant(insn: Insn, next: Insn | undefined): string {
  const imm = (BigInt((next?.imm ?? 0) >>> 0) << 32n) | BigInt(insn.imm >>> 0);
  return `0x${imm.toString(16)}`;
}

/** The log shows the kernel address of a map; this service has none, so it shows 0. */
const logged: Constant = (insn, next) =>
  insn.src === 0 || insn.src === BPF_PSEUDO_FUNC ? constant(insn, next) : "0x0";

function load(insn: Insn, next: Insn | undefined, show: Constant): string {
  const mode = modeOf(insn);
  if (mode === BPF_ABS) return `r0 = *(${size(insn)} *)skb[${insn.imm}]`;
  if (mode === BPF_IND) return `r0 = *(${size(insn)} *)skb[r${insn.src} + ${insn.imm}]`;
  return `r${insn.dst} = ${show(insn, next)}`;
}

function jump(insn: Insn): string {
  const r = classOf(insn) === BPF_JMP32 ? "w" : "r";
  if (isPseudoCall(insn)) return `call pc${signed(insn.imm)}`;
  if (isHelperCall(insn)) return `call ${helperName(insn.imm)}#${insn.imm}`;
  if (isKfuncCall(insn)) return `call #${insn.imm}`;
  if (isCall(insn)) return `call unknown#${insn.imm}`;
  if (insn.code === (BPF_JMP | BPF_JA)) return `goto pc${signed(insn.off)}`;
  if (insn.code === (BPF_JMP | BPF_JCOND) && insn.src === 0)
    return `may_goto pc${signed(insn.off)}`;
  if (insn.code === (BPF_JMP32 | BPF_JA)) return `gotol pc${signed(insn.imm)}`;
  if (isExit(insn)) return "exit";
  const right = hasSrcReg(insn) ? `${r}${insn.src}` : hex(insn.imm);
  const sign = COMPARE[opOf(insn) >> 4] ?? "(null)";
  return `if ${r}${insn.dst} ${sign} ${right} goto pc${signed(insn.off)}`;
}

function text(insn: Insn, next: Insn | undefined, show: Constant): string | null {
  switch (classOf(insn)) {
    case BPF_ALU:
    case BPF_ALU64:
      return alu(insn);
    case BPF_LDX: {
      const sizes = modeOf(insn) === BPF_MEMSX ? SIGNED_SIZES : SIZES;
      return `r${insn.dst} = ${memory(insn, insn.src, sizes[sizeIndex(insn)])}`;
    }
    case BPF_STX:
      if (modeOf(insn) === BPF_ATOMIC) return atomic(insn);
      return `${memory(insn, insn.dst)} = r${insn.src}`;
    case BPF_ST:
      return `${memory(insn, insn.dst)} = ${insn.imm}`;
    case BPF_LD:
      return load(insn, next, show);
    default:
      return jump(insn);
  }
}

/** @param next the second half of a ld_imm64. */
export function disasm(insn: Insn, next?: Insn, show: Constant = logged): string {
  const code = insn.code.toString(16).padStart(2, "0");
  const body = text(insn, next, show);
  return body === null ? `BUG_${code}` : `(${code}) ${body}`;
}
