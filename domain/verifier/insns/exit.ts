import { checkNotPointer } from "../memory/ptr_leaks.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  clobberCallerSaved,
  currentDepth,
  currentFrame,
  type VerifierState,
} from "../state/state.ts";
import { isScalar, type RegisterValue, typeName, UNMODELLED } from "../state/value.ts";
import { checkResourceLeak } from "./call.ts";
import { CALL_WHILE_LOCKED, isLocked } from "./lock.ts";

/**
 * check_return_code() and prepare_func_exit() of Linux 6.18: what R0 may hold at the end of a
 * program, of a subprogram, of a callback.
 */

type Bounds = readonly [min: number, max: number];
const BOOL: Bounds = [0, 1];
const ALWAYS: Bounds = [1, 1];

/** Attach types of cgroup_sock_addr. */
const BINDS = [8, 9];
const PLAIN = [10, 11, 14, 15, 49, 50];
const CGROUP_EGRESS = 1;

const TYPES: Readonly<Record<string, Bounds>> = {
  cgroup_sock: BOOL,
  sock_ops: BOOL,
  cgroup_device: BOOL,
  cgroup_sysctl: BOOL,
  cgroup_sockopt: BOOL,
  sk_lookup: BOOL,
  netfilter: BOOL,
};

function returnBounds(type: string | undefined, attach: number | undefined): Bounds | null {
  if (type === undefined) return null;
  if (type === "cgroup_skb" && attach !== undefined)
    return attach === CGROUP_EGRESS ? [0, 3] : BOOL;
  if (type === "cgroup_sock_addr" && attach !== undefined) {
    if (BINDS.includes(attach)) return [0, 3];
    return PLAIN.includes(attach) ? BOOL : ALWAYS;
  }
  return TYPES[type] ?? null;
}

/** retval_range_within() */
function checkReturnRange(r0: RegisterValue, [min, max]: Bounds, what: string): void {
  const { smin, smax } = r0.range;
  r0.precision.markChainPrecision();
  if (smin >= BigInt(min) && smax <= BigInt(max)) return;
  const known: string[] = [];
  if (smin > range.S64_MIN) known.push(`smin=${smin}`);
  if (smax < range.S64_MAX) known.push(`smax=${smax}`);
  const has = known.length > 0 ? known.join(" ") : "unknown scalar value";
  const text = `At ${what} the register R0 has ${has} should have been in [${min}, ${max}]`;
  throw new Refused("EINVAL", text, r0.isExact);
}

/** A global function returns a number. */
function checkSubprogramReturn(r0: RegisterValue): void {
  if (r0.kind === "any" || isScalar(r0)) return;
  const text = `At subprogram exit the register R0 is not a scalar value (${typeName(r0)})`;
  throw new Refused("EINVAL", text);
}

function checkReturnCode(env: VerifierEnv, state: VerifierState): void {
  checkResourceLeak(state, "BPF_EXIT instruction in main prog");
  const r0 = currentFrame(state).regs[0] as RegisterValue;
  if (r0.kind === "none") throw new Refused("EACCES", "R0 !read_ok");
  checkNotPointer(env, 0, r0, "leaks addr as return value");
  if (currentFrame(state).start !== 0) {
    checkSubprogramReturn(r0);
    return;
  }
  const bounds = returnBounds(env.options.progType, env.options.expectedAttachType);
  if (bounds === null || r0.kind === "any") return;
  if (!isScalar(r0)) {
    const text = `At program exit the register R0 is not a known value (${typeName(r0)})`;
    throw new Refused("EINVAL", text);
  }
  checkReturnRange(r0, bounds, "program exit");
}

function checkCallbackReturn(r0: RegisterValue): void {
  if (r0.kind === "any") return;
  if (!isScalar(r0)) throw new Refused("EACCES", "R0 not a scalar value");
  checkReturnRange(r0, BOOL, "callback return");
}

/** @returns whether the path goes on, in the caller. */
export function checkExit(env: VerifierEnv, state: VerifierState): boolean {
  if (currentDepth(state) === 0) {
    checkReturnCode(env, state);
    return false;
  }
  const callee = currentFrame(state);
  const r0 = callee.regs[0] as RegisterValue;
  if (r0.kind === "fp") throw new Refused("EINVAL", "cannot return stack pointer to the caller");
  if (callee.isCallback) {
    checkCallbackReturn(r0);
    // The helper that called back runs under the lock.
    if (isLocked(state)) throw new Refused("EINVAL", CALL_WHILE_LOCKED);
    // Linux goes on with the caller, which cannot release it.
    if (state.refs.length > callee.heldRefs)
      checkResourceLeak(state, "BPF_EXIT instruction in main prog");
    return false;
  }
  env.log?.returning(state);
  state.frames.pop();
  state.at = callee.callsite + 1;
  clobberCallerSaved(currentFrame(state).regs, r0);
  env.log?.returned(state);
  return true;
}

/** Returns to the caller with an unknown R0, after an exit that Linux may have accepted. */
export function popFrame(state: VerifierState): boolean {
  const { isCallback, callsite } = currentFrame(state);
  if (currentDepth(state) === 0 || isCallback) return false;
  state.frames.pop();
  state.at = callsite + 1;
  clobberCallerSaved(currentFrame(state).regs, UNMODELLED);
  return true;
}
