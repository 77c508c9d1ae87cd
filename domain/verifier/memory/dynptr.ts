import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  DYNPTR_TYPES,
  EMPTY_SLOT,
  type Frame,
  replaceValues,
  type StackSlot,
  type VerifierState,
} from "../state/state.ts";
import { type RegisterValue, UNKNOWN, value } from "../state/value.ts";
import { slotAndByte, slotOf } from "./stack.ts";

/**
 * struct bpf_dynptr on the stack: two slots that only helpers may read and write. The slot at the lower
 * address comes first (mark_stack_slots_dynptr() and its relatives in Linux 6.18).
 */

export type DynptrType = "local" | "ringbuf";

const TYPES: readonly DynptrType[] = ["local", "ringbuf"];
/** `home` of the value in a slot. */
const FIRST = 1;

export const isDynptr = ({ types }: StackSlot): boolean => types === DYNPTR_TYPES;

/** `size` holds the type, `dynptr` the id, `ref` the reference of a record that is reserved. */
const slotValue = (type: DynptrType, id: number, ref: number, home: number): RegisterValue =>
  value("dynptr_ptr", { size: TYPES.indexOf(type), dynptr: id, ref, home });

export const typeOf = ({ spilled }: StackSlot): DynptrType => TYPES[spilled.size] ?? "local";

/** Index of the first slot at a pointer; null where no dynptr can be (dynptr_get_spi). */
export function dynptrSlot(pointer: RegisterValue): number | null {
  if (!range.isConst(pointer.range)) return null;
  const off = Number(pointer.range.smin) + pointer.off;
  return off % 8 === 0 && off <= -16 ? slotAndByte(off)[0] : null;
}

/** The first slot of an initialised dynptr, or null (is_dynptr_reg_valid_init). */
export function initialisedAt(frame: Frame, index: number | null): StackSlot | null {
  if (index === null) return null;
  const [first, second] = [slotOf(frame, index), slotOf(frame, index - 1)];
  return isDynptr(first) && isDynptr(second) && first.spilled.home === FIRST ? first : null;
}

export function markDynptr(
  env: VerifierEnv,
  state: VerifierState,
  frame: Frame,
  index: number,
  type: DynptrType,
): void {
  const id = env.nextId();
  const ref = type === "ringbuf" ? env.nextId() : 0;
  if (ref !== 0) state.refs = [...state.refs, { id: ref, insn: state.at }];
  frame.stack[index] = { types: DYNPTR_TYPES, spilled: slotValue(type, id, ref, FIRST) };
  frame.stack[index - 1] = { types: DYNPTR_TYPES, spilled: slotValue(type, id, ref, 0) };
}

/** invalidate_dynptr(): what was derived from it becomes a number. */
function invalidate(state: VerifierState, frame: Frame, index: number): void {
  const { dynptr } = slotOf(frame, index).spilled;
  frame.stack[index] = EMPTY_SLOT;
  frame.stack[index - 1] = EMPTY_SLOT;
  replaceValues(state, (held) => (held.dynptr === dynptr ? UNKNOWN : held));
}

/** destroy_if_dynptr_stack_slot(): a write to a slot destroys the dynptr there. */
export function destroyDynptr(state: VerifierState, frame: Frame, index: number): void {
  const slot = slotOf(frame, index);
  if (!isDynptr(slot)) return;
  if (slot.spilled.ref !== 0) throw new Refused("EINVAL", "cannot overwrite referenced dynptr");
  invalidate(state, frame, slot.spilled.home === FIRST ? index : index + 1);
}

/** unmark_stack_slots_dynptr() of a record that is submitted or discarded. */
export function releaseDynptr(state: VerifierState, frame: Frame, index: number): void {
  const { ref } = slotOf(frame, index).spilled;
  state.refs = state.refs.filter(({ id }) => id !== ref);
  replaceValues(state, (held) => (held.ref === ref ? UNKNOWN : held));
  invalidate(state, frame, index);
}

/** Refuses to read the bytes of a dynptr, or to let a helper write them. */
export function checkNoDynptr(
  frame: Frame,
  first: number,
  end: number,
  text: (off: number) => string,
): void {
  for (let off = first; off < end; off++) {
    const [index, letter] = slotAndByte(off);
    if (slotOf(frame, index).types.charAt(letter) === "d") throw new Refused("EACCES", text(off));
  }
}
