// What a loader without CAP_PERFMON may not do (allow_ptr_leaks and allow_uninit_stack of struct
// bpf_verifier_env): tell what an address is, and read stack that was never written. What Linux asks
// for against speculation besides is not asked here.

import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { type Frame, isSpill } from "../state/state.ts";
import { isPointer, type RegisterValue } from "../state/value.ts";
import { slotAndByte, slotOf, typeIndexes } from "./stack.ts";

function eacces(text: string): never {
  throw new Refused("EACCES", text);
}

/** is_pointer_value(): a pointer must not go there. */
export function checkNotPointer(
  env: VerifierEnv,
  reg: number,
  value: RegisterValue | undefined,
  how: string,
): void {
  if (value !== undefined && !env.canLeakPointers && isPointer(value)) eacces(`R${reg} ${how}`);
}

/** A register that is stored in memory of this kind, or handed over. */
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

/** check_stack_range_initialized() of what a helper reads: no pointers, either. */
export function checkRangeInitialised(
  env: VerifierEnv,
  frame: Frame,
  reg: number,
  first: number,
  size: number,
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

/** Part of a spilled pointer is not to be overwritten. */
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
