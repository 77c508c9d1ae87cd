import type { HelperArg } from "../../isa/helpers/helper_row.ts";
import { store } from "../memory/access.ts";
import {
  type DynptrType,
  dynptrSlot,
  initialisedAt,
  markDynptr,
  releaseDynptr,
  typeOf,
} from "../memory/dynptr.ts";
import { frameOf, slotOf } from "../memory/stack.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { currentFrame, type VerifierState } from "../state/state.ts";
import type { RegisterValue } from "../state/value.ts";
import type { CallArgMeta } from "./argument_memory.ts";

/** process_dynptr_func() of Linux 6.18: a helper makes, uses or releases a dynptr. */

/** The type of dynptr that an argument makes or releases. */
const TYPES: Readonly<Partial<Record<HelperArg, DynptrType>>> = {
  uninit_dynptr_local: "local",
  uninit_dynptr_ringbuf: "ringbuf",
  released_dynptr_ringbuf: "ringbuf",
};

export const isDynptrArg = (type: HelperArg): boolean =>
  type === "dynptr" || TYPES[type] !== undefined;

function einval(text: string): never {
  throw new Refused("EINVAL", text);
}

function construct(
  env: VerifierEnv,
  state: VerifierState,
  { reg, type }: { reg: number; type: DynptrType },
): void {
  const pointer = currentFrame(state).regs[reg] as RegisterValue;
  const index = pointer.kind === "fp" ? dynptrSlot(pointer) : null;
  if (index === null) einval("Dynptr has to be an uninitialized dynptr");
  for (const off of [0, 8]) store(env, state, { reg, off, size: 8 }, null);
  markDynptr(env, state, frameOf(state, pointer), index, type);
}

function checkUnreleased(state: VerifierState, reg: number, pointer: RegisterValue): void {
  if (pointer.kind !== "fp") einval("cannot release unowned const bpf_dynptr");
  const index = dynptrSlot(pointer);
  const ref = index === null ? 0 : slotOf(frameOf(state, pointer), index).spilled.ref;
  if (ref === 0) einval(`arg ${reg} is an unacquired reference`);
}

export function processDynptr(
  env: VerifierEnv,
  state: VerifierState,
  { reg, type }: { reg: number; type: HelperArg },
  meta: CallArgMeta,
): void {
  const made = TYPES[type];
  if (made !== undefined && type !== "released_dynptr_ringbuf") {
    // The helper fills it after all arguments are checked; no later argument reads it.
    construct(env, state, { reg, type: made });
    return;
  }
  const pointer = currentFrame(state).regs[reg] as RegisterValue;
  if (made !== undefined) checkUnreleased(state, reg, pointer);
  if (pointer.kind !== "fp") {
    meta.dynptr = pointer.dynptr;
    return;
  }
  const frame = frameOf(state, pointer);
  const index = dynptrSlot(pointer);
  const slot = initialisedAt(frame, index);
  if (slot === null || index === null) einval(`Expected an initialized dynptr as arg #${reg - 1}`);
  if (made !== undefined && typeOf(slot) !== made)
    einval(`Expected a dynptr of type ${made} as arg #${reg - 1}`);
  meta.dynptr = slot.spilled.dynptr;
  meta.ref = slot.spilled.ref;
  if (made !== undefined) meta.releasesDynptr = { pointer, index };
}

/** Releases the dynptr that a call submits or discards. */
export function applyDynptrRelease(state: VerifierState, { releasesDynptr }: CallArgMeta): void {
  if (releasesDynptr === null) return;
  const { pointer, index } = releasesDynptr;
  releaseDynptr(state, frameOf(state, pointer), index);
}
