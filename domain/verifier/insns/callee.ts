import type { FuncType } from "../../isa/func_type.ts";
import { calleeOf, type Insn } from "../../isa/insn.ts";
import { MAX_CALL_FRAMES } from "../../isa/limits.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  clobberCallerSaved,
  clobberStacks,
  copyState,
  currentDepth,
  currentFrame,
  makeFrame,
  replaceValues,
  type VerifierState,
} from "../state/state.ts";
import { isScalar, NOT_INIT, type RegisterValue, UNKNOWN, UNMODELLED } from "../state/value.ts";
import { type CallbackFunction, checkHelperCall, clearAllPktPointers } from "./call.ts";
import { checkGlobalFuncArgs } from "./global_func.ts";
import { isLocked } from "./lock.ts";

/** Calls within the program: of its own functions, and of those that a helper calls back. */

/** A function with BTF may be global. Linux verifies it alone and takes its pointers from the BTF. */
function isArgumentKnown(env: VerifierEnv, regs: readonly RegisterValue[], start: number): boolean {
  const { funcInfo, funcTypes, globalFuncs } = env.options;
  const isStatic = funcTypes !== undefined || globalFuncs?.includes(start) === false;
  if (funcInfo !== true || isStatic) return true;
  const read = env.live[start] ?? 0;
  return regs.every(
    (held, reg) =>
      reg < 1 || reg > 5 || (read & (1 << reg)) === 0 || isScalar(held) || held.kind === "ctx",
  );
}

/** A global function may sleep, so a caller that holds a lock must not call it. */
function checkCallUnderLock(env: VerifierEnv, state: VerifierState, start: number): void {
  const { funcInfo, funcTypes, globalFuncs } = env.options;
  if (funcInfo !== true) return;
  state.isCertain &&= (funcTypes ?? globalFuncs) !== undefined;
  if (env.globalFunc(start) === undefined && globalFuncs?.includes(start) !== true) return;
  const text = "global function calls are not allowed while holding a lock";
  throw new Refused("EINVAL", `${text},\nuse static function instead`);
}

/** A global function is verified by itself: the caller goes on with an unknown number. */
function callGlobalFunc(env: VerifierEnv, state: VerifierState, func: FuncType): void {
  if (isLocked(state)) checkCallUnderLock(env, state, func.start);
  checkGlobalFuncArgs(env, state, func);
  const name = `Func#${env.funcIndex(func.start)} ('${func.name}')`;
  env.log?.say(`${name} is global and assumed valid.`);
  env.recordGlobalCall(func.start, state.isCertain);
  if (env.changesPacket(func.start)) clearAllPktPointers(state, UNKNOWN);
  clobberCallerSaved(currentFrame(state).regs, UNKNOWN);
  state.at += 1;
}

export function checkFuncCall(env: VerifierEnv, state: VerifierState, insn: Insn): void {
  const global = env.globalFunc(calleeOf(insn, state.at));
  if (global !== undefined) {
    callGlobalFunc(env, state, global);
    return;
  }
  const level = currentDepth(state) + 1;
  if (level >= MAX_CALL_FRAMES) {
    throw new Refused("E2BIG", `the call stack of ${level + 1} frames is too deep`);
  }
  const { regs } = currentFrame(state);
  const frame = makeFrame(calleeOf(insn, state.at), state.at, level);
  if (isLocked(state)) checkCallUnderLock(env, state, frame.start);
  for (let reg = 1; reg <= 5; reg++) frame.regs[reg] = regs[reg] as RegisterValue;
  state.isCertain &&= isArgumentKnown(env, regs, frame.start);
  clobberCallerSaved(regs, NOT_INIT);
  state.frames.push(frame);
  state.at = frame.start;
  env.log?.call(state);
}

function pushCallbackFrame(state: VerifierState, { start, regs }: CallbackFunction): VerifierState {
  const level = currentDepth(state) + 1;
  if (level >= MAX_CALL_FRAMES) {
    throw new Refused("E2BIG", `the call stack of ${level + 1} frames is too deep`);
  }
  const frame = makeFrame(start, state.at, level, { heldRefs: state.refs.length });
  for (const [i, held] of regs.entries()) frame.regs[i + 1] = held;
  const entry = copyState(state);
  clobberCallerSaved(currentFrame(entry).regs, NOT_INIT);
  entry.frames.push(frame);
  entry.at = start;
  return entry;
}

/** The state after some number of callbacks, which are not followed one by one. */
function afterCallbacks(state: VerifierState, shared: RegisterValue): VerifierState {
  const later = copyState(state);
  if (shared.kind === "fp" || shared.kind === "any") clobberStacks(later);
  clearAllPktPointers(later, UNMODELLED);
  replaceValues(later, (held) => (held.ref === 0 ? held : UNMODELLED));
  later.isCertain = false;
  return later;
}

/** The register of the helper that is passed on to the callback. */
const CALLBACK_CTX = 3;

/**
 * A helper call. If the helper calls back, the state goes on as if it had not, and three others are
 * returned to follow later: the first callback, any later one, and the return after them.
 */
export function checkHelperCallAndCallbacks(
  env: VerifierEnv,
  state: VerifierState,
  insn: Insn,
): VerifierState[] {
  const before = copyState(state);
  const shared = currentFrame(before).regs[CALLBACK_CTX] as RegisterValue;
  const back = checkHelperCall(env, state, insn.imm);
  state.at += 1;
  if (back === null) return [];
  const first = pushCallbackFrame(before, back);
  first.isCertain = state.isCertain && back.isCertain;
  return [
    afterCallbacks(state, shared),
    pushCallbackFrame(afterCallbacks(before, shared), back),
    first,
  ];
}
