// Whether a state holds nothing that an earlier one did not allow for (states_equal of Linux 6.18): then
// what follows was seen before.

import type { Range } from "../scalar/range.ts";
import * as tnum from "../scalar/tnum.ts";
import { EMPTY, type Frame, isSpill, type StackSlot, type VerifierState } from "../state/state.ts";
import { isPacket, isScalar, NONE, type RegisterValue } from "../state/value.ts";

/** Ids of the earlier state and those that stand for them in the later one. */
class IdPairs {
  readonly #pairs = new Map<number, number>();
  /** Numbers count as well that do not matter. */
  readonly isStrict: boolean;

  constructor(isStrict: boolean) {
    this.isStrict = isStrict;
  }

  match(before: number, after: number): boolean {
    if (before === 0 || after === 0) return before === after;
    const known = this.#pairs.get(before);
    if (known !== undefined) return known === after;
    for (const taken of this.#pairs.values()) if (taken === after) return false;
    this.#pairs.set(before, after);
    return true;
  }
}

function includes(a: Range, b: Range): boolean {
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

/** A number without copies stands for one with: nothing was learned of these together. */
function sameLink(before: RegisterValue, after: RegisterValue, ids: IdPairs): boolean {
  if (before.id === 0) return true;
  return before.linked === after.linked && sameOff(before, after) && ids.match(before.id, after.id);
}

const sameOff = (before: RegisterValue, after: RegisterValue): boolean => before.off === after.off;

function covers(before: RegisterValue, after: RegisterValue, ids: IdPairs): boolean {
  if (before === after && before.id === 0) return true;
  if (before.kind === "none") return true;
  if (before.kind === "any") return !after.exact;
  if (before.kind !== after.kind || before.orNull !== after.orNull) return false;
  if (!before.exact && after.exact) return false;
  if (isScalar(before) && !before.origin.matters && !ids.isStrict) return true;
  if (!includes(before.range, after.range)) return false;
  if (isScalar(before)) return sameLink(before, after, ids);
  const size = isPacket(before) ? samePacket(before, after) : before.size === after.size;
  const place = before.map === after.map && before.home === after.home && sameOff(before, after);
  return size && place && ids.match(before.id, after.id) && ids.match(before.ref, after.ref);
}

const samePacket = (before: RegisterValue, after: RegisterValue): boolean =>
  before.size === after.size || (before.size >= 0 && before.size <= after.size);

function coversSlot(before: StackSlot, after: StackSlot, ids: IdPairs): boolean {
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
  if (!isSpill(before)) return true;
  return isSpill(after) && covers(before.spilled, after.spilled, ids);
}

function coversFrame(before: Frame, after: Frame, live: number, ids: IdPairs): boolean {
  if (before.start !== after.start || before.site !== after.site) return false;
  if (before.isCallback !== after.isCallback) return false;
  for (let reg = 0; reg < 10; reg++) {
    if ((live & (1 << reg)) === 0) continue;
    if (!covers(before.regs[reg] ?? NONE, after.regs[reg] ?? NONE, ids)) return false;
  }
  for (let i = 0; i < before.stack.length; i++) {
    if (!coversSlot(before.stack[i] ?? EMPTY, after.stack[i] ?? EMPTY, ids)) return false;
  }
  return true;
}

/**
 * @param live registers, of each frame, that are still read.
 * @param isStrict numbers count that do not matter so far, for they may turn out to.
 */
export function coversState(
  before: VerifierState,
  after: VerifierState,
  live: readonly number[],
  isStrict: boolean,
): boolean {
  if (before.frames.length !== after.frames.length) return false;
  if (before.refs.length !== after.refs.length) return false;
  if (after.certain && !before.certain) return false;
  const ids = new IdPairs(isStrict);
  for (const [i, { id, lock }] of before.refs.entries()) {
    const ref = after.refs[i];
    if (ref?.lock !== lock || !ids.match(id, ref?.id ?? 0)) return false;
  }
  return before.frames.every((frame, i) =>
    coversFrame(frame, after.frames[i] as Frame, live[i] ?? 0, ids),
  );
}

/** Each allows for the other, down to the registers that are not read. */
export function equalStates(a: VerifierState, b: VerifierState): boolean {
  const all = a.frames.map(() => 0x3ff);
  return coversState(a, b, all, true) && coversState(b, a, all, true);
}

/** What mattered after the earlier state matters in the later one, which is followed no further. */
export function pass(before: VerifierState, after: VerifierState): void {
  for (const [i, { regs, stack }] of before.frames.entries()) {
    const frame = after.frames[i];
    for (const [reg, value] of regs.entries()) {
      if (isScalar(value) && value.origin.matters) frame?.regs[reg]?.origin.mark();
    }
    for (const [slot, { spilled = NONE } = EMPTY] of stack.entries()) {
      if (isScalar(spilled) && spilled.origin.matters) frame?.stack[slot]?.spilled.origin.mark();
    }
  }
}
