// Memory that a helper is handed (check_helper_mem_access and check_mem_size_reg of Linux 6.18).

import type { Arg } from "../helpers/func_proto.ts";
import { readable } from "../memory/ptr_leaks.ts";
import { inRegion, mapAllows } from "../memory/region.ts";
import * as stack from "../memory/stack.ts";
import { overwrite } from "../memory/stack_store.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { clobberStacks, top, type VerifierState } from "../state/state.ts";
import {
  isNull,
  isScalar,
  Refused,
  type RegisterValue,
  typeName,
  type ValueKind,
} from "../state/value.ts";
import type { MapFacts } from "../verdict.ts";

/** What a call is told by its arguments. */
export interface CallArgMeta {
  readonly helper: number;
  map: MapFacts | null;
  /** Bytes of the stack that the helper fills: filled once all arguments are good. */
  room: { pointer: RegisterValue; reg: number; size: number } | null;
  /** Bytes to allocate, or the most that are written. */
  size: bigint;
  /** The reference that is handed over. */
  released: number;
  /** First instruction of the function that is called back. */
  callback: number;
  key: RegisterValue | null;
}

export const MEMORY_KINDS: ReadonlySet<ValueKind> = new Set<ValueKind>([
  "fp",
  "pkt",
  "pkt_meta",
  "map_key",
  "map_value",
  "ringbuf_mem",
]);
const FAR = 1n << 29n;

function eacces(text: string, certain = true): never {
  throw new Refused("EACCES", text, certain);
}

function onStack(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  value: RegisterValue,
  size: number,
  told: CallArgMeta | null,
  writes: boolean,
) {
  stack.inBounds(env, state, reg, value, 0, size, writes ? "write to" : "read from");
  const [first, last] = stack.span(value, 0);
  if (!writes && range.isConst(value.range)) {
    readable(env, stack.frameOf(state, value), reg, first, size);
  }
  if (told !== null && range.isConst(value.range)) {
    told.room = { pointer: value, reg, size };
  } else if (writes) {
    env.log?.touch(first, last + size);
    overwrite(stack.frameOf(state, value), first, last + size);
  }
}

/** check_helper_mem_access(); `told` when what is written may be left to the end of the call. */
export function memory(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  size: number,
  writes: boolean,
  orZero: boolean,
  told: CallArgMeta | null,
): void {
  const value = top(state).regs[reg] as RegisterValue;
  if (value.kind === "any") {
    clobberStacks(state);
    return;
  }
  if (isScalar(value) || !MEMORY_KINDS.has(value.kind)) {
    if (orZero && size === 0 && isNull(value)) return;
    const certain = isScalar(value) ? value.exact || !isNull(value) : true;
    eacces(`R${reg} type=${typeName(value)} expected=fp`, certain && value.kind !== "ctx");
  }
  if (size === 0 && !orZero) eacces("invalid zero-sized read");
  if (value.kind === "map_key" && writes) eacces(`R${reg} cannot write into map_key`);
  if (value.kind === "fp") {
    if (size > 0 || !range.isConst(value.range))
      onStack(env, state, reg, value, size, told, writes);
    else stack.inBounds(env, state, reg, value, 0, 0, writes ? "write to" : "read from");
    return;
  }
  if (value.kind === "map_value") mapAllows(value, 0, size, writes);
  inRegion(value, reg, 0, size);
}

export function sized(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  arg: Arg,
  memoryArg: Arg,
  told: CallArgMeta,
): void {
  const { range: r, exact, origin } = top(state).regs[reg] as RegisterValue;
  origin.mark();
  told.size = r.umax;
  if (r.smin < 0n) {
    eacces(`R${reg} min value is negative, either use unsigned or 'var &= const'`, exact);
  }
  const orZero = arg === "z";
  if (r.umin === 0n && !orZero) {
    eacces(`R${reg} invalid zero-sized read: u64=[${r.umin},${r.umax}]`, exact);
  }
  if (r.umax >= FAR) {
    const hint = "use 'var &= const' or 'if (var < const)'";
    eacces(`R${reg} unbounded memory access, ${hint}`, exact);
  }
  const writes = memoryArg === "w";
  const later = writes && range.isConst(r) ? told : null;
  memoryOfSize(env, state, reg - 1, Number(r.umax), writes, orZero, later, exact);
}

/** As certain as its size. */
function memoryOfSize(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  size: number,
  writes: boolean,
  orZero: boolean,
  told: CallArgMeta | null,
  exact: boolean,
): void {
  try {
    memory(env, state, reg, size, writes, orZero, told);
  } catch (fault) {
    if (!(fault instanceof Refused) || exact) throw fault;
    throw new Refused(fault.errno, fault.message, false);
  }
}
