import type { FuncType } from "../../isa/func_type.ts";
import { BPF_FUNC } from "../../isa/helpers/index.ts";
import {
  calleeOf,
  type Insn,
  isExit,
  isHelperCall,
  isJump,
  isKfuncCall,
  isPseudoCall,
  isPseudoFunc,
  isSkbLoad,
  jumpTarget,
  opOf,
} from "../../isa/insn.ts";
import { BPF_MAX_SUBPROGS } from "../../isa/limits.ts";
import { BPF_CALL, BPF_EXIT, BPF_JA, BPF_JMP, BPF_JMP32 } from "../../isa/opcodes.ts";
import { einval, LIMITS, type Refusal, refuse, type VerifierOptions } from "../verdict.ts";

/**
 * add_subprog_and_kfunc(), check_subprogs(), check_btf_info(): subprograms partition the program,
 * and no jump leaves its own.
 */

export interface ProgramStructure {
  /** First instruction of every subprogram, ascending; the first is 0. */
  readonly starts: readonly number[];
  readonly refusal: Refusal | null;
}

/** The service has no BTF, hence no kernel function to call; an id 0 may stay in dead code. */
function addKfunc(insn: Insn): Refusal | null {
  const btf = "failed to find BTF for kernel function";
  if (insn.imm === 0 && insn.off === 0) return null;
  if (insn.off > 0) {
    return refuse("EPROTO", `kfunc offset > 0 without fd_array is invalid\n${btf}`);
  }
  if (insn.off < 0) {
    return einval(`negative offset disallowed for kernel module function call\n${btf}`);
  }
  return einval(`kernel btf_id ${insn.imm >>> 0} is not a function`);
}

function addSubprog(starts: Set<number>, at: number, count: number): Refusal | null {
  if (at < 0 || at >= count) return einval("call to invalid destination");
  if (!starts.has(at) && starts.size >= BPF_MAX_SUBPROGS) {
    return refuse("E2BIG", "too many subprograms");
  }
  starts.add(at);
  return null;
}

function subprograms(prog: readonly Insn[]): ProgramStructure {
  const starts = new Set([0]);
  let refusal: Refusal | null = null;
  for (const [at, insn] of prog.entries()) {
    if (isPseudoCall(insn) || isPseudoFunc(insn)) {
      refusal = addSubprog(starts, calleeOf(insn, at), prog.length);
    } else if (isKfuncCall(insn)) {
      refusal = addKfunc(insn);
    }
    if (refusal !== null) break;
  }
  return { starts: [...starts].sort((a, b) => a - b), refusal };
}

/** No fall-through from one subprogram into the next. */
const endsSubprogram = (insn: Insn): boolean =>
  isExit(insn) || insn.code === (BPF_JMP | BPF_JA) || insn.code === (BPF_JMP32 | BPF_JA);

function checkJumps(prog: readonly Insn[], start: number, end: number): Refusal | null {
  for (let at = start; at < end; at++) {
    const insn = prog[at] as Insn;
    const op = opOf(insn);
    if (isJump(insn) && op !== BPF_CALL && op !== BPF_EXIT) {
      const to = jumpTarget(insn, at);
      if (to < start || to >= end) return einval(`jump out of range from insn ${at} to ${to}`);
    }
    if (at === end - 1 && !endsSubprogram(insn)) return einval("last insn is not an exit or jmp");
  }
  return null;
}

const isTailCall = (insn: Insn): boolean => isHelperCall(insn) && insn.imm === BPF_FUNC.tail_call;

/** check_abnormal_return: the return value of a subprogram is known to be an int from BTF only. */
function checkAbnormalReturn(prog: readonly Insn[], start: number, end: number): Refusal | null {
  const body = prog.slice(start, end);
  if (body.some(isSkbLoad)) return einval("LD_ABS is not allowed in subprogs without BTF");
  if (body.some(isTailCall)) {
    return einval("tail_call is not allowed in subprogs without BTF");
  }
  return null;
}

/** check_btf_func(): what may return from a function early needs a result that is an integer. */
export function checkEarlyReturns(body: readonly Insn[]): Refusal | null {
  const only = "is only allowed in functions that return 'int'.";
  if (body.some(isSkbLoad)) return einval(`LD_ABS ${only}`);
  return body.some(isTailCall) ? einval(`tail_call ${only}`) : null;
}

function checkReturnTypes(
  prog: readonly Insn[],
  starts: readonly number[],
  funcs: readonly FuncType[],
): Refusal | null {
  const types = new Map(funcs.map((func) => [func.start, func]));
  for (const [i, start] of starts.entries()) {
    if (i === 0 || types.get(start)?.returnsSmallInteger !== false) continue;
    const refusal = checkEarlyReturns(prog.slice(start, starts[i + 1]));
    if (refusal !== null) return refusal;
  }
  return null;
}

export function checkStructure(prog: readonly Insn[], options: VerifierOptions): ProgramStructure {
  if (prog.length === 0 || prog.length > (options.limits?.insns ?? LIMITS.insns)) {
    return { starts: [0], refusal: refuse("E2BIG", "") };
  }
  const { starts, refusal } = subprograms(prog);
  if (refusal !== null) return { starts, refusal };
  const end = (i: number): number => starts[i + 1] ?? prog.length;
  for (const [i, start] of starts.entries()) {
    const found = checkJumps(prog, start, end(i));
    if (found !== null) return { starts, refusal: found };
  }
  if (options.funcInfo === true) {
    const found = checkReturnTypes(prog, starts, options.funcTypes ?? []);
    return { starts, refusal: found };
  }
  for (const [i, start] of starts.entries()) {
    const found = i === 0 ? null : checkAbnormalReturn(prog, start, end(i));
    if (found !== null) return { starts, refusal: found };
  }
  return { starts, refusal: null };
}
