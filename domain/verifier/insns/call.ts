import { BPF_FUNC, helperName, isHelper } from "../../isa/helpers/index.ts";
import { BPF_F_RDONLY_PROG, BPF_F_SLEEPABLE } from "../../isa/uapi.ts";
import { isGplOnly, isRefused, mightSleep } from "../helpers/allowed_helpers.ts";
import { changesPacket, protoOf } from "../helpers/func_proto.ts";
import { isCompatible, isWalked, MAP_TYPE_NUMBERS } from "../helpers/map_func_compat.ts";
import { frameOf, offsetRange } from "../memory/stack.ts";
import { markStackWritten } from "../memory/stack_store.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import {
  clobberCallerSaved,
  currentFrame,
  replaceValues,
  type VerifierState,
} from "../state/state.ts";
import {
  isNull,
  isPacket,
  isScalar,
  NOT_INIT,
  type RegisterValue,
  typeName,
  UNKNOWN,
  value,
} from "../state/value.ts";
import type { MapFacts } from "../verdict.ts";
import { checkFuncArgs } from "./argument.ts";
import type { CallArgMeta } from "./argument_memory.ts";
import { applyDynptrRelease } from "./dynptr_argument.ts";
import { isLocked, processSpinLock, SPIN_LOCK, SPIN_UNLOCK } from "./lock.ts";
import { returnValue } from "./return_value.ts";

/**
 * check_helper_call() of Linux 6.18: who may call a helper, with what arguments, and what the call
 * changes.
 */

const UNSPEC = BPF_FUNC.unspec;
const TAIL_CALL = BPF_FUNC.tail_call;
const FOR_EACH = BPF_FUNC.for_each_map_elem;
const LOOP = BPF_FUNC.loop;
const LOCAL_STORAGE = BPF_FUNC.get_local_storage;
const DYNPTR_FROM_MEM = BPF_FUNC.dynptr_from_mem;
const WRITERS = new Set([
  BPF_FUNC.map_update_elem,
  BPF_FUNC.map_delete_elem,
  BPF_FUNC.map_push_elem,
  BPF_FUNC.map_pop_elem,
]);

const einval = (text: string): never => {
  throw new Refused("EINVAL", text);
};

function checkHelperAllowed(env: VerifierEnv, helper: number): void {
  const name = `${helperName(helper)}#${helper}`;
  if (!isHelper(helper)) einval(`invalid func ${name}`);
  if (helper === UNSPEC || isRefused(helper, env.options)) {
    einval(`program of this type cannot use helper ${name}`);
  }
  if (env.options.gplCompatible === false && isGplOnly(helper)) {
    einval("cannot call GPL-restricted function from non-GPL compatible program");
  }
  const isSleepable = ((env.options.progFlags ?? 0) & BPF_F_SLEEPABLE) !== 0;
  if (mightSleep(helper) && !isSleepable) einval("helper call might sleep in a non-sleepable prog");
}

/** check_resource_leak() */
export function checkResourceLeak(state: VerifierState, what: string): void {
  if (state.refs.length === 0) return;
  if (isLocked(state)) einval(`${what} cannot be used inside bpf_spin_lock-ed region`);
  const open = state.refs.map(
    ({ id, insn }) => `Unreleased reference id=${id} alloc_insn=${insn}\n`,
  );
  einval(`${open.join("")}${what} would lead to reference leak`);
}

/** record_func_map() and record_func_key() */
function recordFuncMap(meta: CallArgMeta): void {
  const { helper, map } = meta;
  if (map !== null && WRITERS.has(helper) && (map.map_flags & BPF_F_RDONLY_PROG) !== 0) {
    throw new Refused("EACCES", "write into map forbidden");
  }
  if (helper === TAIL_CALL && map !== null && map.map_type !== "prog_array") {
    einval("expected prog array map for tail call");
  }
}

function checkStorageFlags(flags: RegisterValue): void {
  if (flags.kind === "any" || (isScalar(flags) && isNull(flags))) return;
  const isCertain = !isScalar(flags) || flags.isExact;
  const text = "get_local_storage() doesn't support non-zero flags";
  throw new Refused("EINVAL", text, isCertain);
}

function checkDynptrMemory(data: RegisterValue): void {
  if (data.kind === "map_value" || data.kind === "any") return;
  const text = `Unsupported reg type ${typeName(data)} for bpf_dynptr_from_mem data`;
  throw new Refused("EACCES", text);
}

/** release_reference(): pointers to the released object become numbers. */
function releaseReference(state: VerifierState, ref: number): void {
  state.refs = state.refs.filter(({ id }) => id !== ref);
  replaceValues(state, (held) => (held.ref === ref ? UNKNOWN : held));
}

/** R1 to R5 of a callback; null when they are not modelled. */
function callbackArguments(
  { helper, map }: CallArgMeta,
  regs: readonly RegisterValue[],
): RegisterValue[] | null {
  if (helper === LOOP) return [UNKNOWN, regs[3] as RegisterValue, NOT_INIT, NOT_INIT, NOT_INIT];
  if (helper !== FOR_EACH || map === null) return null;
  const parts = [value("map_ptr", { map }), value("map_key", { map }), value("map_value", { map })];
  return [...parts, regs[3] as RegisterValue, NOT_INIT];
}

export interface CallbackFunction {
  readonly start: number;
  readonly regs: readonly RegisterValue[];
  /** It is called at least once. */
  readonly isCertain: boolean;
}

function callbackFunction(
  env: VerifierEnv,
  meta: CallArgMeta,
  regs: readonly RegisterValue[],
): CallbackFunction | null {
  const args = meta.callback < 0 ? null : callbackArguments(meta, regs);
  if (args === null) {
    env.distrustCallbacks(meta.helper);
    return null;
  }
  const count = regs[1] as RegisterValue;
  const isLoop = meta.helper === LOOP;
  if (isLoop) count.precision.markChainPrecision();
  if (isLoop && isScalar(count) && isNull(count)) return null;
  return { start: meta.callback, regs: args, isCertain: !isLoop || count.isExact };
}

function checkMapFuncCompatibility(helper: number, map: MapFacts | null): void {
  if (map === null || isCompatible(helper, map)) return;
  const type = MAP_TYPE_NUMBERS[map.map_type];
  einval(`cannot pass map_type ${type} into func ${helperName(helper)}#${helper}`);
}

/** Marks the stack that the helper writes, and releases what it takes. */
function applyEffects(env: VerifierEnv, state: VerifierState, meta: CallArgMeta): void {
  const { room, released } = meta;
  if (room !== null) {
    const [first] = offsetRange(room.pointer, 0);
    env.log?.touch(first, first + room.size);
    markStackWritten(frameOf(state, room.pointer), first, first + room.size);
  }
  if (released !== 0) releaseReference(state, released);
  applyDynptrRelease(state, meta);
}

/** @returns the function that the helper calls back before it returns, if it is modelled. */
export function checkHelperCall(
  env: VerifierEnv,
  state: VerifierState,
  helper: number,
): CallbackFunction | null {
  checkHelperAllowed(env, helper);
  const proto = protoOf(helper, env.options.progType);
  const meta: CallArgMeta = {
    helper,
    map: null,
    room: null,
    size: 0n,
    ref: 0,
    dynptr: 0,
    releasesDynptr: null,
    released: 0,
    callback: -1,
    key: null,
  };
  checkFuncArgs(env, state, proto, meta);
  if (helper === SPIN_LOCK || helper === SPIN_UNLOCK) processSpinLock(state, helper);
  recordFuncMap(meta);
  if (helper === LOCAL_STORAGE) checkStorageFlags(currentFrame(state).regs[2] as RegisterValue);
  if (helper === DYNPTR_FROM_MEM) checkDynptrMemory(currentFrame(state).regs[1] as RegisterValue);
  applyEffects(env, state, meta);
  if (helper === TAIL_CALL) checkResourceLeak(state, "tail_call");
  if (helper === FOR_EACH && meta.map !== null && !isWalked(meta.map)) {
    throw new Refused("ENOTSUPP", "callback function not allowed for map");
  }
  const back = callbackFunction(env, meta, currentFrame(state).regs);
  const result = returnValue(env, state, proto.returns, meta);
  clobberCallerSaved(currentFrame(state).regs, result);
  checkMapFuncCompatibility(helper, meta.map);
  if (changesPacket(helper)) clearAllPktPointers(state, UNKNOWN);
  return back;
}

/** clear_all_pkt_pointers() */
export function clearAllPktPointers(state: VerifierState, by: RegisterValue): void {
  replaceValues(state, (held) => (isPacket(held) || held.kind === "pkt_end" ? by : held));
}
