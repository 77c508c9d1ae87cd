// Follows a program along all its paths, in the order in which Linux does (do_check). A fault refuses
// the program only where it is certain that Linux comes to it and knows no more; otherwise the path is
// followed on with a value of which nothing is known.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import { abandon } from "../insns/exit.ts";
import { fault } from "../insns/insn_checks.ts";
import { step } from "../insns/step.ts";
import type { Effect } from "../program/liveness.ts";
import type { VerifierEnv } from "../state/env.ts";
import { clobberStacks, copy, makeFrame, top, type VerifierState } from "../state/state.ts";
import { ANY, Refused, value } from "../state/value.ts";
import { LIMITS, type Refusal, refuse } from "../verdict.ts";
import { PruningPoints } from "./pruning.ts";

/** Ways left to be followed later. */
const BRANCHES_OPEN = 8192;
/** Linux prunes more than this does, so what branches may be shorter there. */
const BRANCHED_SHARE = 4;

export interface Explored {
  readonly refusal: Refusal | null;
  /** All paths were followed. */
  readonly whole: boolean;
  /** Patience came to its end first. */
  readonly isGivenUp: boolean;
  readonly verified: number;
  /** The instruction gone through last: the one refused. */
  readonly at: number;
}

interface Pending {
  readonly state: VerifierState;
  readonly from: number;
  readonly logged: number;
}

export class Explorer {
  readonly #env: VerifierEnv;
  readonly #limit: number;
  readonly #patience: number;
  readonly #effects: readonly Effect[];
  readonly #visited: PruningPoints;
  readonly #pending: Pending[] = [];
  #verified = 0;
  #at = 0;
  #branched = false;
  #isFirstPath = true;
  #isOverwhelmed = false;

  /** @param patience instructions after which it is given up. */
  constructor(env: VerifierEnv, patience: number) {
    this.#env = env;
    this.#limit = env.options.limits?.complexity ?? LIMITS.complexity;
    this.#patience = patience;
    this.#effects = env.effects;
    this.#visited = new PruningPoints(env);
  }

  run(): Explored {
    const env = this.#env;
    const frame = makeFrame(0, -1, 0);
    frame.regs[1] = value("ctx");
    const state: VerifierState = { at: 0, frames: [frame], refs: [], certain: true, parent: null };
    env.log?.start(state);
    this.#pending.push({ state, from: -1, logged: 0 });
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      if (next.from >= 0) env.log?.resume(next.state, next.from, next.logged);
      const refusal = this.#follow(next.state);
      if (refusal !== null || this.#isSpent) return this.#explored(refusal, false);
    }
    return this.#explored(null, true);
  }

  #explored(refusal: Refusal | null, whole: boolean): Explored {
    const isGivenUp = refusal === null && !whole && this.#verified > this.#patience;
    return { refusal, whole, isGivenUp, verified: this.#verified, at: this.#at };
  }

  get #isSpent(): boolean {
    const limit = this.#branched ? this.#limit / BRANCHED_SHARE : this.#limit;
    return this.#isOverwhelmed || this.#verified > Math.min(limit, this.#patience);
  }

  #follow(state: VerifierState): Refusal | null {
    for (;;) {
      this.#verified += 1;
      this.#at = state.at;
      if (this.#isSpent) return this.#tooLarge(state);
      const met = this.#visited.meet(state);
      if (met === "seen") break;
      if (met !== null) return met;
      const result = this.#step(state);
      if (result === "end") break;
      if (result !== null) return result;
    }
    this.#visited.end(state);
    this.#isFirstPath = false;
    return null;
  }

  /** BPF_COMPLEXITY_LIMIT_INSNS, where nothing that Linux does can have made the path shorter. */
  #tooLarge(state: VerifierState): Refusal | null {
    if (this.#branched || !state.certain || this.#verified <= this.#limit) return null;
    return refuse("E2BIG", `BPF program is too large. Processed ${this.#verified} insn`);
  }

  #step(state: VerifierState): Refusal | "end" | null {
    const env = this.#env;
    const at = state.at;
    const insn = env.prog[at] as Insn;
    env.log?.insn(at, insn, env.prog[at + 1]);
    try {
      this.#precheck(state, insn, at);
      const later = step(env, state, insn);
      this.#visited.advance(bpf.isJump(insn));
      if (later === null) return "end";
      for (const next of later) {
        const refusal = this.#leaveOpen(next, at);
        if (refusal !== null) return refusal;
      }
      if (later.length > 1) this.#isFirstPath = false;
      if (bpf.isPseudoCall(insn) || bpf.isExit(insn)) return null;
      env.log?.touchRegs(this.#touched(insn, at));
      env.log?.after(state);
      return null;
    } catch (found) {
      if (!(found instanceof Refused)) throw found;
      if (state.certain && found.certain) return refuse(found.errno, found.message);
      return this.#goOn(state, insn, at);
    }
  }

  #touched(insn: Insn, at: number): number {
    const { reads, writes } = this.#effects[at] as Effect;
    return bpf.isCall(insn) ? 0b11_1111 : reads | writes;
  }

  #precheck(state: VerifierState, insn: Insn, at: number): void {
    const { regs } = top(state);
    let unwritten = 0;
    const { reads } = this.#effects[at] as Effect;
    for (let reg = 0; reads >> reg !== 0; reg++) {
      const isRead = (reads & (1 << reg)) !== 0;
      if (isRead && regs[reg]?.kind === "none") unwritten |= 1 << reg;
    }
    if (unwritten === 0 && this.#env.isClean(at)) return;
    const refusal = fault(insn, this.#env.options, unwritten);
    if (refusal !== null) throw new Refused(refusal.errno, refusal.log);
    if (unwritten === 0) this.#env.markClean(at);
  }

  /** Linux may have found nothing wrong, and then knows a result that is not known here. */
  #goOn(state: VerifierState, insn: Insn, at: number): Refusal | "end" | null {
    const isFlow = bpf.isJump(insn) && !bpf.isHelperCall(insn) && !bpf.isKfuncCall(insn);
    if (isFlow) return this.#goAnyWay(state, insn, at);
    const { regs } = top(state);
    const { writes } = this.#effects[at] as Effect;
    for (let reg = 0; reg < 10; reg++) if ((writes & (1 << reg)) !== 0) regs[reg] = ANY;
    const kind = bpf.classOf(insn);
    if (bpf.isCall(insn)) this.#env.distrust(insn.imm);
    if (bpf.isCall(insn) || kind === bpf.STX || kind === bpf.ST) clobberStacks(state);
    state.at = insn.code === bpf.LD_IMM64 ? at + 2 : at + 1;
    return null;
  }

  #goAnyWay(state: VerifierState, insn: Insn, at: number): Refusal | "end" | null {
    if (bpf.isPseudoCall(insn)) return "end";
    if (bpf.isExit(insn)) return abandon(state) ? null : "end";
    const there = copy(state);
    there.at = bpf.target(insn, at);
    state.at = at + 1;
    return this.#leaveOpen(there, at);
  }

  /** BPF_COMPLEXITY_LIMIT_JMP_SEQ: on the first path Linux has as many branches left open. */
  #leaveOpen(state: VerifierState, from: number): Refusal | null {
    this.#branched = true;
    this.#visited.branch(state);
    this.#pending.push({ state, from, logged: this.#env.log?.end ?? 0 });
    if (this.#pending.length <= BRANCHES_OPEN) return null;
    this.#isOverwhelmed = true;
    if (!this.#isFirstPath || !state.certain) return null;
    return refuse("EFAULT", `The sequence of ${this.#pending.length} jumps is too complex.`);
  }
}
