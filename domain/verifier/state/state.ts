import { BPF_REG_FP } from "../../isa/registers.ts";
import type { MapFacts } from "../verdict.ts";
import type { RegisterValue } from "./value.ts";
import { FRAME_POINTERS, isScalar, NOT_INIT, UNMODELLED } from "./value.ts";

/** struct bpf_verifier_state: the frames of a path, each with registers and a stack. */

/**
 * Eight bytes of a stack. A letter for each byte, the highest address first: ? never written, m anything,
 * 0 zero, r part of the register spilled here, d part of a dynptr.
 */
export interface StackSlot {
  readonly types: string;
  readonly spilled: RegisterValue;
}

export const EMPTY_SLOT: StackSlot = { types: "????????", spilled: NOT_INIT };
/** Written by code that is not modelled. */
export const CLOBBERED_SLOT: StackSlot = { types: "mmmmmmmm", spilled: UNMODELLED };
/** Both slots of a dynptr. */
export const DYNPTR_TYPES = "dddddddd";
export const SLOTS = 64;

export const isSpill = (slot: StackSlot): boolean => slot.types.charAt(7) === "r";

/** struct bpf_func_state */
export interface Frame {
  readonly regs: RegisterValue[];
  /** By distance from the frame pointer, in slots. */
  readonly stack: StackSlot[];
  /** First instruction of the subprogram. */
  readonly start: number;
  /** The instruction that called it. */
  readonly callsite: number;
  readonly isCallback: boolean;
  /** References held when a callback begins; it may not add to them. */
  readonly heldRefs: number;
}

/** A reference taken and not yet released, or a lock. */
export interface Reference {
  readonly id: number;
  /** The instruction that took it. */
  readonly insn: number;
  /** For a lock, the map whose value has it; `id` is then the id of the pointer. */
  readonly lock?: MapFacts;
}

/** A state kept at a prune point. */
export interface Checkpoint {
  /** Null once it is dropped. */
  state: VerifierState | null;
  readonly parent: Checkpoint | null;
  /** Paths from here that have not ended. */
  branches: number;
}

export interface VerifierState {
  at: number;
  readonly frames: Frame[];
  refs: readonly Reference[];
  /** Linux reaches this state, too, and knows no more. */
  isCertain: boolean;
  parent: Checkpoint | null;
}

export const currentFrame = (state: VerifierState): Frame =>
  state.frames[state.frames.length - 1] as Frame;
export const currentDepth = (state: VerifierState): number => state.frames.length - 1;

export function makeFrame(
  start: number,
  callsite: number,
  level: number,
  callback?: { heldRefs: number },
): Frame {
  const regs = new Array<RegisterValue>(BPF_REG_FP).fill(NOT_INIT);
  regs.push(FRAME_POINTERS[level] as RegisterValue);
  const isCallback = callback !== undefined;
  return { regs, stack: [], start, callsite, isCallback, heldRefs: callback?.heldRefs ?? 0 };
}

const copyFrame = (frame: Frame): Frame => ({
  ...frame,
  regs: frame.regs.slice(),
  stack: frame.stack.slice(),
});

export const copyState = (state: VerifierState): VerifierState => ({
  ...state,
  frames: state.frames.map(copyFrame),
});

/** Replaces values in all registers and in all spilled slots. */
export function replaceValues(
  state: VerifierState,
  by: (value: RegisterValue) => RegisterValue,
): void {
  for (const { regs, stack } of state.frames) {
    for (let reg = 0; reg < regs.length; reg++) {
      const value = regs[reg] as RegisterValue;
      const next = by(value);
      if (next !== value) regs[reg] = next;
    }
    for (let i = 0; i < stack.length; i++) {
      const slot = stack[i];
      if (slot === undefined || !isSpill(slot)) continue;
      const spilled = by(slot.spilled);
      if (spilled !== slot.spilled) stack[i] = { types: slot.types, spilled };
    }
  }
}

/** Visits the values in all registers and in all spilled slots. */
export function forEachValue(state: VerifierState, tell: (value: RegisterValue) => void): void {
  replaceValues(state, (value) => {
    tell(value);
    return value;
  });
}

/** Forgets the numbers that a loop may have changed; Linux may know more of them. */
export function widenScalars(state: VerifierState, unknown: RegisterValue): void {
  replaceValues(state, (value) => (isScalar(value) ? unknown : value));
  state.isCertain = false;
}

/** Code that is not modelled may have written anywhere in the stacks. */
export function clobberStacks(state: VerifierState): void {
  for (const { stack } of state.frames) {
    // Linux may still see the dynptr, and its reference.
    state.isCertain &&= !stack.some((slot) => slot?.types === DYNPTR_TYPES);
    for (let i = 0; i < SLOTS; i++) stack[i] = CLOBBERED_SLOT;
  }
}

/** After a call R0 is the return value, and R1 to R5 are unreadable. */
export function clobberCallerSaved(regs: RegisterValue[], answer: RegisterValue): void {
  regs[0] = answer;
  for (let reg = 1; reg <= 5; reg++) regs[reg] = NOT_INIT;
}
