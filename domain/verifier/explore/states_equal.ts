import { BPF_REG_FP } from "../../isa/registers.ts";
import type { Range } from "../scalar/range.ts";
import * as tnum from "../scalar/tnum.ts";
import {
  DYNPTR_TYPES,
  EMPTY_SLOT,
  type Frame,
  isSpill,
  type StackSlot,
  type VerifierState,
} from "../state/state.ts";
import { isPacket, isScalar, NOT_INIT, type RegisterValue } from "../state/value.ts";

/**
 * states_equal() of Linux 6.18: an earlier state covers a later one, so that what follows was
 * verified before.
 */

/** check_ids(): pairs of an id of the earlier state and its counterpart in the later one. */
class IdPairs {
  readonly #pairs = new Map<number, number>();
  /** Numbers that are not precise are compared, too. */
  readonly isStrict: boolean;

  constructor(isStrict: boolean) {
    this.isStrict = isStrict;
  }

  checkIds(before: number, after: number): boolean {
    if (before === 0 || after === 0) return before === after;
    const known = this.#pairs.get(before);
    if (known !== undefined) return known === after;
    for (const taken of this.#pairs.values()) if (taken === after) return false;
    this.#pairs.set(before, after);
    return true;
  }
}

function rangeWithin(a: Range, b: Range): boolean {
  if (a === b) return true;
  return (
    a.umin <= b.umin &&
    a.umax >= b.umax &&
    a.smin <= b.smin &&
    a.smax >= b.smax &&
    a.umin32 <= b.umin32 &&
    a.umax32 >= b.umax32 &&
    a.smin32 <= b.smin32 &&
    a.smax32 >= b.smax32 &&
    tnum.includes(a.bits, b.bits)
  );
}

/** A number without an id covers one with an id, because nothing was learned from its copies. */
function scalarIdsEqual(before: RegisterValue, after: RegisterValue, ids: IdPairs): boolean {
  if (before.id === 0) return true;
  return (
    before.isLinked === after.isLinked &&
    sameOff(before, after) &&
    ids.checkIds(before.id, after.id)
  );
}

const sameOff = (before: RegisterValue, after: RegisterValue): boolean => before.off === after.off;

function regsafe(before: RegisterValue, after: RegisterValue, ids: IdPairs): boolean {
  if (before === after && before.id === 0) return true;
  if (before.kind === "none") return true;
  if (before.kind === "any") return !after.isExact;
  if (before.kind !== after.kind || before.canBeNull !== after.canBeNull) return false;
  if (!before.isExact && after.isExact) return false;
  if (isScalar(before) && !before.precision.isPrecise && !ids.isStrict) return true;
  if (!rangeWithin(before.range, after.range)) return false;
  if (isScalar(before)) return scalarIdsEqual(before, after, ids);
  const size = isPacket(before) ? samePacket(before, after) : before.size === after.size;
  const place = before.map === after.map && before.home === after.home && sameOff(before, after);
  if (!size || !place || !ids.checkIds(before.dynptr, after.dynptr)) return false;
  return ids.checkIds(before.id, after.id) && ids.checkIds(before.ref, after.ref);
}

const samePacket = (before: RegisterValue, after: RegisterValue): boolean =>
  before.size === after.size || (before.size >= 0 && before.size <= after.size);

function dynptrsEqual(before: RegisterValue, after: RegisterValue, ids: IdPairs): boolean {
  const isSame = before.size === after.size && before.home === after.home;
  return isSame && ids.checkIds(before.ref, after.ref) && ids.checkIds(before.dynptr, after.dynptr);
}

function stacksafe(before: StackSlot, after: StackSlot, ids: IdPairs): boolean {
  if (before === after && before.spilled.id === 0) return true;
  if (before.spilled.kind === "any") return true;
  if (after.spilled.kind === "any") return before.types === "????????";
  for (let i = 0; i < 8; i++) {
    const a = before.types.charAt(i);
    const b = after.types.charAt(i);
    if (a === b || a === "?") continue;
    const number = b === "0" || b === "?" || (b === "r" && isScalar(after.spilled));
    if (a !== "m" || !number) return false;
  }
  if (before.types === DYNPTR_TYPES) return dynptrsEqual(before.spilled, after.spilled, ids);
  if (!isSpill(before)) return true;
  return isSpill(after) && regsafe(before.spilled, after.spilled, ids);
}

function funcStatesEqual(before: Frame, after: Frame, live: number, ids: IdPairs): boolean {
  if (before.start !== after.start || before.callsite !== after.callsite) return false;
  if (before.isCallback !== after.isCallback) return false;
  for (let reg = 0; reg < BPF_REG_FP; reg++) {
    if ((live & (1 << reg)) === 0) continue;
    if (!regsafe(before.regs[reg] ?? NOT_INIT, after.regs[reg] ?? NOT_INIT, ids)) return false;
  }
  for (let i = 0; i < before.stack.length; i++) {
    if (!stacksafe(before.stack[i] ?? EMPTY_SLOT, after.stack[i] ?? EMPTY_SLOT, ids)) return false;
  }
  return true;
}

/**
 * @param live for each frame the registers that are still read.
 * @param isStrict compares numbers that are not precise so far, because they may become precise.
 */
export function statesEqual(
  before: VerifierState,
  after: VerifierState,
  live: readonly number[],
  isStrict: boolean,
): boolean {
  if (before.frames.length !== after.frames.length) return false;
  if (before.refs.length !== after.refs.length) return false;
  if (after.isCertain && !before.isCertain) return false;
  const ids = new IdPairs(isStrict);
  for (const [i, { id, lock }] of before.refs.entries()) {
    const ref = after.refs[i];
    if (ref?.lock !== lock || !ids.checkIds(id, ref?.id ?? 0)) return false;
  }
  return before.frames.every((frame, i) =>
    funcStatesEqual(frame, after.frames[i] as Frame, live[i] ?? 0, ids),
  );
}

/** Each state covers the other, including registers that are not read. */
export function statesExactlyEqual(a: VerifierState, b: VerifierState): boolean {
  const all = a.frames.map(() => 0x3ff);
  return statesEqual(a, b, all, true) && statesEqual(b, a, all, true);
}

/** propagate_precision(): what is precise in the earlier state becomes precise in the pruned one. */
export function propagatePrecision(before: VerifierState, after: VerifierState): void {
  for (const [i, { regs, stack }] of before.frames.entries()) {
    const frame = after.frames[i];
    for (const [reg, value] of regs.entries()) {
      if (isScalar(value) && value.precision.isPrecise)
        frame?.regs[reg]?.precision.markChainPrecision();
    }
    for (const [slot, { spilled = NOT_INIT } = EMPTY_SLOT] of stack.entries()) {
      if (isScalar(spilled) && spilled.precision.isPrecise)
        frame?.stack[slot]?.spilled.precision.markChainPrecision();
    }
  }
}
