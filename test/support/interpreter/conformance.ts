import { ARENA, helperImport } from "../../../domain/compiler/abi.ts";
import { compile } from "../../../domain/compiler/compile.ts";
import { decode, isKnown } from "../../../domain/isa/insn.ts";
import { interpret, Trap } from "./interpreter.ts";
import { STACK_REGION, STACK_TOP, TestMachine } from "./machine.ts";
import { Memory } from "./memory.ts";

/**
 * Runs the vectors of Alan-Jowett/bpf_conformance from JSON: a program, its memory, and its
 * expected r0.
 */

export interface Vector {
  name: string;
  /** The program as hex. */
  prog: string;
  /** The memory as hex, or null; r1 is its address and r2 its length. */
  mem: string | null;
  /** The expected r0 as hex. */
  expected: string;
}

/** Groups the names of vectors by outcome. */
export interface VectorOutcome {
  passed: string[];
  /** The vector uses an instruction that Linux does not have. */
  refused: string[];
  /** Each name is followed by the actual result. */
  failed: string[];
}

/** A single vector calls a helper, number 5, and does not depend on its return value. */
const HELPER_ANSWER = 0n;

/** This memory begins with the stack. */
class Plain extends Memory {
  constructor(data: Uint8Array) {
    const bytes = new Uint8Array(ARENA - STACK_REGION.at + data.length);
    bytes.set(data, ARENA - STACK_REGION.at);
    super(bytes, STACK_REGION.at, [STACK_REGION, { at: ARENA, bytes: data.length, write: true }]);
  }

  override helper(): bigint {
    return HELPER_ANSWER;
  }
}

const hex = (value: bigint): string => BigInt.asUintN(64, value).toString(16);

function interpreted(code: Uint8Array, data: Uint8Array, args: readonly bigint[]): string {
  try {
    return hex(interpret(code, new Plain(data), args, BigInt(STACK_TOP)));
  } catch (error) {
    if (error instanceof Trap) return `trap at ${error.at}`;
    throw error;
  }
}

export class Conformance {
  readonly #machine = new TestMachine();

  #compiled(code: Uint8Array, data: Uint8Array, args: readonly bigint[]): string {
    this.#machine.bytes.fill(0, STACK_REGION.at, ARENA);
    this.#machine.bytes.set(data, ARENA);
    this.#machine.map([STACK_REGION, { at: ARENA, bytes: data.length, write: true }]);
    const unit = { insns: code, maps: [], prog_type: "xdp" };
    const program = this.#machine.load(compile(unit), {
      [helperImport("ktime_get_ns")]: () => HELPER_ANSWER,
    });
    const ended = this.#machine.run(program, ...args);
    return ended.kind === "done" ? hex(ended.r0) : `${ended.reason} fault at ${ended.at}`;
  }

  run(vectors: readonly Vector[]): VectorOutcome {
    const outcome: VectorOutcome = { passed: [], refused: [], failed: [] };
    for (const { name, prog, mem, expected } of vectors) {
      const code = Buffer.from(prog, "hex");
      const data = Buffer.from(mem ?? "", "hex");
      const args = mem === null ? [] : [BigInt(ARENA), BigInt(data.length)];
      if (!isPossible(code)) outcome.refused.push(name);
      else {
        const got = [this.#compiled(code, data, args), interpreted(code, data, args)];
        if (got.every((r0) => r0 === expected)) outcome.passed.push(name);
        else
          outcome.failed.push(
            `${name}: expected ${expected}, compiled ${got[0]}, interpreted ${got[1]}`,
          );
      }
    }
    return outcome;
  }
}

function isPossible(code: Buffer): boolean {
  const prog = decode(code);
  return prog.every((insn, at) => isKnown(insn) || prog[at - 1]?.code === 0x18);
}
