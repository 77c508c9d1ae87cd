// Finds the faulty instruction do_check() comes to first, if it is certain to come to one.
// Linux never looks at code it proves dead, so a fault counts only where every way on leads to one,
// or where constants and calls lead straight to it: no program Linux accepts is refused here.

import { successors } from "./cfg.ts";
import type { Insn } from "./insn.ts";
import * as bpf from "./insn.ts";
import { advance, clobber, type Registers, taken } from "./scalar.ts";
import { type Refusal, refuse } from "./verdict.ts";

const MAX_FRAMES = 8;

export interface Found {
  readonly at: number;
  readonly refusal: Refusal;
}

interface Frame {
  readonly start: number;
  readonly back: number;
  readonly registers: Registers;
  readonly up: Frame | null;
  readonly depth: number;
}

interface Place {
  readonly at: number;
  readonly registers: Registers;
  readonly frame: Frame | null;
}

type Faults = ReadonlyMap<number, Refusal>;

/** Edges of the control flow, backwards, as linked lists in flat arrays: programs reach a million. */
function backwards(prog: readonly Insn[]): (at: number, visit: (from: number) => void) => void {
  const first = new Int32Array(prog.length).fill(-1);
  const next = new Int32Array(prog.length * 2).fill(-1);
  for (let at = 0; at < prog.length; at++) {
    const insn = prog[at] as Insn;
    for (const [i, to] of successors(insn, at).entries()) {
      const edge = at * 2 + i;
      next[edge] = first[to] ?? -1;
      first[to] = edge;
    }
    if (insn.code === bpf.LD_IMM64) at++;
  }
  return (at, visit) => {
    for (let edge = first[at] ?? -1; edge >= 0; edge = next[edge] ?? -1) visit(edge >> 1);
  };
}

/** Instructions from which some way leads to an exit without meeting a fault. */
function survivors(prog: readonly Insn[], faults: Faults): Uint8Array {
  const safe = new Uint8Array(prog.length);
  const predecessors = backwards(prog);
  const pending: number[] = [];
  const mark = (at: number): void => {
    if (safe[at] !== 0 || faults.has(at)) return;
    const insn = prog[at] as Insn;
    const returns = !bpf.isPseudoCall(insn) || safe[bpf.callee(insn, at)] !== 0;
    const goesOn = bpf.isPseudoCall(insn) || bpf.isPseudoFunc(insn);
    const after = insn.code === bpf.LD_IMM64 ? at + 2 : at + 1;
    if (!returns || (goesOn && safe[after] === 0)) return;
    safe[at] = 1;
    pending.push(at);
  };
  for (let at = 0; at < prog.length; at++) if (bpf.isExit(prog[at] as Insn)) mark(at);
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) predecessors(at, mark);
  return safe;
}

/** Whether a subprogram is among its own callers: recursion, which never ends well. */
function isOpen(frame: Frame | null, start: number): boolean {
  for (let open = frame; open !== null; open = open.up) if (open.start === start) return true;
  return start === 0;
}

class Walk {
  private readonly prog: readonly Insn[];
  private readonly faults: Faults;
  private readonly safe: Uint8Array;
  private readonly visited: Uint8Array;
  private readonly pending: Place[] = [];

  constructor(prog: readonly Insn[], faults: Faults) {
    this.prog = prog;
    this.faults = faults;
    this.safe = survivors(prog, faults);
    this.visited = new Uint8Array(prog.length);
  }

  run(): Found | null {
    this.pending.push({ at: 0, registers: [], frame: null });
    for (let place = this.pending.pop(); place !== undefined; place = this.pending.pop()) {
      let here: Place | null = place;
      while (here !== null && this.visited[here.at] === 0) {
        this.visited[here.at] = 1;
        const found = this.stop(here);
        if (found !== null) return found;
        here = this.step(here);
      }
    }
    return null;
  }

  private stop({ at, frame }: Place): Found | null {
    const refusal = this.faults.get(at);
    if (refusal !== undefined) return { at, refusal };
    const insn = this.prog[at] as Insn;
    if (!bpf.isPseudoCall(insn)) return null;
    const deep = (frame?.depth ?? 1) >= MAX_FRAMES || isOpen(frame, bpf.callee(insn, at));
    if (!deep) return null;
    const log = `the call stack of ${MAX_FRAMES + 1} frames is too deep`;
    return { at, refusal: refuse("E2BIG", log) };
  }

  private step(place: Place): Place | null {
    const { at, registers, frame } = place;
    const insn = this.prog[at] as Insn;
    if (bpf.isExit(insn)) return this.leave(frame, registers[0]);
    if (bpf.isGoto(insn)) return { ...place, at: bpf.target(insn, at) };
    if (bpf.isPseudoCall(insn)) return this.enter(place, bpf.callee(insn, at));
    if (bpf.isJump(insn) && !bpf.isCall(insn)) return this.branch(place, insn);
    const after = advance(insn, this.prog[at + 1], registers);
    return { at: insn.code === bpf.LD_IMM64 ? at + 2 : at + 1, registers: after, frame };
  }

  private leave(frame: Frame | null, answer?: bigint): Place | null {
    if (frame === null) return null;
    const { back, registers, up } = frame;
    return { at: back, registers: clobber(registers, answer), frame: up };
  }

  private enter({ at, registers, frame }: Place, start: number): Place | null {
    const depth = (frame?.depth ?? 1) + 1;
    const inner: Frame = { start, back: at + 1, registers, up: frame, depth };
    if (this.visited[start] !== 0) return this.leave(inner);
    const args = [undefined, ...registers.slice(1, 6)];
    return { at: start, registers: args, frame: inner };
  }

  /** Linux goes on with the next instruction and keeps the target for later; may_goto the reverse. */
  private branch(place: Place, insn: Insn): Place | null {
    const next = { ...place, at: place.at + 1 };
    const jump = { ...place, at: bpf.target(insn, place.at) };
    const isMayGoto = bpf.opOf(insn) === bpf.JCOND;
    const [now, later] = isMayGoto ? [jump, next] : [next, jump];
    const decided = isMayGoto ? undefined : taken(insn, place.registers);
    const doomed = this.safe[place.at] === 0;
    const chosen = decided === true ? jump : next;
    if (decided !== undefined && !(doomed && this.visited[chosen.at] !== 0)) return chosen;
    if (doomed || isMayGoto) {
      this.pending.push(later);
      return now;
    }
    // One side may be dead to Linux. A callee still returns, else the program is refused anyway.
    return this.leave(place.frame);
  }
}

export function firstFault(prog: readonly Insn[], faults: Faults): Found | null {
  if (faults.size === 0 && !prog.some(bpf.isPseudoCall)) return null;
  return new Walk(prog, faults).run();
}
