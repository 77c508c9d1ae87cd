// Locks in the values of maps (process_spin_lock of Linux 6.18): one at a time, and little is allowed
// while it is held.

import type { Insn } from "../../isa/insn.ts";
import * as bpf from "../../isa/insn.ts";
import * as range from "../scalar/range.ts";
import { type Reference, top, type VerifierState } from "../state/state.ts";
import { Refused, type RegisterValue, typeName } from "../state/value.ts";
import type { MapFacts } from "../verdict.ts";

export const SPIN_LOCK = 93;
export const SPIN_UNLOCK = 94;

export const HELD = "function calls are not allowed while holding a lock";

const held = (state: VerifierState): Reference | undefined => state.refs.find(({ lock }) => lock);
export const isLocked = (state: VerifierState): boolean => held(state) !== undefined;

function einval(text: string): never {
  throw new Refused("EINVAL", text);
}

/** A call of a helper or a function of the kernel. */
export function unlockedFor(state: VerifierState, insn: Insn): void {
  if (!isLocked(state)) return;
  if (!bpf.isHelperCall(insn) || insn.imm !== SPIN_UNLOCK) einval(HELD);
}

/** The map in whose value R1 points to the lock. */
function lockedMap({ range: r, off, map }: RegisterValue): MapFacts {
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

/** R1 of bpf_spin_lock() or bpf_spin_unlock(). Where it is not known, neither is what comes after it. */
export function lockOrUnlock(state: VerifierState, helper: number): void {
  const pointer = top(state).regs[1] as RegisterValue;
  const { kind, orNull, exact } = pointer;
  if (kind !== "any" && (kind !== "map_value" || orNull)) {
    throw new Refused("EACCES", `R1 type=${typeName(pointer)} expected=map_value, ptr_`);
  }
  state.certain &&= exact;
  if (kind === "any") return;
  const map = lockedMap(pointer);
  const lock = held(state);
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
