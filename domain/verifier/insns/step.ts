// One instruction (do_check of Linux 6.18): it changes the state, and may leave others to follow.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import { type InsnAccess, load as loadFrom, store as storeTo } from "../memory/access.ts";
import { checkNotLeaked } from "../memory/ptr_leaks.ts";
import { checkPtrOffReg } from "../memory/region.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  clobberCallerSaved,
  copyState,
  currentFrame,
  type VerifierState,
  widenScalars,
} from "../state/state.ts";
import {
  constant,
  fits,
  isConst,
  isScalar,
  type RegisterValue,
  scalar,
  typeName,
  UNKNOWN,
  UNMODELLED,
  value,
} from "../state/value.ts";
import type { MapFacts } from "../verdict.ts";
import { checkAluOp } from "./alu.ts";
import { checkResourceLeak } from "./call.ts";
import { checkFuncCall, checkHelperCallAndCallbacks } from "./callee.ts";
import { checkCondJmpOp } from "./condition.ts";
import { checkExit } from "./exit.ts";
import { checkNoLockHeld } from "./lock.ts";

const FETCH = 0x01;
const CMPXCHG = 0xf1;
const LOAD_ACQ = 0x100;
const STORE_REL = 0x110;

function checkLdImm(
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
    regs[insn.dst] = map === undefined ? UNMODELLED : mapPointer(map, insn, high);
  }
}

function mapPointer(map: MapFacts, insn: Insn, offset: number): RegisterValue {
  const isValue = insn.src === bpf.PSEUDO_MAP_VALUE || insn.src === bpf.PSEUDO_MAP_IDX_VALUE;
  return isValue ? value("map_value", { map, off: offset }) : value("map_ptr", { map });
}

/** check_ld_abs() */
function checkLdAbs(env: VerifierEnv, state: VerifierState): void {
  const { regs } = currentFrame(state);
  checkResourceLeak(state, "BPF_LD_[ABS|IND]");
  const context = regs[6] as RegisterValue;
  if (context.kind === "none") throw new Refused("EACCES", "R6 !read_ok");
  if (context.kind !== "ctx" && context.kind !== "any") {
    throw new Refused("EINVAL", "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
  }
  if (context.kind === "ctx") checkPtrOffReg(context, 6);
  clobberCallerSaved(regs, UNKNOWN);
  if (env.options.progType === undefined) state.isCertain = false;
}

/** A number spilled whole gets an id, which its copies share. */
function withSpillId(env: VerifierEnv, regs: RegisterValue[], insn: Insn): RegisterValue {
  const given = regs[insn.src] as RegisterValue;
  const base = regs[insn.dst] as RegisterValue;
  if (base.kind !== "fp" || !isScalar(given) || isConst(given)) return given;
  const off = range.isConst(base.range) ? Number(base.range.smin) + base.off + insn.off : 1;
  if ((off & 7) !== 0 || !fits(given, bpf.bytesOf(insn))) return given;
  const same = env.assignScalarId(given);
  regs[insn.src] = same;
  return same;
}

function checkAtomicAllowed(reg: number, held: RegisterValue, what: string): void {
  const kinds = ["ctx", "pkt", "pkt_meta", "pkt_end"];
  if (!kinds.includes(held.kind)) return;
  throw new Refused("EACCES", `BPF_ATOMIC ${what} R${reg} ${typeName(held)} is not allowed`);
}

function checkAtomic(env: VerifierEnv, state: VerifierState, insn: Insn): void {
  const { regs } = currentFrame(state);
  const size = bpf.bytesOf(insn);
  if (insn.imm === LOAD_ACQ) {
    const from = regs[insn.src] as RegisterValue;
    const access = { reg: insn.src, off: insn.off, size, isStrict: true };
    regs[insn.dst] = loadFrom(env, state, access);
    checkAtomicAllowed(insn.src, from, "loads from");
    return;
  }
  const access = { reg: insn.dst, off: insn.off, size, isStrict: true };
  if (insn.imm === STORE_REL) {
    storeTo(env, state, access, withSpillId(env, regs, insn));
    checkAtomicAllowed(insn.dst, regs[insn.dst] as RegisterValue, "stores into");
    return;
  }
  if (insn.imm === CMPXCHG) checkNotLeaked(env, 0, regs[0], "mem");
  checkNotLeaked(env, insn.src, regs[insn.src], "mem");
  checkAtomicAllowed(insn.dst, regs[insn.dst] as RegisterValue, "stores into");
  const fetched = insn.imm === CMPXCHG ? 0 : (insn.imm & FETCH) !== 0 ? insn.src : null;
  if (fetched !== null) regs[fetched] = UNKNOWN;
  const before = loadFrom(env, state, access);
  if (fetched !== null) regs[fetched] = before;
  storeTo(env, state, access, null);
}

function checkLoadOrStore(env: VerifierEnv, state: VerifierState, insn: Insn): void {
  const { regs } = currentFrame(state);
  const kind = bpf.classOf(insn);
  const access: InsnAccess = { reg: insn.dst, off: insn.off, size: bpf.bytesOf(insn) };
  if (kind === bpf.LDX) {
    const isSigned = bpf.modeOf(insn) === bpf.MEMSX;
    regs[insn.dst] = loadFrom(env, state, { ...access, reg: insn.src, isSigned });
  } else if (kind === bpf.ST) {
    storeTo(env, state, access, constant(BigInt(insn.imm)));
  } else if (bpf.modeOf(insn) === bpf.ATOMIC) {
    checkAtomic(env, state, insn);
  } else {
    storeTo(env, state, access, withSpillId(env, regs, insn));
  }
}

/** Linux takes the jump first, and later the way on, with numbers that a loop may have changed. */
function checkMayGoto(state: VerifierState, insn: Insn): VerifierState[] {
  const later = copyState(state);
  later.at += 1;
  widenScalars(later, scalar(range.UNKNOWN, false));
  state.at = bpf.target(insn, state.at);
  return [later];
}

function checkJump(env: VerifierEnv, state: VerifierState, insn: Insn): VerifierState[] | null {
  if (bpf.isExit(insn)) return checkExit(env, state) ? [] : null;
  if (bpf.isGoto(insn)) {
    state.at = bpf.target(insn, state.at);
    return [];
  }
  if (bpf.isPseudoCall(insn)) {
    checkFuncCall(env, state, insn);
    return [];
  }
  if (bpf.isCall(insn)) checkNoLockHeld(state, insn);
  if (bpf.isHelperCall(insn)) return checkHelperCallAndCallbacks(env, state, insn);
  if (bpf.isCall(insn)) {
    if (state.isCertain) env.hasMissingKfuncCall = true;
    state.at += 1;
    return [];
  }
  if (bpf.opOf(insn) === bpf.JCOND) return checkMayGoto(state, insn);
  const there = checkCondJmpOp(env, state, insn);
  return there === null ? [] : [there];
}

/** @returns states to follow later, the last of them first; null at the end of the path. */
export function checkInsnEffects(
  env: VerifierEnv,
  state: VerifierState,
  insn: Insn,
): VerifierState[] | null {
  const kind = bpf.classOf(insn);
  if (kind === bpf.JMP || kind === bpf.JMP32) return checkJump(env, state, insn);
  const frame = currentFrame(state);
  if (kind === bpf.ALU || kind === bpf.ALU64) {
    frame.regs[insn.dst] = checkAluOp(env, frame.regs, insn);
  } else if (insn.code === bpf.LD_IMM64) {
    checkLdImm(env, frame, insn, state.at);
    state.at += 1;
  } else if (kind === bpf.LD) {
    checkLdAbs(env, state);
  } else {
    checkLoadOrStore(env, state, insn);
  }
  state.at += 1;
  return [];
}
