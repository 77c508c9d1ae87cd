// print_bpf_insn of kernel/bpf/disasm.c: one instruction as the verifier's log shows it.
// It never fails: the log prints an instruction before it is checked.

import { helperName } from "./helpers.ts";
import type { Insn } from "./insn.ts";
import * as bpf from "./insn.ts";

const SIZES = ["u32", "u16", "u8", "u64"];
const SIGNED_SIZES = ["s32", "s16", "s8", "s64"];
const ASSIGN = "+= -= *= /= |= &= <<= >>= neg %= ^= = s>>= endian".split(" ");
const COMPARE = "jmp == > >= & != s> s>= call exit < <= s< s<=".split(" ");
const FETCH: Readonly<Record<number, string>> = {
  1: "fetch_add",
  65: "fetch_or",
  81: "fetch_and",
  161: "fetch_xor",
  225: "xchg",
};
const LOCK = [0x00, 0x40, 0x50, 0xa0];
const CMPXCHG = 0xf1;
const LOAD_ACQ = 0x100;
const STORE_REL = 0x110;

const signed = (n: number): string => (n < 0 ? `${n}` : `+${n}`);
const hex = (n: number): string => `0x${(n >>> 0).toString(16)}`;
const size = (insn: Insn): string => SIZES[bpf.sizeOf(insn)] ?? "";
const memory = (insn: Insn, base: number, type = size(insn)): string =>
  `*(${type} *)(r${base} ${signed(insn.off)})`;

function assign(insn: Insn): string {
  const op = bpf.opOf(insn);
  const sign = ASSIGN[op >> 4] ?? "(null)";
  return insn.off === 1 && (op === 0x30 || op === 0x90) ? `s${sign}` : sign;
}

function cast(insn: Insn): string {
  const widths = [8, 16, 32];
  return bpf.opOf(insn) === 0xb0 && widths.includes(insn.off) ? `(s${insn.off})` : "";
}

function alu(insn: Insn): string {
  const wide = bpf.classOf(insn) === bpf.ALU64;
  const r = wide ? "r" : "w";
  const dst = `${r}${insn.dst}`;
  const op = bpf.opOf(insn);
  if (op === 0xd0) {
    const end = wide ? "bswap" : bpf.isX(insn) ? "be" : "le";
    return `r${insn.dst} = ${end}${insn.imm} r${insn.dst}`;
  }
  if (op === 0x80) return `${dst} = -${dst}`;
  if (insn.code === 0xbf && insn.off === 1) {
    return `r${insn.dst} = addr_space_cast(r${insn.src}, ${insn.imm >>> 16}, ${insn.imm & 0xffff})`;
  }
  if (insn.code === 0xbf && insn.off === -1)
    return `r${insn.dst} = &(void __percpu *)(r${insn.src})`;
  if (bpf.isX(insn)) return `${dst} ${assign(insn)} ${cast(insn)}${r}${insn.src}`;
  return `${dst} ${assign(insn)} ${insn.imm}`;
}

function atomic(insn: Insn): string | null {
  const bits = bpf.sizeOf(insn) === 3 ? "64" : "";
  const place = `(${size(insn)} *)(r${insn.dst} ${signed(insn.off)})`;
  if (LOCK.includes(insn.imm)) {
    return `lock *${place} ${ASSIGN[insn.imm >> 4] ?? ""} r${insn.src}`;
  }
  const fetch = FETCH[insn.imm];
  if (fetch !== undefined) return `r${insn.src} = atomic${bits}_${fetch}(${place}, r${insn.src})`;
  if (insn.imm === CMPXCHG) return `r0 = atomic${bits}_cmpxchg(${place}, r0, r${insn.src})`;
  if (insn.imm === LOAD_ACQ) {
    return `r${insn.dst} = load_acquire((${size(insn)} *)(r${insn.src} ${signed(insn.off)}))`;
  }
  return insn.imm === STORE_REL ? `store_release(${place}, r${insn.src})` : null;
}

/** How a ld_imm64 shows its constant (cb_imm of struct bpf_insn_cbs). */
export type Constant = (insn: Insn, next: Insn | undefined) => string;

/** All 64 bits of a ld_imm64. */
export function constant(insn: Insn, next: Insn | undefined): string {
  const imm = (BigInt((next?.imm ?? 0) >>> 0) << 32n) | BigInt(insn.imm >>> 0);
  return `0x${imm.toString(16)}`;
}

/** A map is a kernel address in the log, which this service has none of. */
const logged: Constant = (insn, next) =>
  insn.src === 0 || insn.src === bpf.PSEUDO_FUNC ? constant(insn, next) : "0x0";

function load(insn: Insn, next: Insn | undefined, show: Constant): string {
  const mode = bpf.modeOf(insn);
  if (mode === bpf.ABS) return `r0 = *(${size(insn)} *)skb[${insn.imm}]`;
  if (mode === bpf.IND) return `r0 = *(${size(insn)} *)skb[r${insn.src} + ${insn.imm}]`;
  return `r${insn.dst} = ${show(insn, next)}`;
}

function jump(insn: Insn): string {
  const r = bpf.classOf(insn) === bpf.JMP32 ? "w" : "r";
  if (bpf.isPseudoCall(insn)) return `call pc${signed(insn.imm)}`;
  if (bpf.isHelperCall(insn)) return `call ${helperName(insn.imm)}#${insn.imm}`;
  if (bpf.isKfuncCall(insn)) return `call #${insn.imm}`;
  if (bpf.isCall(insn)) return `call unknown#${insn.imm}`;
  if (insn.code === (bpf.JMP | bpf.JA)) return `goto pc${signed(insn.off)}`;
  if (insn.code === (bpf.JMP | bpf.JCOND) && insn.src === 0)
    return `may_goto pc${signed(insn.off)}`;
  if (insn.code === (bpf.JMP32 | bpf.JA)) return `gotol pc${signed(insn.imm)}`;
  if (bpf.isExit(insn)) return "exit";
  const right = bpf.isX(insn) ? `${r}${insn.src}` : hex(insn.imm);
  const sign = COMPARE[bpf.opOf(insn) >> 4] ?? "(null)";
  return `if ${r}${insn.dst} ${sign} ${right} goto pc${signed(insn.off)}`;
}

function text(insn: Insn, next: Insn | undefined, show: Constant): string | null {
  switch (bpf.classOf(insn)) {
    case bpf.ALU:
    case bpf.ALU64:
      return alu(insn);
    case bpf.LDX: {
      const sizes = bpf.modeOf(insn) === bpf.MEMSX ? SIGNED_SIZES : SIZES;
      return `r${insn.dst} = ${memory(insn, insn.src, sizes[bpf.sizeOf(insn)])}`;
    }
    case bpf.STX:
      if (bpf.modeOf(insn) === bpf.ATOMIC) return atomic(insn);
      return `${memory(insn, insn.dst)} = r${insn.src}`;
    case bpf.ST:
      return `${memory(insn, insn.dst)} = ${insn.imm}`;
    case bpf.LD:
      return load(insn, next, show);
    default:
      return jump(insn);
  }
}

/** `next` is the second half of a ld_imm64. Only opcodes of the table reach the log. */
export function disasm(insn: Insn, next?: Insn, show: Constant = logged): string {
  const code = insn.code.toString(16).padStart(2, "0");
  const body = text(insn, next, show);
  return body === null ? `BUG_${code}` : `(${code}) ${body}`;
}
