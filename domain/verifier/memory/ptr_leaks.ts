// What a loader without CAP_PERFMON may not do (allow_ptr_leaks and allow_uninit_stack of struct
// bpf_verifier_env): tell what an address is, and read stack that was never written. What Linux asks
// for against speculation besides is not asked here.

import type { VerifierEnv } from "../state/env.ts";
import { type Frame, isSpill } from "../state/state.ts";
import { isPointer, Refused, type RegisterValue } from "../state/value.ts";
import { lettersOf, place, slotOf } from "./stack.ts";

function eacces(text: string): never {
  throw new Refused("EACCES", text);
}

/** is_pointer_value(): a pointer must not go there. */
export function secret(
  env: VerifierEnv,
  reg: number,
  value: RegisterValue | undefined,
  how: string,
): void {
  if (value !== undefined && !env.mayLeak && isPointer(value)) eacces(`R${reg} ${how}`);
}

/** A register that is stored in memory of this kind, or handed over. */
export const kept = (
  env: VerifierEnv,
  reg: number,
  value: RegisterValue | undefined,
  where: string,
): void => secret(env, reg, value, `leaks addr into ${where}`);

/** check_stack_read_fixed_off() */
export function initialised(env: VerifierEnv, frame: Frame, first: number, size: number): void {
  if (env.mayLeak) return;
  const { types } = slotOf(frame, place(first)[0]);
  const missing = lettersOf(first, size).findIndex((letter) => types.charAt(letter) === "?");
  if (missing >= 0) eacces(`invalid read from stack off ${first}+${missing} size ${size}`);
}

/** check_stack_range_initialized() of what a helper reads: no pointers, either. */
export function readable(
  env: VerifierEnv,
  frame: Frame,
  reg: number,
  first: number,
  size: number,
): void {
  if (env.mayLeak) return;
  for (let i = 0; i < size; i++) {
    const [index, letter] = place(first + i);
    const slot = slotOf(frame, index);
    const isGood = isSpill(slot) ? !isPointer(slot.spilled) : slot.types.charAt(letter) !== "?";
    if (isGood) continue;
    eacces(`invalid read from stack R${reg} off ${first}+${i} size ${size}`);
  }
}

/** Part of a spilled pointer is not to be overwritten. */
export function intact(env: VerifierEnv, frame: Frame, first: number, size: number): void {
  if (env.mayLeak || size === 8) return;
  const slot = slotOf(frame, place(first)[0]);
  if (isSpill(slot) && isPointer(slot.spilled)) {
    eacces("attempt to corrupt spilled pointer on stack");
  }
}
