// The end of a program, of a subprogram, of a callback: what R0 may be (check_return_code and
// prepare_func_exit of Linux 6.18).

import { secret } from "../memory/ptr_leaks.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { clobber, depth, top, type VerifierState } from "../state/state.ts";
import { ANY, isScalar, Refused, type RegisterValue, typeName } from "../state/value.ts";
import { unleaked } from "./call.ts";
import { HELD, isLocked } from "./lock.ts";

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

function answers(type: string | undefined, attach: number | undefined): Bounds | null {
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
function checkBounds(r0: RegisterValue, [min, max]: Bounds, what: string): void {
  const { smin, smax } = r0.range;
  r0.origin.mark();
  if (smin >= BigInt(min) && smax <= BigInt(max)) return;
  const known: string[] = [];
  if (smin > range.S64_MIN) known.push(`smin=${smin}`);
  if (smax < range.S64_MAX) known.push(`smax=${smax}`);
  const has = known.length > 0 ? known.join(" ") : "unknown scalar value";
  const text = `At ${what} the register R0 has ${has} should have been in [${min}, ${max}]`;
  throw new Refused("EINVAL", text, r0.exact);
}

function fromProgram(env: VerifierEnv, state: VerifierState): void {
  unleaked(state, "BPF_EXIT instruction in main prog");
  const r0 = top(state).regs[0] as RegisterValue;
  if (r0.kind === "none") throw new Refused("EACCES", "R0 !read_ok");
  secret(env, 0, r0, "leaks addr as return value");
  const bounds = answers(env.options.progType, env.options.expectedAttachType);
  if (bounds === null || r0.kind === "any") return;
  if (!isScalar(r0)) {
    const text = `At program exit the register R0 is not a known value (${typeName(r0)})`;
    throw new Refused("EINVAL", text);
  }
  checkBounds(r0, bounds, "program exit");
}

function fromCallback(r0: RegisterValue): void {
  if (r0.kind === "any") return;
  if (!isScalar(r0)) throw new Refused("EACCES", "R0 not a scalar value");
  checkBounds(r0, BOOL, "callback return");
}

/** @returns whether the path goes on, in the caller. */
export function leave(env: VerifierEnv, state: VerifierState): boolean {
  if (depth(state) === 0) {
    fromProgram(env, state);
    return false;
  }
  const callee = top(state);
  const r0 = callee.regs[0] as RegisterValue;
  if (r0.kind === "fp") throw new Refused("EINVAL", "cannot return stack pointer to the caller");
  if (callee.isCallback) {
    fromCallback(r0);
    // Back at the call.
    if (isLocked(state)) throw new Refused("EINVAL", HELD);
    return false;
  }
  env.log?.returning(state);
  state.frames.pop();
  state.at = callee.site + 1;
  clobber(top(state).regs, r0);
  env.log?.returned(state);
  return true;
}

/** The same where R0 is not what Linux takes, in case it came here with another. */
export function abandon(state: VerifierState): boolean {
  const { isCallback, site } = top(state);
  if (depth(state) === 0 || isCallback) return false;
  state.frames.pop();
  state.at = site + 1;
  clobber(top(state).regs, ANY);
  return true;
}
