import { disasm } from "../../isa/disasm.ts";
import type { Insn } from "../../isa/insn.ts";
import {
  currentDepth,
  EMPTY_SLOT,
  type Frame,
  isSpill,
  type StackSlot,
  type VerifierState,
} from "./state.ts";
import { showRegister } from "./value.ts";

/**
 * The log of a path in the format of Linux: each instruction and what it changed
 * (print_insn_state). When another branch is taken up, level 1 drops the lines since that branch
 * was pushed; level 2 keeps them.
 */

/** The column where notes begin, and the distance of later columns. */
const BPF_LOG_ALIGN_COLUMNS = 40;
const STEP = 8;
/** Lines kept at the end of a log; the front is dropped at twice as many. */
const LINES_KEPT = 2048;

function showSlot(slot: StackSlot, index: number, frame: number): string {
  const name = `fp${(-index - 1) * 8}=`;
  if (!isSpill(slot)) return `${name}${slot.types}`;
  return `${name}${slot.types.replace(/r+$/, "")}${showRegister(slot.spilled, frame)}`;
}

type Filter = (index: number) => boolean;

/** print_verifier_state() for the registers and slots that the filters select. */
export function showState(
  state: VerifierState,
  level: number,
  regs: Filter,
  slots: Filter,
): string {
  const frame = state.frames[level] as Frame;
  const parts = level > 0 ? [` frame${level}:`] : [];
  for (const [i, value] of frame.regs.entries()) {
    if (value.kind !== "none" && value.kind !== "any" && regs(i))
      parts.push(` R${i}=${showRegister(value, level)}`);
  }
  for (let i = 0; i < frame.stack.length; i++) {
    const slot = frame.stack[i] ?? EMPTY_SLOT;
    if (slot.types !== EMPTY_SLOT.types && slots(i)) parts.push(` ${showSlot(slot, i, level)}`);
  }
  // A lock at a constant address has id 0; Linux prints no ids after it.
  const ids = state.refs.map(({ id }) => id).filter((id, i) => id !== 0 || i === 0);
  if (ids[0]) parts.push(` refs=${ids.join(",")}`);
  if (frame.isCallback) parts.push(" cb");
  return parts.join("");
}

const ALL: Filter = () => true;

export const showWhole = (state: VerifierState): string =>
  showState(state, currentDepth(state), ALL, ALL);

interface LogLine {
  text: string;
  /** What the instruction changed, with the blanks before it. */
  note: string;
}

export class VerifierLog {
  readonly #keepsAll: boolean;
  #lines: LogLine[] = [];
  /** Lines dropped at the front. */
  #cut = 0;
  /** Registers and slots that the instruction touched, as bits and by index. */
  #regs = 0;
  readonly #slots = new Set<number>();
  /** The last line is an instruction without a note. */
  #isOpen = false;

  constructor(level: number) {
    this.#keepsAll = (level & 2) !== 0;
  }

  /** The number of lines so far. */
  get end(): number {
    return this.#cut + this.#lines.length;
  }

  #add(text: string): void {
    this.#lines.push({ text, note: "" });
    this.#isOpen = false;
    if (this.#lines.length < LINES_KEPT * 2) return;
    this.#cut += LINES_KEPT;
    this.#lines = this.#lines.slice(LINES_KEPT);
  }

  touchRegs(mask: number): void {
    this.#regs |= mask;
  }

  /** Bytes of a stack, by offset. */
  touch(first: number, end: number): void {
    for (let off = first; off < end; off++) this.#slots.add((-off - 1) >> 3);
  }

  insn(at: number, insn: Insn, next: Insn | undefined): void {
    this.#add(`${at}: ${disasm(insn, next)}`);
    this.#isOpen = true;
  }

  /** Prints what the instruction changed beside it. */
  after(state: VerifierState): void {
    if (this.#regs === 0 && this.#slots.size === 0) return;
    const changed = showState(
      state,
      currentDepth(state),
      (i) => (this.#regs & (1 << i)) !== 0,
      (i) => this.#slots.has(i),
    );
    const last = this.#lines.at(-1);
    if (this.#isOpen && last !== undefined) {
      const length = last.text.length + 1;
      const wide = Math.max(length + STEP / 2, BPF_LOG_ALIGN_COLUMNS);
      const blanks = Math.ceil(wide / STEP) * STEP - length - 1;
      last.note = `${" ".repeat(blanks)};${changed}`;
      this.#isOpen = false;
    } else {
      this.#add(`${state.at}:${changed}`);
    }
    this.#forget();
  }

  #forget(): void {
    this.#regs = 0;
    this.#slots.clear();
  }

  /** Takes up the branch that was pushed at line `position`. */
  resume(state: VerifierState, from: number, position: number): void {
    const whole = showWhole(state);
    this.#forget();
    if (this.#keepsAll) {
      this.#add("");
      this.#add(`from ${from} to ${state.at}:${whole}`);
      this.#add(`${state.at}:${whole}`);
      return;
    }
    this.#lines.length = Math.max(position - this.#cut, 0);
    const last = this.#lines.at(-1);
    if (last !== undefined) last.note = ` ${state.at}:${whole}`;
  }

  start(state: VerifierState): void {
    this.#forget();
    this.#add(`${state.at}:${showState(state, 0, ALL, ALL)}`);
  }

  /** A line that is not about an instruction. */
  say(text: string): void {
    this.#add(text);
  }

  /** A function was entered. */
  call(state: VerifierState): void {
    this.#add(`caller:\n${showState(state, currentDepth(state) - 1, ALL, ALL)}`);
    this.#add(`callee:\n${showWhole(state)}`);
    this.#add(`${state.at}:${showWhole(state)}`);
    this.#forget();
  }

  /** A function is about to return. */
  returning(state: VerifierState): void {
    this.#add(`returning from callee:\n${showWhole(state)}`);
  }

  returned(state: VerifierState): void {
    this.#add(`to caller at ${state.at}:\n${showWhole(state)}`);
    this.#forget();
  }

  /** Empty, or with a newline at its end. */
  toString(): string {
    return this.#lines.map(({ text, note }) => `${text}${note}\n`).join("");
  }
}
