// The state of a path through a program (struct bpf_verifier_state): frames with registers and stacks.

import type { MapFacts } from "../verdict.ts";
import type { RegisterValue } from "./value.ts";
import { FRAME_POINTERS, isScalar, NOT_INIT, UNMODELLED } from "./value.ts";

/**
 * Eight bytes of a stack. A letter for each byte, the highest address first: ? never written, m anything,
 * 0 zero, r part of the register spilled here.
 */
export interface StackSlot {
  readonly types: string;
  readonly spilled: RegisterValue;
}

export const EMPTY_SLOT: StackSlot = { types: "????????", spilled: NOT_INIT };
/** Written by someone who is not followed. */
export const CLOBBERED_SLOT: StackSlot = { types: "mmmmmmmm", spilled: UNMODELLED };
export const SLOTS = 64;

export const isSpill = (slot: StackSlot): boolean => slot.types.charAt(7) === "r";

/** What a callback was called for, and where it goes on; answers are between 0 and 1. */
export interface Frame {
  readonly regs: RegisterValue[];
  /** By distance from the frame pointer, in slots. */
  readonly stack: StackSlot[];
  /** First instruction of the subprogram. */
  readonly start: number;
  /** The call. */
  readonly callsite: number;
  readonly isCallback: boolean;
}

/** A reference taken and not yet released, or a lock. */
export interface Reference {
  readonly id: number;
  /** The instruction that took it. */
  readonly insn: number;
  /** Of a lock: the map in whose value it is; `id` is the pointer's. */
  readonly lock?: MapFacts;
}

/** A state met at an instruction where paths join. */
export interface Checkpoint {
  /** Null once it is no longer compared with. */
  state: VerifierState | null;
  readonly parent: Checkpoint | null;
  /** Paths from here that are not at their end. */
  branches: number;
}

export interface VerifierState {
  at: number;
  readonly frames: Frame[];
  refs: readonly Reference[];
  /** Linux comes here, too, and knows no more. */
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
  isCallback = false,
): Frame {
  const regs = new Array<RegisterValue>(10).fill(NOT_INIT);
  regs.push(FRAME_POINTERS[level] as RegisterValue);
  return { regs, stack: [], start, callsite, isCallback };
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

/** Replaces values wherever they are: in all registers and spilled in all stacks. */
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

/** Tells of the values in all registers and spilled in all stacks. */
export function forEachValue(state: VerifierState, tell: (value: RegisterValue) => void): void {
  replaceValues(state, (value) => {
    tell(value);
    return value;
  });
}

/** Numbers that a loop may have changed, of which Linux knows as much as it needs to. */
export function widenScalars(state: VerifierState, unknown: RegisterValue): void {
  replaceValues(state, (value) => (isScalar(value) ? unknown : value));
  state.isCertain = false;
}

/** Someone who is not followed may have written anywhere in the stacks. */
export function clobberStacks(state: VerifierState): void {
  for (const { stack } of state.frames) {
    for (let i = 0; i < SLOTS; i++) stack[i] = CLOBBERED_SLOT;
  }
}

/** After a call R0 is the answer and R1 to R5 are gone. */
export function clobberCallerSaved(regs: RegisterValue[], answer: RegisterValue): void {
  regs[0] = answer;
  for (let reg = 1; reg <= 5; reg++) regs[reg] = NOT_INIT;
}
