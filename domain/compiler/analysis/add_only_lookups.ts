import { BPF_FUNC, helperOf } from "../../isa/helpers/index.ts";
import {
  bytesOf,
  classOf,
  hasSrcReg,
  type Insn,
  isCall,
  isExit,
  isGoto,
  isHelperCall,
  isJump,
  isSkbLoad,
  modeOf,
  opOf,
} from "../../isa/insn.ts";
import {
  BPF_ADD,
  BPF_ALU,
  BPF_ALU64,
  BPF_ATOMIC,
  BPF_CMPXCHG,
  BPF_IND,
  BPF_JCOND,
  BPF_JEQ,
  BPF_JMP,
  BPF_JNE,
  BPF_LDX,
  BPF_MOV,
  BPF_ST,
  BPF_STX,
  LD_IMM64,
} from "../../isa/opcodes.ts";
import { HELPERS } from "../abi.ts";
import { forgetWritten, isCopy, type Lattice, UNKNOWN } from "./dataflow.ts";

/**
 * Finds lookups whose value is only added to: the pointer is tested for NULL and is the
 * destination of
 * atomic additions without fetch, at constant offsets in the value, and has no other use.
 */

/** The registers that a helper reads; all five for one that this service does not implement. */
function countArgs(id: number): number {
  const name = helperOf(id);
  if (name === "tail_call") return 3;
  if (name === "loop") return 4;
  const signature = name && HELPERS[name];
  return signature?.args.replace("b", "").length ?? 5;
}

/** Flag of a pointer that may also be another value: any use of it disqualifies the lookup. */
const MIXED = 1;

/**
 * A register holds the pointer of a group of lookups: twice the group's number, or that and MIXED.
 * Where pointers of two groups meet, the groups are joined.
 */
export class AddOnlyLookups implements Lattice {
  readonly frame = UNKNOWN;
  readonly #numbers = new Map<number, number>();
  /** By group, its parent in the union-find forest. */
  readonly #parent: number[] = [0];
  readonly #misused: boolean[] = [false];
  /** By group, the end of the last addition in the value. */
  readonly #end: number[] = [0];

  #root(group: number): number {
    let at = group;
    while (this.#parent[at] !== at) {
      this.#parent[at] = this.#parent[this.#parent[at] as number] as number;
      at = this.#parent[at] as number;
    }
    return at;
  }

  #join(one: number, other: number): number {
    const [to, from] = [this.#root(one), this.#root(other)];
    if (to === from) return to;
    this.#parent[from] = to;
    this.#misused[to] ||= this.#misused[from] as boolean;
    this.#end[to] = Math.max(this.#end[to] as number, this.#end[from] as number);
    return to;
  }

  meet(one: number, other: number): number {
    if (one === UNKNOWN || other === UNKNOWN) return one | other | MIXED;
    return (this.#join(one >> 1, other >> 1) << 1) | ((one | other) & MIXED);
  }

  #pointer(at: number): number {
    let group = this.#numbers.get(at);
    if (group === undefined) {
      group = this.#parent.length;
      this.#numbers.set(at, group);
      this.#parent.push(group);
      this.#misused.push(false);
      this.#end.push(0);
    }
    return this.#root(group) << 1;
  }

  #misuse(value: number): void {
    if (value !== UNKNOWN) this.#misused[this.#root(value >> 1)] = true;
  }

  #checked(value: number): void {
    if ((value & MIXED) !== 0) this.#misuse(value);
  }

  #added(value: number, insn: Insn): void {
    const size = bytesOf(insn);
    if ((value & MIXED) !== 0 || insn.off < 0 || insn.off % size !== 0) this.#misuse(value);
    const group = this.#root(value >> 1);
    this.#end[group] = Math.max(this.#end[group] as number, insn.off + size);
  }

  #calls(state: Int32Array, insn: Insn): void {
    const count = isHelperCall(insn) ? countArgs(insn.imm) : 5;
    for (let reg = 1; reg <= count; reg++) this.#misuse(state[reg] as number);
  }

  #atomics(state: Int32Array, insn: Insn): void {
    this.#misuse(state[insn.src] as number);
    const value = state[insn.dst] as number;
    if (insn.imm === BPF_ADD && bytesOf(insn) >= 4) this.#added(value, insn);
    else {
      this.#misuse(value);
      if (insn.imm === BPF_CMPXCHG) this.#misuse(state[0] as number);
    }
  }

  #jumps(state: Int32Array, insn: Insn): void {
    const value = state[insn.dst] as number;
    if (isCall(insn)) this.#calls(state, insn);
    else if (isExit(insn)) this.#misuse(state[0] as number);
    else if (isNullTest(insn)) this.#checked(value);
    else if (!isGoto(insn) && opOf(insn) !== BPF_JCOND) {
      this.#misuse(value);
      if (hasSrcReg(insn)) this.#misuse(state[insn.src] as number);
    }
  }

  #loadsAndStores(state: Int32Array, insn: Insn): void {
    const kind = classOf(insn);
    const mode = modeOf(insn);
    if (kind === BPF_STX && mode === BPF_ATOMIC) this.#atomics(state, insn);
    else {
      if (kind === BPF_ST || kind === BPF_STX) this.#misuse(state[insn.dst] as number);
      const reads = kind === BPF_LDX || kind === BPF_STX || mode === BPF_IND;
      if (reads) this.#misuse(state[insn.src] as number);
      if (isSkbLoad(insn)) this.#misuse(state[6] as number);
    }
  }

  #uses(state: Int32Array, insn: Insn): void {
    const kind = classOf(insn);
    if (isJump(insn)) this.#jumps(state, insn);
    else if (kind === BPF_ALU || kind === BPF_ALU64) {
      if (opOf(insn) !== BPF_MOV) this.#misuse(state[insn.dst] as number);
      if (hasSrcReg(insn)) this.#misuse(state[insn.src] as number);
    } else if (insn.code !== LD_IMM64) this.#loadsAndStores(state, insn);
  }

  step(state: Int32Array, insn: Insn, at: number): void {
    if (isCopy(insn)) {
      state[insn.dst] = state[insn.src] as number;
      return;
    }
    this.#uses(state, insn);
    forgetWritten(state, insn);
    if (isHelperCall(insn) && insn.imm === BPF_FUNC.map_lookup_elem) state[0] = this.#pointer(at);
  }

  /** Yields the add-only lookups by instruction, and where in the value the last addition ends. */
  *lookups(): Generator<[at: number, end: number]> {
    for (const [at, group] of this.#numbers) {
      const root = this.#root(group);
      if (!this.#misused[root]) yield [at, this.#end[root] as number];
    }
  }
}

function isNullTest(insn: Insn): boolean {
  const equality = opOf(insn) === BPF_JEQ || opOf(insn) === BPF_JNE;
  return classOf(insn) === BPF_JMP && equality && !hasSrcReg(insn) && insn.imm === 0;
}
