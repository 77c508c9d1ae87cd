import * as range from "../scalar/range.ts";
import * as tnum from "../scalar/tnum.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  currentFrame,
  EMPTY_SLOT,
  type Frame,
  type StackSlot,
  type VerifierState,
} from "../state/state.ts";
import type { RegisterValue } from "../state/value.ts";

/** Offsets on the stack, and the bounds of accesses to it. */

const MAX_STACK_BYTES = 512;
const MAX_VAR_OFF = 1n << 29n;

export const slotOf = (frame: Frame, index: number): StackSlot => frame.stack[index] ?? EMPTY_SLOT;
export const isAligned = (off: number): boolean => (off & 7) === 0;

/** The slot of the byte at an offset, and its index in the types of the slot. */
export const slotAndByte = (off: number): [index: number, letter: number] => [
  (-off - 1) >> 3,
  (-off - 1) & 7,
];

export const frameOf = (state: VerifierState, pointer: RegisterValue): Frame =>
  state.frames[pointer.home] as Frame;

/** The first and the last offset where the access may begin. */
export function offsetRange(pointer: RegisterValue, off: number): [first: number, last: number] {
  const fixed = pointer.off + off;
  return [Number(pointer.range.smin) + fixed, Number(pointer.range.smax) + fixed];
}

/** allocated_stack: how far down the stack may be read. */
function allocatedStack(env: VerifierEnv, { stack }: Frame): number {
  if (env.canLeakPointers) return MAX_STACK_BYTES;
  return 8 * (stack.findLastIndex((slot) => slot !== undefined && slot !== EMPTY_SLOT) + 1);
}

/** `size` bytes at an offset from the pointer in a register. */
export interface RegAccess {
  readonly reg: number;
  readonly off: number;
  readonly size: number;
}

/** check_stack_access_within_bounds() */
export function checkStackAccessWithinBounds(
  env: VerifierEnv,
  state: VerifierState,
  { reg, off, size }: RegAccess,
  how: "read from" | "write to",
): void {
  const pointer = currentFrame(state).regs[reg] as RegisterValue;
  const [first, last] = offsetRange(pointer, off);
  const reach =
    how === "read from" ? allocatedStack(env, frameOf(state, pointer)) : MAX_STACK_BYTES;
  const isTooLow = first < -reach || first > -1;
  const isFixed = range.isConst(pointer.range);
  const isNear = isFixed || (pointer.range.smax < MAX_VAR_OFF && pointer.range.smin > -MAX_VAR_OFF);
  if (isNear && !isTooLow && last + size <= 0) {
    env.updateStackDepth(state, frameOf(state, pointer), -first);
    return;
  }
  const errno = isTooLow || !isNear ? "EACCES" : "EINVAL";
  const place = `stack R${reg}`;
  if (!isNear) {
    throw new Refused(errno, `invalid unbounded variable-offset ${how} ${place}`, pointer.isExact);
  }
  const bits = tnum.show(pointer.range.bits);
  const text = isFixed
    ? `invalid ${how} ${place} off=${first} size=${size}`
    : `invalid variable-offset ${how} ${place} var_off=${bits} off=${pointer.off + off} size=${size}`;
  throw new Refused(errno, text, pointer.isExact);
}

/** Indexes in the types of a slot of `size` bytes from an offset on. */
export function typeIndexes(off: number, size: number): number[] {
  return Array.from({ length: size }, (_, i) => (-off - 1 - i) & 7);
}
