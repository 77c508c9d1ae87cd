import type { HelperArg } from "../../isa/helpers/helper_row.ts";
import { isModelled } from "../memory/context.ts";
import { checkNoDynptr } from "../memory/dynptr.ts";
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

/**
 * Checks the memory that a helper reads or writes: check_helper_mem_access() and check_mem_size_reg()
 * of Linux 6.18.
 */

/** What the arguments of a call determine: struct bpf_call_arg_meta. */
export interface CallArgMeta {
  readonly helper: number;
  map: MapFacts | null;
  /** Bytes of the stack that the helper fills; they are marked after all arguments are checked. */
  room: { pointer: RegisterValue; reg: number; size: number } | null;
  /** Bytes to allocate, or the maximum that the helper writes. */
  size: bigint;
  /** The id of the reference that an argument belongs to; 0 for none. */
  ref: number;
  /** The id of the dynptr that an argument is; 0 for none. */
  dynptr: number;
  /** The dynptr that the call submits or discards. */
  releasesDynptr: { pointer: RegisterValue; index: number } | null;
  /** The id of the reference that the helper releases. */
  released: number;
  /** First instruction of the callback. */
  callback: number;
  key: RegisterValue | null;
}

export const MEMORY_KINDS: ReadonlySet<ValueKind> = new Set<ValueKind>([
  "fp",
  "pkt",
  "pkt_meta",
  "map_key",
  "map_value",
  "mem",
  "ringbuf_mem",
]);
const BPF_MAX_VAR_SIZ = 1n << 29n;

function eacces(text: string, isCertain = true): never {
  throw new Refused("EACCES", text, isCertain);
}

/** The bytes at the register of an argument. */
interface HelperAccess {
  readonly reg: number;
  readonly size: number;
  readonly writes: boolean;
  /** The helper accepts a size of 0, and then NULL. */
  readonly canBeEmpty: boolean;
  /** Takes note of the bytes written, which are marked at the end of the call. */
  readonly meta: CallArgMeta | null;
}

function checkStackArgument(
  env: VerifierEnv,
  state: VerifierState,
  value: RegisterValue,
  { reg, size, writes, meta }: HelperAccess,
): void {
  const access = { reg, off: 0, size };
  stack.checkStackAccessWithinBounds(env, state, access, writes ? "write to" : "read from");
  const isFixed = range.isConst(value.range);
  if (size === 0 && isFixed) return;
  const [first, last] = stack.offsetRange(value, 0);
  const frame = stack.frameOf(state, value);
  const isRaw = meta !== null && isFixed;
  checkNoDynptr(frame, first, last + size, (off) =>
    isRaw
      ? `potential write to dynptr at off=${off} disallowed`
      : `invalid read from stack R${reg} off ${first}+${off - first} size ${size}`,
  );
  if (!writes && isFixed) {
    checkRangeInitialised(env, frame, { reg, off: first, size });
  }
  if (isRaw) {
    meta.room = { pointer: value, reg, size };
  } else if (writes) {
    env.log?.touch(first, last + size);
    markStackWritten(frame, first, last + size);
  }
}

/** check_helper_mem_access() */
export function checkHelperMemAccess(
  env: VerifierEnv,
  state: VerifierState,
  access: HelperAccess,
): void {
  const { reg, size, writes, canBeEmpty } = access;
  const value = currentFrame(state).regs[reg] as RegisterValue;
  if (value.kind === "any") {
    clobberStacks(state);
    return;
  }
  if (isScalar(value) || !MEMORY_KINDS.has(value.kind)) {
    if (canBeEmpty && size === 0 && isNull(value)) return;
    const isCertain = isScalar(value) ? value.isExact || !isNull(value) : true;
    eacces(
      `R${reg} type=${typeName(value)} expected=fp`,
      isCertain && (value.kind !== "ctx" || isModelled(env.options.progType)),
    );
  }
  if (size === 0 && !canBeEmpty) eacces("invalid zero-sized read");
  if (value.kind === "map_key" && writes) eacces(`R${reg} cannot write into map_key`);
  if (value.kind === "fp") {
    checkStackArgument(env, state, value, access);
    return;
  }
  if (value.kind === "map_value") checkMapAccessType(value, 0, size, writes);
  checkMemRegionAccess(value, reg, 0, size);
}

/** The register of a size; the one before it points to the memory. */
interface SizeArg {
  readonly reg: number;
  readonly type: HelperArg;
  readonly memoryType: HelperArg;
}

/** check_mem_size_reg() */
export function checkMemSizeReg(
  env: VerifierEnv,
  state: VerifierState,
  { reg, type, memoryType }: SizeArg,
  meta: CallArgMeta,
): void {
  const { range: r, isExact, precision } = currentFrame(state).regs[reg] as RegisterValue;
  precision.markChainPrecision();
  meta.size = r.umax;
  if (r.smin < 0n) {
    eacces(`R${reg} min value is negative, either use unsigned or 'var &= const'`, isExact);
  }
  const canBeEmpty = type === "size_or_zero";
  if (r.umin === 0n && !canBeEmpty) {
    eacces(`R${reg} invalid zero-sized read: u64=[${r.umin},${r.umax}]`, isExact);
  }
  if (r.umax >= BPF_MAX_VAR_SIZ) {
    const hint = "use 'var &= const' or 'if (var < const)'";
    eacces(`R${reg} unbounded memory access, ${hint}`, isExact);
  }
  const writes = memoryType === "uninit_mem" || memoryType === "uninit_mem_or_null";
  const marked = writes && range.isConst(r) ? meta : null;
  const access = { reg: reg - 1, size: Number(r.umax), writes, canBeEmpty, meta: marked };
  checkMemOfSize(env, state, access, isExact);
}

/** A refusal is only as certain as the size is exact. */
function checkMemOfSize(
  env: VerifierEnv,
  state: VerifierState,
  access: HelperAccess,
  isExact: boolean,
): void {
  try {
    checkHelperMemAccess(env, state, access);
  } catch (fault) {
    if (!(fault instanceof Refused) || isExact) throw fault;
    throw new Refused(fault.errno, fault.message, false);
  }
}
