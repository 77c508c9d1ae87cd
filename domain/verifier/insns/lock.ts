import { BPF_FUNC } from "../../isa/helpers/index.ts";
import { type Insn, isHelperCall } from "../../isa/insn.ts";
import * as range from "../scalar/range.ts";
import { Refused } from "../state/refused.ts";
import { currentFrame, type Reference, type VerifierState } from "../state/state.ts";
import { type RegisterValue, typeName } from "../state/value.ts";
import type { MapFacts } from "../verdict.ts";

/**
 * process_spin_lock() of Linux 6.18: a program holds one lock at a time, and may do little
 * meanwhile.
 */

export const SPIN_LOCK = BPF_FUNC.spin_lock;
export const SPIN_UNLOCK = BPF_FUNC.spin_unlock;

export const CALL_WHILE_LOCKED = "function calls are not allowed while holding a lock";

const activeLock = (state: VerifierState): Reference | undefined =>
  state.refs.find(({ lock }) => lock);
export const isLocked = (state: VerifierState): boolean => activeLock(state) !== undefined;

function einval(text: string): never {
  throw new Refused("EINVAL", text);
}

/** While a lock is held, only bpf_spin_unlock() may be called. */
export function checkNoLockHeld(state: VerifierState, insn: Insn): void {
  if (!isLocked(state)) return;
  if (!isHelperCall(insn) || insn.imm !== SPIN_UNLOCK) einval(CALL_WHILE_LOCKED);
}

/** The map in whose value R1 points to the lock. */
function mapOfLock({ range: r, off, map }: RegisterValue): MapFacts {
  const name = map?.name ?? "";
  if (!range.isConst(r)) {
    einval("R1 doesn't have constant offset. bpf_spin_lock has to be at the constant offset");
  }
  const lock = map?.locks?.at(-1);
  if (!map || (lock === undefined && !map.btf)) {
    einval(`map '${name}' has to have BTF in order to use bpf_spin_lock`);
  }
  if (lock === undefined) einval(`map '${name}' has no valid bpf_spin_lock`);
  const at = r.smin + BigInt(off);
  if (at === BigInt(lock)) return map;
  return einval(`off ${at} doesn't point to 'struct bpf_spin_lock' that is at ${lock}`);
}

const isSame = (a: MapFacts, b: MapFacts): boolean =>
  a === b || (a.id !== undefined && a.id === b.id);

/** Checks R1 of bpf_spin_lock() and bpf_spin_unlock(). An inexact R1 makes the state uncertain. */
export function processSpinLock(state: VerifierState, helper: number): void {
  const pointer = currentFrame(state).regs[1] as RegisterValue;
  const { kind, canBeNull, isExact } = pointer;
  if (kind !== "any" && (kind !== "map_value" || canBeNull)) {
    throw new Refused("EACCES", `R1 type=${typeName(pointer)} expected=map_value, ptr_`);
  }
  state.isCertain &&= isExact;
  if (kind === "any") return;
  const map = mapOfLock(pointer);
  const lock = activeLock(state);
  if (helper === SPIN_LOCK) {
    state.refs = [...state.refs, { id: pointer.id, insn: state.at, lock: map }];
    return;
  }
  if (!lock?.lock) einval("bpf_spin_unlock without taking a lock");
  if (lock.id !== pointer.id || !isSame(lock.lock, map)) {
    einval("bpf_spin_unlock of different lock");
  }
  state.refs = state.refs.filter((ref) => ref !== lock);
}
