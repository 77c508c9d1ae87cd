// Calls that go on within the program: of its functions, and of those that a helper calls back.

import { type Callback, callHelper, forgetPackets } from "./call.ts";
import type { Env } from "./env.ts";
import type { Insn } from "./insn.ts";
import * as bpf from "./insn.ts";
import { clobber, clobberStacks, copy, depth, makeFrame, type State, top } from "./state.ts";
import { ANY, Fault, isScalar, NONE, type Value } from "./value.ts";

const MAX_FRAMES = 8;

/**
 * A function that BTF describes may be a global one, which Linux checks by itself: what its pointers
 * point to, the BTF says.
 */
function isFollowed(env: Env, regs: readonly Value[], start: number): boolean {
  if (env.options.funcInfo !== true) return true;
  const read = env.live[start] ?? 0;
  return regs.every(
    (held, reg) =>
      reg < 1 || reg > 5 || (read & (1 << reg)) === 0 || isScalar(held) || held.kind === "ctx",
  );
}

/** No deeper than Linux goes; recursion always is. */
export function enter(env: Env, state: State, insn: Insn): void {
  const level = depth(state) + 1;
  if (level >= MAX_FRAMES) {
    throw new Fault("E2BIG", `the call stack of ${level + 1} frames is too deep`);
  }
  const { regs } = top(state);
  const frame = makeFrame(bpf.callee(insn, state.at), state.at, level);
  for (let reg = 1; reg <= 5; reg++) frame.regs[reg] = regs[reg] as Value;
  state.certain &&= isFollowed(env, regs, frame.start);
  clobber(regs, NONE);
  state.frames.push(frame);
  state.at = frame.start;
  env.log?.call(state);
}

/** Calls of a function that was called back: the first, and any later one, of which less is known. */
function callbackStates(state: State, { start, regs, certain }: Callback): State[] {
  const level = depth(state) + 1;
  if (level >= MAX_FRAMES) {
    throw new Fault("E2BIG", `the call stack of ${level + 1} frames is too deep`);
  }
  const first = copy(state);
  first.certain = state.certain && certain;
  const later = copy(state);
  clobberStacks(later);
  forgetPackets(later, ANY);
  later.certain = false;
  return [later, first].map((entry) => {
    const frame = makeFrame(start, state.at, level, true);
    for (const [i, held] of regs.entries()) frame.regs[i + 1] = held;
    clobber(top(entry).regs, NONE);
    entry.frames.push(frame);
    entry.at = start;
    return entry;
  });
}

/** After a helper that calls back: as if it never had, and as if it had. */
export function called(env: Env, state: State, insn: Insn): State[] {
  const before = copy(state);
  const back = callHelper(env, state, insn.imm);
  if (back === null) {
    state.at += 1;
    return [];
  }
  const pending = callbackStates(before, back);
  state.at += 1;
  const after = copy(state);
  clobberStacks(after);
  forgetPackets(after, ANY);
  after.certain = false;
  return [after, ...pending];
}
