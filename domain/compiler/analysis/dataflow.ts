import { classOf, type Insn, isCall, isSkbLoad, modeOf } from "../../isa/insn.ts";
import {
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CMPXCHG,
  BPF_FETCH,
  BPF_LD,
  BPF_LDX,
  BPF_LOAD_ACQ,
  BPF_MOV,
  BPF_STX,
  BPF_X,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import type { Graph } from "./graph.ts";

/**
 * Propagates register states forward over the blocks of a subprogram until they no longer change.
 */

/** State of a register about which nothing is known. */
export const UNKNOWN = 0;
const REGISTERS = 11;
/** Only a program made for the purpose needs more rounds. */
const MAX_ROUNDS = 32;

/** An analysis gives the numbers of a state their meaning. */
export interface Lattice {
  /** The value of r10 at entry; all other registers are unknown. */
  readonly frame: number;
  /** Joins the values of two paths; the result never claims more than either. */
  meet(one: number, other: number): number;
  /** Applies an instruction to the registers. It runs again until the states are final. */
  step(state: Int32Array, insn: Insn, at: number): void;
}

function atomicWrites({ imm, dst, src }: Insn): number {
  if (imm === BPF_LOAD_ACQ) return dst;
  if (imm === BPF_CMPXCHG) return 0;
  return (imm & BPF_FETCH) !== 0 ? src : -1;
}

/** Makes the registers that the instruction writes unknown. */
export function forgetWritten(state: Int32Array, insn: Insn): void {
  const kind = classOf(insn);
  if (isCall(insn) || isSkbLoad(insn)) state.fill(UNKNOWN, 0, 6);
  else if (kind === BPF_STX && modeOf(insn) === BPF_ATOMIC) {
    const reg = atomicWrites(insn);
    if (reg >= 0) state[reg] = UNKNOWN;
  } else if (kind === BPF_LD || kind === BPF_LDX || kind === BPF_ALU || kind === BPF_ALU64) {
    state[insn.dst] = UNKNOWN;
  }
}

export const isCopy = (insn: Insn): boolean =>
  insn.code === (BPF_ALU64 | BPF_MOV | BPF_X) && insn.off === 0;

class Dataflow {
  readonly #prog: readonly Insn[];
  readonly #graph: Graph;
  readonly #lattice: Lattice;
  /** States at the start of each block, by rank. */
  readonly #states: Int32Array;
  readonly #reached: Uint8Array;
  readonly #due: Uint8Array;
  readonly #state = new Int32Array(REGISTERS);
  #again = false;

  constructor(prog: readonly Insn[], graph: Graph, lattice: Lattice) {
    const count = graph.order.length;
    this.#prog = prog;
    this.#graph = graph;
    this.#lattice = lattice;
    this.#states = new Int32Array(count * REGISTERS);
    this.#reached = new Uint8Array(count);
    this.#due = new Uint8Array(count);
    this.#states[10] = lattice.frame;
    this.#reached[0] = 1;
    this.#due[0] = 1;
  }

  #through(rank: number): void {
    const [graph, prog, state] = [this.#graph, this.#prog, this.#state];
    const block = graph.order[rank] as number;
    const from = rank * REGISTERS;
    state.set(this.#states.subarray(from, from + REGISTERS));
    const last = graph.last[block] as number;
    for (let at = graph.first[block] as number; at <= last; at++) {
      const insn = prog[at] as Insn;
      this.#lattice.step(state, insn, at);
      if (insn.code === LD_IMM64) at++;
    }
    this.#into(rank, graph.next[block] as number);
    this.#into(rank, graph.taken[block] as number);
  }

  #into(from: number, block: number): void {
    if (block < 0) return;
    const rank = this.#graph.rank[block] as number;
    if (!this.#merge(rank)) return;
    this.#due[rank] = 1;
    if (rank <= from) this.#again = true;
  }

  /** Merges the current state into a block's and returns whether it changed. */
  #merge(rank: number): boolean {
    const [states, state] = [this.#states, this.#state];
    const base = rank * REGISTERS;
    let changed = this.#reached[rank] === 0;
    for (let reg = 0; reg < REGISTERS; reg++) {
      const now = state[reg] as number;
      const old = states[base + reg] as number;
      const met =
        this.#reached[rank] === 0 ? now : old === now ? old : this.#lattice.meet(old, now);
      if (met !== old) changed = true;
      states[base + reg] = met;
    }
    this.#reached[rank] = 1;
    return changed;
  }

  run(): boolean {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      this.#again = false;
      for (let rank = 0; rank < this.#due.length; rank++) {
        if (this.#due[rank] === 0) continue;
        this.#due[rank] = 0;
        this.#through(rank);
      }
      if (!this.#again) return true;
    }
    return false;
  }
}

/** Runs an analysis. Returns false when it gave up; its results then mean nothing. */
export function runDataflow(prog: readonly Insn[], graph: Graph, lattice: Lattice): boolean {
  return new Dataflow(prog, graph, lattice).run();
}
