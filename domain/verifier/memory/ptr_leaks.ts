import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { type Frame, isSpill } from "../state/state.ts";
import { isPointer, type RegisterValue } from "../state/value.ts";
import { type RegAccess, slotAndByte, slotOf, typeIndexes } from "./stack.ts";

/**
 * The rules for a loader without CAP_PERFMON (allow_ptr_leaks and allow_uninit_stack of struct
 * bpf_verifier_env): it may not reveal addresses or read stack that was never written. The checks
 * of Linux against speculation are left out.
 */

function eacces(text: string): never {
  throw new Refused("EACCES", text);
}

/** is_pointer_value() */
export function checkNotPointer(
  env: VerifierEnv,
  reg: number,
  value: RegisterValue | undefined,
  how: string,
): void {
  if (value !== undefined && !env.canLeakPointers && isPointer(value)) eacces(`R${reg} ${how}`);
}

/** Refuses to store a pointer in this memory, or to pass it there. */
export const checkNotLeaked = (
  env: VerifierEnv,
  reg: number,
  value: RegisterValue | undefined,
  where: string,
): void => checkNotPointer(env, reg, value, `leaks addr into ${where}`);

/** check_stack_read_fixed_off() */
export function checkInitialised(
  env: VerifierEnv,
  frame: Frame,
  first: number,
  size: number,
): void {
  if (env.canLeakPointers) return;
  const { types } = slotOf(frame, slotAndByte(first)[0]);
  const missing = typeIndexes(first, size).findIndex((letter) => types.charAt(letter) === "?");
  if (missing >= 0) eacces(`invalid read from stack off ${first}+${missing} size ${size}`);
}

/** check_stack_range_initialized(): a helper may not read pointers, either. */
export function checkRangeInitialised(
  env: VerifierEnv,
  frame: Frame,
  { reg, off: first, size }: RegAccess,
): void {
  if (env.canLeakPointers) return;
  for (let i = 0; i < size; i++) {
    const [index, letter] = slotAndByte(first + i);
    const slot = slotOf(frame, index);
    const isGood = isSpill(slot) ? !isPointer(slot.spilled) : slot.types.charAt(letter) !== "?";
    if (isGood) continue;
    eacces(`invalid read from stack R${reg} off ${first}+${i} size ${size}`);
  }
}

/** A part of a spilled pointer may not be overwritten. */
export function checkSpillIntact(
  env: VerifierEnv,
  frame: Frame,
  first: number,
  size: number,
): void {
  if (env.canLeakPointers || size === 8) return;
  const slot = slotOf(frame, slotAndByte(first)[0]);
  if (isSpill(slot) && isPointer(slot.spilled)) {
    eacces("attempt to corrupt spilled pointer on stack");
  }
}
