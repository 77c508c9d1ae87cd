import { BPF_FUNC } from "../../isa/helpers/index.ts";
import { calleeOf, type Insn, isHelperCall } from "../../isa/insn.ts";
import { MAX_BPF_STACK } from "../../isa/limits.ts";
import {
  BPF_ADD,
  BPF_ALU64,
  BPF_PSEUDO_FUNC,
  BPF_PSEUDO_MAP_FD,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import { forgetWritten, isCopy, type Lattice, UNKNOWN } from "./dataflow.ts";

/**
 * Finds the maps, functions and stack addresses that registers certainly hold when they are
 * passed to calls.
 */

/** Each fact holds on every path, or is left out. */
export interface RegisterFacts {
  /** The map that r1 holds, as an index into the unit's maps. */
  readonly map?: number;
  /** Offset of r2 from the frame pointer. */
  readonly keyOffset?: number;
  /** First instruction of the subprogram that r2 holds. */
  readonly callback?: number;
  /** The program only adds to the value that the lookup finds. */
  readonly isAddOnly?: boolean;
}

/** The kind of a value is in its low bits, its payload above them. */
const MAP = 1;
const FUNCTION = 2;
const FRAME = 3;
const KIND_BITS = 2;
const KIND_MASK = 3;

const pack = (kind: number, which: number): number => (which << KIND_BITS) | kind;
const kindOf = (value: number): number => value & KIND_MASK;
const payloadOf = (value: number): number => value >> KIND_BITS;

export class ConstantPropagation implements Lattice {
  readonly frame = pack(FRAME, 0);
  /** Facts by the instruction of a lookup or loop. */
  readonly facts = new Map<number, RegisterFacts>();

  meet(): number {
    return UNKNOWN;
  }

  step(state: Int32Array, insn: Insn, at: number): void {
    if (isHelperCall(insn)) this.#note(state, insn, at);
    const value = this.#valueOf(state, insn, at);
    forgetWritten(state, insn);
    if (value !== UNKNOWN) state[insn.dst] = value;
  }

  #valueOf(state: Int32Array, insn: Insn, at: number): number {
    if (isCopy(insn)) return state[insn.src] as number;
    if (insn.code === (BPF_ALU64 | BPF_ADD))
      return this.#moved(state[insn.dst] as number, insn.imm);
    if (insn.code !== LD_IMM64) return UNKNOWN;
    if (insn.src === BPF_PSEUDO_MAP_FD) return pack(MAP, insn.imm);
    return insn.src === BPF_PSEUDO_FUNC ? pack(FUNCTION, calleeOf(insn, at)) : UNKNOWN;
  }

  #moved(value: number, by: number): number {
    if (kindOf(value) !== FRAME) return UNKNOWN;
    const off = payloadOf(value) + by;
    return off >= -MAX_BPF_STACK && off <= 0 ? pack(FRAME, off) : UNKNOWN;
  }

  #note(state: Int32Array, { imm }: Insn, at: number): void {
    if (imm !== BPF_FUNC.map_lookup_elem && imm !== BPF_FUNC.loop) return;
    const [first, second] = [state[1] as number, state[2] as number];
    this.facts.set(at, {
      ...(kindOf(first) === MAP && { map: payloadOf(first) }),
      ...(kindOf(second) === FRAME && { keyOffset: payloadOf(second) }),
      ...(kindOf(second) === FUNCTION && { callback: payloadOf(second) }),
    });
  }
}
