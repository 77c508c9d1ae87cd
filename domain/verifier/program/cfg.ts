import {
  calleeOf,
  type Insn,
  isCall,
  isExit,
  isGoto,
  isJump,
  isPseudoCall,
  isPseudoFunc,
  jumpTarget,
} from "../../isa/insn.ts";
import { LD_IMM64 } from "../../isa/opcodes.ts";
import { einval, type Refusal } from "../verdict.ts";

/**
 * check_cfg(): every instruction is reachable, and no jump lands inside a ld_imm64. Loops are
 * allowed, as they are for any loader with CAP_BPF.
 */

/** Where control can go next; a call or a callback also reaches its subprogram. */
export function successors(insn: Insn, at: number): readonly number[] {
  if (isPseudoFunc(insn)) return [at + 2, calleeOf(insn, at)];
  if (insn.code === LD_IMM64) return [at + 2];
  if (isPseudoCall(insn)) return [at + 1, calleeOf(insn, at)];
  if (isExit(insn)) return [];
  if (isGoto(insn)) return [jumpTarget(insn, at)];
  if (isJump(insn) && !isCall(insn)) return [at + 1, jumpTarget(insn, at)];
  return [at + 1];
}

function reachable(prog: readonly Insn[]): Uint8Array {
  const reached = new Uint8Array(prog.length);
  const pending = [0];
  reached[0] = 1;
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    for (const to of successors(prog[at] as Insn, at)) {
      if (reached[to] !== 0) continue;
      reached[to] = 1;
      pending.push(to);
    }
  }
  return reached;
}

export function checkCfg(prog: readonly Insn[]): Refusal | null {
  const reached = reachable(prog);
  for (let at = 0; at < prog.length; at++) {
    if (reached[at] === 0) return einval(`unreachable insn ${at}`);
    if (prog[at]?.code !== LD_IMM64) continue;
    if (reached[at + 1] !== 0) return einval(`jump into the middle of ldimm64 insn ${at}`);
    at++;
  }
  return null;
}
