// One instruction (do_check of Linux 6.18): it changes the state, and may leave others to follow.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import { type InsnAccess, load as loadFrom, store as storeTo } from "../memory/access.ts";
import { kept } from "../memory/ptr_leaks.ts";
import { unmoved } from "../memory/region.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { clobber, copy, top, type VerifierState, widen } from "../state/state.ts";
import {
  ANY,
  constant,
  fits,
  isConst,
  isScalar,
  Refused,
  type RegisterValue,
  scalar,
  typeName,
  UNKNOWN,
  value,
} from "../state/value.ts";
import type { MapFacts } from "../verdict.ts";
import { arithmetic } from "./alu.ts";
import { unleaked } from "./call.ts";
import { called, enter } from "./callee.ts";
import { jump } from "./condition.ts";
import { leave } from "./exit.ts";
import { unlockedFor } from "./lock.ts";

const FETCH = 0x01;
const CMPXCHG = 0xf1;
const LOAD_ACQ = 0x100;
const STORE_REL = 0x110;

function loadImmediate(
  env: VerifierEnv,
  { regs }: { regs: RegisterValue[] },
  insn: Insn,
  at: number,
): void {
  const high = env.prog[at + 1]?.imm ?? 0;
  const map = env.maps.get(at);
  if (insn.src === 0) {
    regs[insn.dst] = constant((BigInt(high >>> 0) << 32n) | BigInt(insn.imm >>> 0));
  } else if (insn.src === bpf.PSEUDO_FUNC) {
    regs[insn.dst] = value("func", { home: bpf.callee(insn, at) });
  } else {
    regs[insn.dst] = map === undefined ? ANY : mapPointer(map, insn, high);
  }
}

function mapPointer(map: MapFacts, insn: Insn, offset: number): RegisterValue {
  const isValue = insn.src === bpf.PSEUDO_MAP_VALUE || insn.src === bpf.PSEUDO_MAP_IDX_VALUE;
  return isValue ? value("map_value", { map, off: offset }) : value("map_ptr", { map });
}

/** check_ld_abs() */
function packetLoad(env: VerifierEnv, state: VerifierState): void {
  const { regs } = top(state);
  unleaked(state, "BPF_LD_[ABS|IND]");
  const context = regs[6] as RegisterValue;
  if (context.kind === "none") throw new Refused("EACCES", "R6 !read_ok");
  if (context.kind !== "ctx" && context.kind !== "any") {
    throw new Refused("EINVAL", "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
  }
  if (context.kind === "ctx") unmoved(context, 6);
  clobber(regs, UNKNOWN);
  if (env.options.progType === undefined) state.certain = false;
}

/** A number spilled whole gets an id, which its copies share. */
function spillable(env: VerifierEnv, regs: RegisterValue[], insn: Insn): RegisterValue {
  const given = regs[insn.src] as RegisterValue;
  const base = regs[insn.dst] as RegisterValue;
  if (base.kind !== "fp" || !isScalar(given) || isConst(given)) return given;
  const off = range.isConst(base.range) ? Number(base.range.smin) + base.off + insn.off : 1;
  if ((off & 7) !== 0 || !fits(given, bpf.bytesOf(insn))) return given;
  const same = env.identify(given);
  regs[insn.src] = same;
  return same;
}

function notAtomic(reg: number, held: RegisterValue, what: string): void {
  const kinds = ["ctx", "pkt", "pkt_meta", "pkt_end"];
  if (!kinds.includes(held.kind)) return;
  throw new Refused("EACCES", `BPF_ATOMIC ${what} R${reg} ${typeName(held)} is not allowed`);
}

function atomic(env: VerifierEnv, state: VerifierState, insn: Insn): void {
  const { regs } = top(state);
  const size = bpf.bytesOf(insn);
  if (insn.imm === LOAD_ACQ) {
    const from = regs[insn.src] as RegisterValue;
    const access = { reg: insn.src, off: insn.off, size, strict: true };
    regs[insn.dst] = loadFrom(env, state, access);
    notAtomic(insn.src, from, "loads from");
    return;
  }
  const access = { reg: insn.dst, off: insn.off, size, strict: true };
  if (insn.imm === STORE_REL) {
    storeTo(env, state, access, spillable(env, regs, insn));
    notAtomic(insn.dst, regs[insn.dst] as RegisterValue, "stores into");
    return;
  }
  if (insn.imm === CMPXCHG) kept(env, 0, regs[0], "mem");
  kept(env, insn.src, regs[insn.src], "mem");
  notAtomic(insn.dst, regs[insn.dst] as RegisterValue, "stores into");
  const fetched = insn.imm === CMPXCHG ? 0 : (insn.imm & FETCH) !== 0 ? insn.src : null;
  if (fetched !== null) regs[fetched] = UNKNOWN;
  const before = loadFrom(env, state, access);
  if (fetched !== null) regs[fetched] = before;
  storeTo(env, state, access, null);
}

function memory(env: VerifierEnv, state: VerifierState, insn: Insn): void {
  const { regs } = top(state);
  const kind = bpf.classOf(insn);
  const access: InsnAccess = { reg: insn.dst, off: insn.off, size: bpf.bytesOf(insn) };
  if (kind === bpf.LDX) {
    const signed = bpf.modeOf(insn) === bpf.MEMSX;
    regs[insn.dst] = loadFrom(env, state, { ...access, reg: insn.src, signed });
  } else if (kind === bpf.ST) {
    storeTo(env, state, access, constant(BigInt(insn.imm)));
  } else if (bpf.modeOf(insn) === bpf.ATOMIC) {
    atomic(env, state, insn);
  } else {
    storeTo(env, state, access, spillable(env, regs, insn));
  }
}

/** Linux takes the jump first, and later the way on, with numbers that a loop may have changed. */
function mayGoto(state: VerifierState, insn: Insn): VerifierState[] {
  const later = copy(state);
  later.at += 1;
  widen(later, scalar(range.UNKNOWN, false));
  state.at = bpf.target(insn, state.at);
  return [later];
}

function flow(env: VerifierEnv, state: VerifierState, insn: Insn): VerifierState[] | null {
  if (bpf.isExit(insn)) return leave(env, state) ? [] : null;
  if (bpf.isGoto(insn)) {
    state.at = bpf.target(insn, state.at);
    return [];
  }
  if (bpf.isPseudoCall(insn)) {
    enter(env, state, insn);
    return [];
  }
  if (bpf.isCall(insn)) unlockedFor(state, insn);
  if (bpf.isHelperCall(insn)) return called(env, state, insn);
  if (bpf.isCall(insn)) {
    if (state.certain) env.callsMissing = true;
    state.at += 1;
    return [];
  }
  if (bpf.opOf(insn) === bpf.JCOND) return mayGoto(state, insn);
  const there = jump(env, state, insn);
  return there === null ? [] : [there];
}

/** @returns states to follow later, the last of them first; null at the end of the path. */
export function step(env: VerifierEnv, state: VerifierState, insn: Insn): VerifierState[] | null {
  const kind = bpf.classOf(insn);
  if (kind === bpf.JMP || kind === bpf.JMP32) return flow(env, state, insn);
  const frame = top(state);
  if (kind === bpf.ALU || kind === bpf.ALU64) {
    frame.regs[insn.dst] = arithmetic(env, frame.regs, insn);
  } else if (insn.code === bpf.LD_IMM64) {
    loadImmediate(env, frame, insn, state.at);
    state.at += 1;
  } else if (kind === bpf.LD) {
    packetLoad(env, state);
  } else {
    memory(env, state, insn);
  }
  state.at += 1;
  return [];
}
