// Memory that a helper is handed (check_helper_mem_access and check_mem_size_reg of Linux 6.18).

import type { HelperArg } from "../../isa/helpers/helper_row.ts";
import { checkRangeInitialised } from "../memory/ptr_leaks.ts";
import { checkMapAccessType, checkMemRegionAccess } from "../memory/region.ts";
import * as stack from "../memory/stack.ts";
import { markStackWritten } from "../memory/stack_store.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { clobberStacks, currentFrame, type VerifierState } from "../state/state.ts";
import { isNull, isScalar, type RegisterValue, typeName, type ValueKind } from "../state/value.ts";
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
const BPF_MAX_VAR_SIZ = 1n << 29n;

function eacces(text: string, isCertain = true): never {
  throw new Refused("EACCES", text, isCertain);
}

function checkStackArgument(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  value: RegisterValue,
  size: number,
  meta: CallArgMeta | null,
  writes: boolean,
) {
  stack.checkStackAccessWithinBounds(
    env,
    state,
    reg,
    value,
    0,
    size,
    writes ? "write to" : "read from",
  );
  const [first, last] = stack.offsetRange(value, 0);
  if (!writes && range.isConst(value.range)) {
    checkRangeInitialised(env, stack.frameOf(state, value), reg, first, size);
  }
  if (meta !== null && range.isConst(value.range)) {
    meta.room = { pointer: value, reg, size };
  } else if (writes) {
    env.log?.touch(first, last + size);
    markStackWritten(stack.frameOf(state, value), first, last + size);
  }
}

/** check_helper_mem_access(); `told` when what is written may be left to the end of the call. */
export function checkHelperMemAccess(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  size: number,
  writes: boolean,
  orZero: boolean,
  meta: CallArgMeta | null,
): void {
  const value = currentFrame(state).regs[reg] as RegisterValue;
  if (value.kind === "any") {
    clobberStacks(state);
    return;
  }
  if (isScalar(value) || !MEMORY_KINDS.has(value.kind)) {
    if (orZero && size === 0 && isNull(value)) return;
    const isCertain = isScalar(value) ? value.isExact || !isNull(value) : true;
    eacces(`R${reg} type=${typeName(value)} expected=fp`, isCertain && value.kind !== "ctx");
  }
  if (size === 0 && !orZero) eacces("invalid zero-sized read");
  if (value.kind === "map_key" && writes) eacces(`R${reg} cannot write into map_key`);
  if (value.kind === "fp") {
    if (size > 0 || !range.isConst(value.range))
      checkStackArgument(env, state, reg, value, size, meta, writes);
    else
      stack.checkStackAccessWithinBounds(
        env,
        state,
        reg,
        value,
        0,
        0,
        writes ? "write to" : "read from",
      );
    return;
  }
  if (value.kind === "map_value") checkMapAccessType(value, 0, size, writes);
  checkMemRegionAccess(value, reg, 0, size);
}

export function checkMemSizeReg(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  arg: HelperArg,
  memoryArg: HelperArg,
  meta: CallArgMeta,
): void {
  const { range: r, isExact, precision } = currentFrame(state).regs[reg] as RegisterValue;
  precision.markChainPrecision();
  meta.size = r.umax;
  if (r.smin < 0n) {
    eacces(`R${reg} min value is negative, either use unsigned or 'var &= const'`, isExact);
  }
  const orZero = arg === "size_or_zero";
  if (r.umin === 0n && !orZero) {
    eacces(`R${reg} invalid zero-sized read: u64=[${r.umin},${r.umax}]`, isExact);
  }
  if (r.umax >= BPF_MAX_VAR_SIZ) {
    const hint = "use 'var &= const' or 'if (var < const)'";
    eacces(`R${reg} unbounded memory access, ${hint}`, isExact);
  }
  const writes = memoryArg === "uninit_mem";
  const later = writes && range.isConst(r) ? meta : null;
  checkMemOfSize(env, state, reg - 1, Number(r.umax), writes, orZero, later, isExact);
}

/** As certain as its size. */
function checkMemOfSize(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  size: number,
  writes: boolean,
  orZero: boolean,
  meta: CallArgMeta | null,
  isExact: boolean,
): void {
  try {
    checkHelperMemAccess(env, state, reg, size, writes, orZero, meta);
  } catch (fault) {
    if (!(fault instanceof Refused) || isExact) throw fault;
    throw new Refused(fault.errno, fault.message, false);
  }
}
