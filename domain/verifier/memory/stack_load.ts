import { classOf, type Insn } from "../../isa/insn.ts";
import { BPF_STX } from "../../isa/opcodes.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { type Frame, isSpill, type VerifierState } from "../state/state.ts";
import {
  constant,
  fits,
  isConst,
  isNull,
  isScalar,
  type RegisterValue,
  scalar,
  UNKNOWN,
  UNMODELLED,
} from "../state/value.ts";
import { checkNoDynptr } from "./dynptr.ts";
import { checkInitialised } from "./ptr_leaks.ts";
import {
  frameOf,
  isAligned,
  offsetRange,
  type RegAccess,
  slotAndByte,
  slotOf,
  typeIndexes,
} from "./stack.ts";

/**
 * check_stack_read() of Linux 6.18: loads fill registers that were spilled, or read bytes. A loader
 * with CAP_PERFMON may read bytes that were never written.
 */

/** mark_reg_stack_read(): zero if all bytes are. */
function markRegStackRead(frame: Frame, first: number, end: number): RegisterValue {
  let zero = true;
  let any = false;
  for (let off = first; off < end; off++) {
    const [index, letter] = slotAndByte(off);
    const slot = slotOf(frame, index);
    if (slot.types.charAt(letter) !== "0") zero = false;
    if (slot.spilled.kind === "any") any = true;
  }
  if (any) return UNMODELLED;
  return zero ? constant(0n) : UNKNOWN;
}

/** Gives the spilled number an id, which the filled register shares. */
function withScalarId(env: VerifierEnv, frame: Frame, index: number): RegisterValue {
  const slot = slotOf(frame, index);
  if (!isScalar(slot.spilled) || isConst(slot.spilled)) return slot.spilled;
  const value = env.assignScalarId(slot.spilled);
  if (value !== slot.spilled) frame.stack[index] = { types: slot.types, spilled: value };
  return value;
}

function fillPartly(env: VerifierEnv, frame: Frame, first: number, size: number): RegisterValue {
  const [index] = slotAndByte(first);
  const { types, spilled } = slotOf(frame, index);
  if (!isScalar(spilled)) throw new Refused("EACCES", "invalid size of register fill");
  const spillSize = types.length - types.indexOf("r");
  if (size <= spillSize && isAligned(first)) {
    const narrow = size === 4 && spillSize === 4 && fits(spilled, 4);
    const value = narrow ? withScalarId(env, frame, index) : spilled;
    return fits(value, size) ? value : { ...value, id: 0, isLinked: false };
  }
  const letters = typeIndexes(first, size).map((letter) => types.charAt(letter));
  const zero = letters.every((type) => type === "0");
  if (zero) return constant(0n);
  const zeroSpill = letters.every((type) => type === "r") && isNull(spilled);
  return scalar(zeroSpill ? range.ZERO : range.UNKNOWN, spilled.isExact, spilled);
}

/** The value loaded, before it is coerced to `size`. */
export function checkStackRead(
  env: VerifierEnv,
  state: VerifierState,
  pointer: RegisterValue,
  { reg, off, size }: RegAccess,
): RegisterValue {
  const frame = frameOf(state, pointer);
  const [first, last] = offsetRange(pointer, off);
  checkNoDynptr(frame, first, last + size, (at) => {
    const place = range.isConst(pointer.range) ? "" : `R${reg} `;
    return `invalid read from stack ${place}off ${first}+${at - first} size ${size}`;
  });
  if (!range.isConst(pointer.range)) return markRegStackRead(frame, first, last + size);
  const [index] = slotAndByte(first);
  const slot = slotOf(frame, index);
  env.log?.touch(first, first + size);
  const isUpdate = classOf(env.prog[state.at] as Insn) === BPF_STX;
  if (!isUpdate || !isSpill(slot)) checkInitialised(env, frame, first, size);
  if (!isSpill(slot)) return markRegStackRead(frame, first, first + size);
  if (size !== 8 || slot.types !== "rrrrrrrr") return fillPartly(env, frame, first, size);
  return withScalarId(env, frame, index);
}

/** The number that a key on the stack is known to be (get_constant_map_key). */
export function constantAt(
  state: VerifierState,
  pointer: RegisterValue,
  size: number,
): bigint | null {
  if (pointer.kind !== "fp" || !range.isConst(pointer.range)) return null;
  const [first] = offsetRange(pointer, 0);
  const [index, letter] = slotAndByte(first);
  const slot = slotOf(frameOf(state, pointer), index);
  const run = (type: string): number => {
    let length = 0;
    while (length <= letter && slot.types.charAt(letter - length) === type) length += 1;
    return length;
  };
  if (run("0") >= size) return 0n;
  if (!isSpill(slot) || run("r") !== size || !isConst(slot.spilled)) return null;
  slot.spilled.precision.markChainPrecision();
  return slot.spilled.range.bits.value;
}
