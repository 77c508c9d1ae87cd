// States met before (is_state_visited of Linux 6.18): where paths join, one that holds nothing new is
// followed no further, and one that is met again on its own path goes on for ever.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import type { VerifierEnv } from "../state/env.ts";
import { showWhole } from "../state/log.ts";
import { type Checkpoint, copy, type VerifierState, visit } from "../state/state.ts";
import { type Refusal, refuse } from "../verdict.ts";
import { coversState, equalStates, pass } from "./states_equal.ts";

/** States kept of an instruction: as many as a new one is compared with. */
const KEPT = 12;
/** Checkpoints are as far apart as in Linux. */
const INSNS_APART = 8;
const JUMPS_APART = 2;

export class PruningPoints {
  readonly #env: VerifierEnv;
  readonly #joins: Uint8Array;
  readonly #seen = new Map<number, Checkpoint[]>();
  /** The one that is at hand counts, too. */
  #insnsSince = 1;
  #jumpsSince = 0;

  constructor(env: VerifierEnv) {
    this.#env = env;
    this.#joins = new Uint8Array(env.prog.length);
    for (const [at, insn] of env.prog.entries()) this.#mark(insn, at);
  }

  /** Where paths can join: targets of jumps and calls, and what follows a call. */
  #mark(insn: Insn, at: number): void {
    if (!bpf.isJump(insn) || bpf.isExit(insn)) return;
    const isCall = bpf.isCall(insn);
    if (isCall) this.#joins[at + 1] = 1;
    if (bpf.isPseudoCall(insn)) this.#joins[bpf.callee(insn, at)] = 1;
    if (!isCall) this.#joins[bpf.target(insn, at)] = 1;
  }

  /** An instruction was gone through. */
  advance(isJump: boolean): void {
    this.#insnsSince += 1;
    if (isJump) this.#jumpsSince += 1;
  }

  /** A path branched off. */
  branch(state: VerifierState): void {
    if (state.parent !== null) state.parent.paths += 1;
  }

  /** A path is at its end. */
  end(state: VerifierState): void {
    for (let point = state.parent; point !== null; point = point.parent) {
      point.paths -= 1;
      if (point.paths > 0) return;
    }
  }

  #liveOf(state: VerifierState): number[] {
    const last = state.frames.length - 1;
    return state.frames.map((_, i) =>
      i === last
        ? (this.#env.live[state.at] ?? 0)
        : (this.#env.live[(state.frames[i + 1]?.site ?? 0) + 1] ?? 0),
    );
  }

  meet(state: VerifierState): Refusal | "seen" | null {
    if (this.#joins[state.at] === 0) return null;
    const points = this.#seen.get(state.at) ?? [];
    const live = this.#liveOf(state);
    for (const { state: before, paths } of points) {
      if (before === null) continue;
      if (paths > 0 && state.certain) {
        if (equalStates(before, state)) return this.#endless(before, state);
      } else if (coversState(before, state, live, paths > 0)) {
        if (paths > 0) visit(state, ({ origin }) => origin.mark());
        else pass(before, state);
        return "seen";
      }
    }
    const isApart = this.#insnsSince >= INSNS_APART && this.#jumpsSince >= JUMPS_APART;
    if (isApart) this.#keep(state, points);
    return null;
  }

  #keep(state: VerifierState, points: Checkpoint[]): void {
    const point: Checkpoint = { state: copy(state), parent: state.parent, paths: 1 };
    visit(state, ({ origin }) => {
      origin.isKept = true;
    });
    state.parent = point;
    this.#insnsSince = 0;
    this.#jumpsSince = 0;
    points.unshift(point);
    const last = points.length > KEPT ? points.pop() : undefined;
    if (last !== undefined) last.state = null;
    this.#seen.set(state.at, points);
  }

  #endless(before: VerifierState, state: VerifierState): Refusal {
    const states = `cur state:${showWhole(state)}\nold state:${showWhole(before)}`;
    return refuse("EINVAL", `infinite loop detected at insn ${state.at}\n${states}`);
  }
}
