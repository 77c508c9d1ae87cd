import { type HelperName, helperOf } from "../../isa/helpers/index.ts";
import {
  calleeOf,
  type Insn,
  isHelperCall,
  isPseudoCall,
  isPseudoFunc,
  isSkbLoad,
} from "../../isa/insn.ts";
import { LD_IMM64 } from "../../isa/opcodes.ts";

/**
 * Finds the subprograms and helpers that a program calls and the functions whose handles it takes.
 */

export interface Scan {
  /** First instruction of every subprogram, ascending. */
  readonly starts: readonly number[];
  /** First instructions of the subprograms whose handles are taken. */
  readonly taken: ReadonlySet<number>;
  readonly helpers: ReadonlySet<HelperName>;
  /** The program has an LD_ABS or LD_IND. */
  readonly hasSkbLoads: boolean;
}

export function scanProgram(prog: readonly Insn[]): Scan {
  const starts = new Set([0]);
  const taken = new Set<number>();
  const helpers = new Set<HelperName>();
  let hasSkbLoads = false;
  for (let at = 0; at < prog.length; at++) {
    const insn = prog[at] as Insn;
    if (isPseudoFunc(insn)) taken.add(calleeOf(insn, at));
    else if (isPseudoCall(insn)) starts.add(calleeOf(insn, at));
    else if (isHelperCall(insn)) {
      const name = helperOf(insn.imm);
      if (name !== undefined) helpers.add(name);
    } else if (isSkbLoad(insn)) hasSkbLoads = true;
    if (insn.code === LD_IMM64) at++;
  }
  for (const start of taken) starts.add(start);
  return { starts: [...starts].sort((a, b) => a - b), taken, helpers, hasSkbLoads };
}
