import {
  bytesOf,
  calleeOf,
  classOf,
  type Insn,
  isCall,
  isExit,
  isGoto,
  isHelperCall,
  isPseudoCall,
  jumpTarget,
  modeOf,
  opOf,
} from "../../isa/insn.ts";
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CMPXCHG,
  BPF_FETCH,
  BPF_JCOND,
  BPF_JMP,
  BPF_JMP32,
  BPF_LD,
  BPF_LDX,
  BPF_LOAD_ACQ,
  BPF_MEMSX,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_IDX_VALUE,
  BPF_PSEUDO_MAP_VALUE,
  BPF_ST,
  BPF_STORE_REL,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import { BPF_REG_6 } from "../../isa/registers.ts";
import { load as loadFrom, store as storeTo } from "../memory/access.ts";
import { checkNotLeaked } from "../memory/ptr_leaks.ts";
import { checkPtrOffReg, type InsnAccess } from "../memory/region.ts";
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

/**
 * One instruction of do_check() of Linux 6.18: it changes the state and may push branches to follow
 * later.
 */

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
  } else if (insn.src === BPF_PSEUDO_FUNC) {
    regs[insn.dst] = value("func", { home: calleeOf(insn, at) });
  } else {
    regs[insn.dst] = map === undefined ? UNMODELLED : mapPointer(map, insn, high);
  }
}

function mapPointer(map: MapFacts, insn: Insn, offset: number): RegisterValue {
  const isValue = insn.src === BPF_PSEUDO_MAP_VALUE || insn.src === BPF_PSEUDO_MAP_IDX_VALUE;
  return isValue ? value("map_value", { map, off: offset }) : value("map_ptr", { map });
}

/** check_ld_abs() */
function checkLdAbs(env: VerifierEnv, state: VerifierState): void {
  const { regs } = currentFrame(state);
  checkResourceLeak(state, "BPF_LD_[ABS|IND]");
  const context = regs[BPF_REG_6] as RegisterValue;
  if (context.kind === "none") throw new Refused("EACCES", "R6 !read_ok");
  if (context.kind !== "ctx" && context.kind !== "any") {
    throw new Refused("EINVAL", "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
  }
  if (context.kind === "ctx") checkPtrOffReg(context, BPF_REG_6);
  clobberCallerSaved(regs, UNKNOWN);
  if (env.options.progType === undefined) state.isCertain = false;
}

/** A number that is spilled whole gets an id, which its copies share. */
function withSpillId(env: VerifierEnv, regs: RegisterValue[], insn: Insn): RegisterValue {
  const given = regs[insn.src] as RegisterValue;
  const base = regs[insn.dst] as RegisterValue;
  if (base.kind !== "fp" || !isScalar(given) || isConst(given)) return given;
  const off = range.isConst(base.range) ? Number(base.range.smin) + base.off + insn.off : 1;
  if ((off & 7) !== 0 || !fits(given, bytesOf(insn))) return given;
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
  const size = bytesOf(insn);
  if (insn.imm === BPF_LOAD_ACQ) {
    const from = regs[insn.src] as RegisterValue;
    const access = { reg: insn.src, off: insn.off, size, isStrict: true };
    regs[insn.dst] = loadFrom(env, state, access);
    checkAtomicAllowed(insn.src, from, "loads from");
    return;
  }
  const access = { reg: insn.dst, off: insn.off, size, isStrict: true };
  if (insn.imm === BPF_STORE_REL) {
    storeTo(env, state, access, withSpillId(env, regs, insn));
    checkAtomicAllowed(insn.dst, regs[insn.dst] as RegisterValue, "stores into");
    return;
  }
  if (insn.imm === BPF_CMPXCHG) checkNotLeaked(env, 0, regs[0], "mem");
  checkNotLeaked(env, insn.src, regs[insn.src], "mem");
  checkAtomicAllowed(insn.dst, regs[insn.dst] as RegisterValue, "stores into");
  const fetched = insn.imm === BPF_CMPXCHG ? 0 : (insn.imm & BPF_FETCH) !== 0 ? insn.src : null;
  if (fetched !== null) regs[fetched] = UNKNOWN;
  const before = loadFrom(env, state, access);
  if (fetched !== null) regs[fetched] = before;
  storeTo(env, state, access, null);
}

function checkLoadOrStore(env: VerifierEnv, state: VerifierState, insn: Insn): void {
  const { regs } = currentFrame(state);
  const kind = classOf(insn);
  const access: InsnAccess = { reg: insn.dst, off: insn.off, size: bytesOf(insn) };
  if (kind === BPF_LDX) {
    const isSigned = modeOf(insn) === BPF_MEMSX;
    regs[insn.dst] = loadFrom(env, state, { ...access, reg: insn.src, isSigned });
  } else if (kind === BPF_ST) {
    storeTo(env, state, access, constant(BigInt(insn.imm)));
  } else if (modeOf(insn) === BPF_ATOMIC) {
    checkAtomic(env, state, insn);
  } else {
    storeTo(env, state, access, withSpillId(env, regs, insn));
  }
}

/** Linux follows the jump first, and later the next instruction with widened numbers. */
function checkMayGoto(state: VerifierState, insn: Insn): VerifierState[] {
  const later = copyState(state);
  later.at += 1;
  widenScalars(later, scalar(range.UNKNOWN, false));
  state.at = jumpTarget(insn, state.at);
  return [later];
}

function checkJump(env: VerifierEnv, state: VerifierState, insn: Insn): VerifierState[] | null {
  if (isExit(insn)) return checkExit(env, state) ? [] : null;
  if (isGoto(insn)) {
    state.at = jumpTarget(insn, state.at);
    return [];
  }
  if (isPseudoCall(insn)) {
    checkFuncCall(env, state, insn);
    return [];
  }
  if (isCall(insn)) checkNoLockHeld(state, insn);
  if (isHelperCall(insn)) return checkHelperCallAndCallbacks(env, state, insn);
  if (isCall(insn)) {
    if (state.isCertain) env.hasMissingKfuncCall = true;
    state.at += 1;
    return [];
  }
  if (opOf(insn) === BPF_JCOND) return checkMayGoto(state, insn);
  const there = checkCondJmpOp(env, state, insn);
  return there === null ? [] : [there];
}

/** @returns states to follow later, the last one first; null at the end of the path. */
export function checkInsnEffects(
  env: VerifierEnv,
  state: VerifierState,
  insn: Insn,
): VerifierState[] | null {
  const kind = classOf(insn);
  if (kind === BPF_JMP || kind === BPF_JMP32) return checkJump(env, state, insn);
  const frame = currentFrame(state);
  if (kind === BPF_ALU || kind === BPF_ALU64) {
    frame.regs[insn.dst] = checkAluOp(env, frame.regs, insn);
  } else if (insn.code === LD_IMM64) {
    checkLdImm(env, frame, insn, state.at);
    state.at += 1;
  } else if (kind === BPF_LD) {
    checkLdAbs(env, state);
  } else {
    checkLoadOrStore(env, state, insn);
  }
  state.at += 1;
  return [];
}
