import {
  calleeOf,
  type Insn,
  isCall,
  isExit,
  isJump,
  isPseudoCall,
  jumpTarget,
} from "../../isa/insn.ts";
import type { VerifierEnv } from "../state/env.ts";
import { showWhole } from "../state/log.ts";
import { type Checkpoint, copyState, forEachValue, type VerifierState } from "../state/state.ts";
import { type Refusal, refuse } from "../verdict.ts";
import { propagatePrecision, statesEqual, statesExactlyEqual } from "./states_equal.ts";

/**
 * is_state_visited() of Linux 6.18: at prune points a path ends whose state an earlier one covers,
 * and a state that repeats on its own path is an infinite loop.
 */

/** States kept for an instruction, with which a new one is compared. */
const MAX_STATES = 12;
/** Least distances between checkpoints, as in Linux. */
const MIN_INSNS_APART = 8;
const MIN_JUMPS_APART = 2;

export class PruningPoints {
  readonly #env: VerifierEnv;
  readonly #prunePoints: Uint8Array;
  readonly #exploredStates = new Map<number, Checkpoint[]>();
  /** Instructions since the last checkpoint, including the current one. */
  #insnsSince = 1;
  #jumpsSince = 0;

  constructor(env: VerifierEnv) {
    this.#env = env;
    this.#prunePoints = new Uint8Array(env.prog.length);
    for (const [at, insn] of env.prog.entries()) this.#markPrunePoints(insn, at);
  }

  /** Paths can join at targets of jumps and calls, and after a call. */
  #markPrunePoints(insn: Insn, at: number): void {
    if (!isJump(insn) || isExit(insn)) return;
    if (isPseudoCall(insn)) this.#prunePoints[calleeOf(insn, at)] = 1;
    if (isCall(insn)) this.#prunePoints[at + 1] = 1;
    else this.#prunePoints[jumpTarget(insn, at)] = 1;
  }

  /** Counts a processed instruction. */
  countInsn(isJump: boolean): void {
    this.#insnsSince += 1;
    if (isJump) this.#jumpsSince += 1;
  }

  addBranch(state: VerifierState): void {
    if (state.parent !== null) state.parent.branches += 1;
  }

  /** update_branch_counts(): the path of this state has ended. */
  updateBranchCounts(state: VerifierState): void {
    for (let point = state.parent; point !== null; point = point.parent) {
      point.branches -= 1;
      if (point.branches > 0) return;
    }
  }

  #liveRegs(state: VerifierState): number[] {
    const last = state.frames.length - 1;
    return state.frames.map((_, i) =>
      i === last
        ? (this.#env.live[state.at] ?? 0)
        : (this.#env.live[(state.frames[i + 1]?.callsite ?? 0) + 1] ?? 0),
    );
  }

  isStateVisited(state: VerifierState): Refusal | "seen" | null {
    if (this.#prunePoints[state.at] === 0) return null;
    const points = this.#exploredStates.get(state.at) ?? [];
    const live = this.#liveRegs(state);
    for (const { state: before, branches: paths } of points) {
      if (before === null) continue;
      if (paths > 0 && state.isCertain) {
        if (statesExactlyEqual(before, state)) return this.#infiniteLoop(before, state);
      } else if (statesEqual(before, state, live, paths > 0)) {
        if (paths > 0) forEachValue(state, ({ precision }) => precision.markChainPrecision());
        else propagatePrecision(before, state);
        return "seen";
      }
    }
    const isApart = this.#insnsSince >= MIN_INSNS_APART && this.#jumpsSince >= MIN_JUMPS_APART;
    if (isApart) this.#addCheckpoint(state, points);
    return null;
  }

  #addCheckpoint(state: VerifierState, points: Checkpoint[]): void {
    const point: Checkpoint = { state: copyState(state), parent: state.parent, branches: 1 };
    forEachValue(state, ({ precision }) => {
      precision.isInCheckpoint = true;
    });
    state.parent = point;
    this.#insnsSince = 0;
    this.#jumpsSince = 0;
    points.unshift(point);
    const last = points.length > MAX_STATES ? points.pop() : undefined;
    if (last !== undefined) last.state = null;
    this.#exploredStates.set(state.at, points);
  }

  #infiniteLoop(before: VerifierState, state: VerifierState): Refusal {
    const states = `cur state:${showWhole(state)}\nold state:${showWhole(before)}`;
    return refuse("EINVAL", `infinite loop detected at insn ${state.at}\n${states}`);
  }
}
