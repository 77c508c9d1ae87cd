import { BPF_FUNC } from "../../isa/helpers/index.ts";
import { calleeOf, type Insn, isHelperCall, isPseudoCall, isPseudoFunc } from "../../isa/insn.ts";
import { MAX_BPF_STACK, MAX_CALL_FRAMES } from "../../isa/limits.ts";
import { type Refusal, refuse } from "../verdict.ts";

/**
 * check_max_stack_depth() of Linux 6.18 with its JIT: the stacks of nested calls together. Calls in
 * dead code count, so that recursion never passes.
 */

/** Each function's stack is rounded up to this. */
const STACK_ALIGN = 16;
/** The most that callers may use when a function makes a tail call. */
const TAIL_CALL_BYTES = 256;
const TIMER_SET_CALLBACK = BPF_FUNC.timer_set_callback;
/** The JIT inlines this helper, and may then need less stack. */
const GET_SMP_PROCESSOR_ID = BPF_FUNC.get_smp_processor_id;
/** Program types with a private stack (bpf_enable_priv_stack). */
const PRIVATE_STACK_TYPES = new Set(["kprobe", "tracepoint", "perf_event", "raw_tracepoint"]);

interface CallChain {
  readonly start: number;
  /** Functions on the stack above it. */
  readonly frame: number;
  /** Bytes of their stacks. */
  readonly bytesAbove: number;
}

/** Calls by the first instruction of the caller, in order; callbacks that run later are no calls. */
function callees(prog: readonly Insn[], starts: readonly number[]): Map<number, number[]> {
  const isAsync = prog.some((insn) => isHelperCall(insn) && insn.imm === TIMER_SET_CALLBACK);
  const first = new Set(starts);
  const calls = new Map<number, number[]>();
  let current: number[] = [];
  for (const [at, insn] of prog.entries()) {
    if (first.has(at)) current = [];
    if (first.has(at)) calls.set(at, current);
    const taken = isPseudoFunc(insn) && !isAsync;
    if (isPseudoCall(insn) || taken) current.push(calleeOf(insn, at));
  }
  return calls;
}

/** First instructions of the functions that call a helper. */
function callersOf(prog: readonly Insn[], starts: readonly number[], helper: number): Set<number> {
  const first = new Set(starts);
  const callers = new Set<number>();
  let current = 0;
  for (const [at, insn] of prog.entries()) {
    if (first.has(at)) current = at;
    if (isHelperCall(insn) && insn.imm === helper) callers.add(current);
  }
  return callers;
}

interface Functions {
  readonly calls: ReadonlyMap<number, readonly number[]>;
  readonly tailCallers: ReadonlySet<number>;
  /** Bytes of stack, by the first instruction. */
  readonly depths: ReadonlyMap<number, number>;
}

/** @returns why the call is refused, or the bytes of all stacks down to its own. */
function depthOfCall(
  { start, frame, bytesAbove: above }: CallChain,
  { depths, tailCallers }: Functions,
): Refusal | number {
  if (frame >= MAX_CALL_FRAMES) {
    return refuse("E2BIG", `the call stack of ${frame} frames is too deep !`);
  }
  if (frame > 0 && above >= TAIL_CALL_BYTES && tailCallers.has(start)) {
    const text = `tail_calls are not allowed when call stack of previous frames is ${above} bytes`;
    return refuse("EACCES", `${text}. Too large`);
  }
  const bytes = above + Math.ceil((depths.get(start) ?? 0) / STACK_ALIGN) * STACK_ALIGN;
  if (bytes <= MAX_BPF_STACK) return bytes;
  return refuse("EACCES", `combined stack size of ${frame + 1} calls is ${bytes}. Too large`);
}

function walkCalls(functions: Functions): Refusal | null {
  const done = new Set<string>();
  const pending: CallChain[] = [{ start: 0, frame: 0, bytesAbove: 0 }];
  for (let call = pending.pop(); call !== undefined; call = pending.pop()) {
    const { start, frame } = call;
    const above = depthOfCall(call, functions);
    if (typeof above !== "number") return above;
    const key = `${start}/${frame}/${above}`;
    if (done.has(key)) continue;
    done.add(key);
    for (const callee of (functions.calls.get(start) ?? []).toReversed()) {
      pending.push({ start: callee, frame: frame + 1, bytesAbove: above });
    }
  }
  return null;
}

/** @param depths bytes of stack, by the first instruction of a function. */
export function checkMaxStackDepth(
  prog: readonly Insn[],
  starts: readonly number[],
  depths: ReadonlyMap<number, number>,
  progType: string | undefined,
): Refusal | null {
  if (starts.length === 1) return null;
  const isPrivate = progType !== undefined && PRIVATE_STACK_TYPES.has(progType);
  const mayShrink = prog.some((insn) => isHelperCall(insn) && insn.imm === GET_SMP_PROCESSOR_ID);
  return walkCalls({
    calls: callees(prog, starts),
    tailCallers: callersOf(prog, starts, BPF_FUNC.tail_call),
    depths: isPrivate || mayShrink ? new Map() : depths,
  });
}
