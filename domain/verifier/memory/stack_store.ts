import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  CLOBBERED_SLOT,
  currentFrame,
  type Frame,
  isSpill,
  type StackSlot,
  type VerifierState,
} from "../state/state.ts";
import { fits, isNull, isPointer, isScalar, NOT_INIT, type RegisterValue } from "../state/value.ts";
import { destroyDynptr } from "./dynptr.ts";
import { checkSpillIntact } from "./ptr_leaks.ts";
import {
  frameOf,
  isAligned,
  offsetRange,
  type RegAccess,
  slotAndByte,
  slotOf,
  typeIndexes,
} from "./stack.ts";

/** check_stack_write() of Linux 6.18: stores spill registers or write bytes. */

function setTypes(slot: StackSlot, letters: readonly number[], type: string): string {
  const types = [...slot.types];
  for (const letter of letters) types[letter] = type;
  return types.join("");
}

/** save_register_state(): bytes above a spill of less than 8 bytes keep their type. */
function saveRegisterState(frame: Frame, index: number, value: RegisterValue, size: number): void {
  const above = slotOf(frame, index).types.slice(0, 8 - size);
  const kept = above.replace(/[^0?]/g, "m");
  frame.stack[index] = { types: kept + "r".repeat(size), spilled: value };
}

/** Bytes written without a register being spilled: zero or anything. */
function writeBytes(frame: Frame, off: number, size: number, type: string): void {
  const [index] = slotAndByte(off);
  const before = slotOf(frame, index);
  const types = isSpill(before) ? before.types.replace(/[^?]/g, "m") : before.types;
  frame.stack[index] = {
    types: setTypes({ ...before, types }, typeIndexes(off, size), type),
    spilled: NOT_INIT,
  };
}

function isZeroSpill({ spilled }: StackSlot): boolean {
  return isNull(spilled);
}

/** A write at a variable offset; zeros that may be overwritten with zero stay zero. */
function writeVariableOffset(frame: Frame, first: number, end: number, zero: boolean): void {
  for (let off = first; off < end; off++) {
    const [index, letter] = slotAndByte(off);
    const slot = slotOf(frame, index);
    const type = slot.types.charAt(letter);
    if (zero && type === "r" && isZeroSpill(slot)) {
      slot.spilled.precision.markChainPrecision();
      continue;
    }
    const kept = zero && type === "0" ? "0" : "m";
    const types = setTypes(slot, [letter], kept).replace(/r/g, "m");
    frame.stack[index] = { types, spilled: NOT_INIT };
  }
}

function checkCanSpill(isOwnFrame: boolean, value: RegisterValue, size: number): void {
  if (size !== 8) throw new Refused("EACCES", "invalid size of register spill");
  if (isOwnFrame || value.kind !== "fp") return;
  const text = "cannot spill pointers to stack into stack frame of the caller";
  throw new Refused("EINVAL", text);
}

/** @param value null for unknown bytes; an immediate is a constant. */
export function checkStackWrite(
  env: VerifierEnv,
  state: VerifierState,
  { reg, off, size }: RegAccess,
  value: RegisterValue | null,
): void {
  const pointer = currentFrame(state).regs[reg] ?? NOT_INIT;
  const frame = frameOf(state, pointer);
  const [first, last] = offsetRange(pointer, off);
  const zero = value !== null && isNull(value);
  env.log?.touch(first, last + size);
  if (range.isConst(pointer.range)) checkSpillIntact(env, frame, first, size);
  for (let off = first; off < last + size; off++) destroyDynptr(state, frame, slotAndByte(off)[0]);
  if (!range.isConst(pointer.range)) {
    writeVariableOffset(frame, first, last + size, zero);
  } else if (value?.kind === "any") {
    writeBytes(frame, first, size, "m");
    if (size === 8) frame.stack[slotAndByte(first)[0]] = CLOBBERED_SLOT;
  } else if (value !== null && isScalar(value) && isAligned(first)) {
    const kept = fits(value, size) ? value : { ...value, id: 0, linked: false };
    saveRegisterState(frame, slotAndByte(first)[0], kept, size);
  } else if (value !== null && isPointer(value)) {
    checkCanSpill(env.isCurrentFrame(state, frame), value, size);
    saveRegisterState(frame, slotAndByte(first)[0], value, size);
  } else {
    if (zero) value?.precision.markChainPrecision();
    writeBytes(frame, first, size, zero ? "0" : "m");
  }
}

/** Marks the bytes that a helper fills. */
export function markStackWritten(frame: Frame, first: number, end: number): void {
  for (let off = first; off < end; off++) writeBytes(frame, off, 1, "m");
}
