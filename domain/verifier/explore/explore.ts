import {
  classOf,
  type Insn,
  isCall,
  isExit,
  isHelperCall,
  isJump,
  isKfuncCall,
  isPseudoCall,
  jumpTarget,
} from "../../isa/insn.ts";
import { BPF_ST, BPF_STX, LD_IMM64 } from "../../isa/opcodes.ts";
import { BPF_REG_FP } from "../../isa/registers.ts";
import { popFrame } from "../insns/exit.ts";
import { globalFuncState } from "../insns/global_func.ts";
import { checkInsn } from "../insns/insn_checks.ts";
import { checkInsnEffects } from "../insns/step.ts";
import type { Effect } from "../program/liveness.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  clobberStacks,
  copyState,
  currentFrame,
  makeFrame,
  type VerifierState,
} from "../state/state.ts";
import { UNMODELLED, value } from "../state/value.ts";
import { LIMITS, type Refusal, refuse } from "../verdict.ts";
import { PruningPoints } from "./pruning.ts";

/**
 * do_check(): follows a program along all its paths, in the order of Linux. Invariant: a fault
 * refuses the program only where Linux certainly reaches it and knows no more; otherwise the path
 * goes on with an unmodelled value.
 */

/** The most branches that wait to be followed. */
const MAX_PENDING_BRANCHES = 8192;
/** Linux prunes more, so that a program with branches may take fewer steps there. */
const BRANCHED_SHARE = 4;

export interface Explored {
  readonly refusal: Refusal | null;
  /** All paths were followed to their end. */
  readonly isComplete: boolean;
  /** More instructions were processed than the caller allows. */
  readonly isOverBudget: boolean;
  readonly insnsProcessed: number;
  /** The instruction processed last; when the program is refused, the one refused. */
  readonly at: number;
}

interface PendingBranch {
  readonly state: VerifierState;
  readonly from: number;
  readonly logEnd: number;
}

export class Explorer {
  readonly #env: VerifierEnv;
  readonly #limit: number;
  readonly #maxProcessed: number;
  readonly #effects: readonly Effect[];
  #pruning: PruningPoints;
  readonly #pending: PendingBranch[] = [];
  #insnsProcessed = 0;
  #at = 0;
  #hasBranched = false;
  #isFirstPath = true;
  #hasTooManyBranches = false;

  /** @param maxProcessed instructions after which the verifier gives up. */
  constructor(env: VerifierEnv, maxProcessed: number) {
    this.#env = env;
    this.#limit = env.options.limits?.complexity ?? LIMITS.complexity;
    this.#maxProcessed = maxProcessed;
    this.#effects = env.effects;
    this.#pruning = new PruningPoints(env);
  }

  run(): Explored {
    const frame = makeFrame(0, -1, 0);
    frame.regs[1] = value("ctx");
    const state: VerifierState = {
      at: 0,
      frames: [frame],
      refs: [],
      isCertain: true,
      parent: null,
    };
    const refusal = this.#followAll(state) ?? this.#checkGlobalFuncs();
    return this.#explored(refusal, refusal === null && !this.#isOverLimit);
  }

  /** do_check_common(): follows all paths from a state. */
  #followAll(state: VerifierState): Refusal | null {
    const { log } = this.#env;
    log?.start(state);
    this.#pruning = new PruningPoints(this.#env);
    this.#isFirstPath = true;
    this.#pending.push({ state, from: -1, logEnd: log?.end ?? 0 });
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      if (next.from >= 0) log?.resume(next.state, next.from, next.logEnd);
      const refusal = this.#followPath(next.state);
      if (refusal !== null || this.#isOverLimit) return refusal;
    }
    return null;
  }

  /** do_check_subprogs(): a global function is verified once it is called; it may call others. */
  #checkGlobalFuncs(): Refusal | null {
    const env = this.#env;
    const isVerified = new Map<number, boolean>();
    const next = () =>
      [...env.calledGlobals.keys()]
        .filter((start) => isVerified.get(start) !== env.calledGlobals.get(start))
        .sort((a, b) => a - b)[0];
    for (let start = next(); start !== undefined && !this.#isOverLimit; start = next()) {
      const isCertain = env.calledGlobals.get(start) === true;
      isVerified.set(start, isCertain);
      const func = env.globalFunc(start);
      if (func === undefined) continue;
      const index = env.funcIndex(start);
      env.log?.say(`Validating ${func.name}() func#${index}...`);
      const state = globalFuncState(env, func);
      if ("errno" in state) return state;
      const refusal = this.#followAll({ ...state, isCertain });
      if (refusal !== null) return refusal;
      const what = "is safe for any args that match its prototype";
      env.log?.say(`Func#${index} ('${func.name}') ${what}`);
    }
    return null;
  }

  #explored(refusal: Refusal | null, whole: boolean): Explored {
    const isGivenUp = refusal === null && !whole && this.#insnsProcessed > this.#maxProcessed;
    return {
      refusal,
      isComplete: whole,
      isOverBudget: isGivenUp,
      insnsProcessed: this.#insnsProcessed,
      at: this.#at,
    };
  }

  get #isOverLimit(): boolean {
    const limit = this.#hasBranched ? this.#limit / BRANCHED_SHARE : this.#limit;
    return this.#hasTooManyBranches || this.#insnsProcessed > Math.min(limit, this.#maxProcessed);
  }

  #followPath(state: VerifierState): Refusal | null {
    for (;;) {
      this.#insnsProcessed += 1;
      this.#at = state.at;
      if (this.#isOverLimit) return this.#checkComplexity(state);
      const met = this.#pruning.isStateVisited(state);
      if (met === "seen") break;
      if (met !== null) return met;
      const result = this.#step(state);
      if (result === "end") break;
      if (result !== null) return result;
    }
    this.#pruning.updateBranchCounts(state);
    this.#isFirstPath = false;
    return null;
  }

  /** BPF_COMPLEXITY_LIMIT_INSNS, only where Linux cannot have pruned anything. */
  #checkComplexity(state: VerifierState): Refusal | null {
    if (this.#hasBranched || !state.isCertain || this.#insnsProcessed <= this.#limit) return null;
    return refuse("E2BIG", `BPF program is too large. Processed ${this.#insnsProcessed} insn`);
  }

  #step(state: VerifierState): Refusal | "end" | null {
    const env = this.#env;
    const at = state.at;
    const insn = env.prog[at] as Insn;
    env.seen[at] = 1;
    env.log?.insn(at, insn, env.prog[at + 1]);
    try {
      this.#checkInsn(state, insn, at);
      const later = checkInsnEffects(env, state, insn);
      this.#pruning.countInsn(isJump(insn));
      if (later === null) return "end";
      for (const next of later) {
        const refusal = this.#pushStack(next, at);
        if (refusal !== null) return refusal;
      }
      if (later.length > 1) this.#isFirstPath = false;
      if (isPseudoCall(insn) || isExit(insn)) return null;
      env.log?.touchRegs(this.#changedRegs(insn, at));
      env.log?.after(state);
      return null;
    } catch (found) {
      if (!(found instanceof Refused)) throw found;
      if (state.isCertain && found.isCertain) return refuse(found.errno, found.message);
      // This path proves nothing of the access that was refused, whatever other paths prove of it.
      env.recordAccess(at, false);
      return this.#assumeUnknownResult(state, insn, at);
    }
  }

  #changedRegs(insn: Insn, at: number): number {
    const { reads, writes } = this.#effects[at] as Effect;
    return isCall(insn) ? 0b11_1111 : reads | writes;
  }

  #checkInsn(state: VerifierState, insn: Insn, at: number): void {
    const { regs } = currentFrame(state);
    let unwritten = 0;
    const { reads } = this.#effects[at] as Effect;
    for (let reg = 0; reads >> reg !== 0; reg++) {
      const isRead = (reads & (1 << reg)) !== 0;
      if (isRead && regs[reg]?.kind === "none") unwritten |= 1 << reg;
    }
    if (unwritten === 0 && this.#env.isInsnChecked(at)) return;
    const refusal = checkInsn(insn, this.#env.options, unwritten);
    if (refusal !== null) throw new Refused(refusal.errno, refusal.log);
    if (unwritten === 0) this.#env.markInsnChecked(at);
  }

  /** Linux may accept the instruction; then it knows a result that is unknown here. */
  #assumeUnknownResult(state: VerifierState, insn: Insn, at: number): Refusal | "end" | null {
    const isFlow = isJump(insn) && !isHelperCall(insn) && !isKfuncCall(insn);
    if (isFlow) return this.#assumeUnknownTarget(state, insn, at);
    const { regs } = currentFrame(state);
    const { writes } = this.#effects[at] as Effect;
    for (let reg = 0; reg < BPF_REG_FP; reg++)
      if ((writes & (1 << reg)) !== 0) regs[reg] = UNMODELLED;
    const kind = classOf(insn);
    if (isCall(insn)) this.#env.distrustCallbacks(insn.imm);
    if (isCall(insn) || kind === BPF_STX || kind === BPF_ST) clobberStacks(state);
    state.at = insn.code === LD_IMM64 ? at + 2 : at + 1;
    return null;
  }

  #assumeUnknownTarget(state: VerifierState, insn: Insn, at: number): Refusal | "end" | null {
    if (isPseudoCall(insn)) return "end";
    if (isExit(insn)) return popFrame(state) ? null : "end";
    const there = copyState(state);
    there.at = jumpTarget(insn, at);
    state.at = at + 1;
    return this.#pushStack(there, at);
  }

  /** push_stack(). On the first path Linux has as many pending branches (BPF_COMPLEXITY_LIMIT_JMP_SEQ). */
  #pushStack(state: VerifierState, from: number): Refusal | null {
    this.#hasBranched = true;
    this.#pruning.addBranch(state);
    this.#pending.push({ state, from, logEnd: this.#env.log?.end ?? 0 });
    if (this.#pending.length <= MAX_PENDING_BRANCHES) return null;
    this.#hasTooManyBranches = true;
    if (!this.#isFirstPath || !state.isCertain) return null;
    return refuse("EFAULT", `The sequence of ${this.#pending.length} jumps is too complex.`);
  }
}
