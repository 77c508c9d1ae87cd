// Calls of helpers (check_helper_call of Linux 6.18): who may, with what, and what is left of it.

import { helperName, isHelper } from "../../isa/helpers.ts";
import { BPF_F_RDONLY_PROG } from "../../isa/uapi.ts";
import { isGplOnly, isRefused } from "../helpers/allowed_helpers.ts";
import { changesPacket, protoOf } from "../helpers/func_proto.ts";
import { isCompatible, isWalked, MAP_TYPE_NUMBERS } from "../helpers/map_func_compat.ts";
import { frameOf, span } from "../memory/stack.ts";
import { overwrite } from "../memory/stack_store.ts";
import type { VerifierEnv } from "../state/env.ts";
import { clobber, replace, top, type VerifierState } from "../state/state.ts";
import {
  isNull,
  isPacket,
  isScalar,
  NONE,
  Refused,
  type RegisterValue,
  UNKNOWN,
  value,
} from "../state/value.ts";
import type { MapFacts } from "../verdict.ts";
import { checkArguments } from "./argument.ts";
import type { CallArgMeta } from "./argument_memory.ts";
import { isLocked, lockOrUnlock, SPIN_LOCK, SPIN_UNLOCK } from "./lock.ts";
import { answer } from "./return_value.ts";

const UNSPEC = 0;
const TAIL_CALL = 12;
const FOR_EACH = 164;
const LOOP = 181;
const WRITERS = new Set([2, 3, 87, 88]);

const einval = (text: string): never => {
  throw new Refused("EINVAL", text);
};

function permitted(env: VerifierEnv, helper: number): void {
  const name = `${helperName(helper)}#${helper}`;
  if (!isHelper(helper)) einval(`invalid func ${name}`);
  if (helper === UNSPEC || isRefused(helper, env.options)) {
    einval(`program of this type cannot use helper ${name}`);
  }
  if (env.options.gplCompatible === false && isGplOnly(helper)) {
    einval("cannot call GPL-restricted function from non-GPL compatible program");
  }
}

/** check_resource_leak() */
export function unleaked(state: VerifierState, what: string): void {
  if (state.refs.length === 0) return;
  if (isLocked(state)) einval(`${what} cannot be used inside bpf_spin_lock-ed region`);
  const open = state.refs.map(
    ({ id, insn }) => `Unreleased reference id=${id} alloc_insn=${insn}\n`,
  );
  einval(`${open.join("")}${what} would lead to reference leak`);
}

/** record_func_map() and record_func_key() */
function recorded(told: CallArgMeta): void {
  const { helper, map } = told;
  if (map !== null && WRITERS.has(helper) && (map.map_flags & BPF_F_RDONLY_PROG) !== 0) {
    throw new Refused("EACCES", "write into map forbidden");
  }
  if (helper === TAIL_CALL && map !== null && map.map_type !== "prog_array") {
    einval("expected prog array map for tail call");
  }
}

/** What is got by handing it over is gone, in all copies. */
function release(state: VerifierState, ref: number): void {
  state.refs = state.refs.filter(({ id }) => id !== ref);
  replace(state, (held) => (held.ref === ref ? UNKNOWN : held));
}

/** What a function that is called back finds in R1 to R5. */
function callbackArguments(
  { helper, map }: CallArgMeta,
  regs: readonly RegisterValue[],
): RegisterValue[] | null {
  if (helper === LOOP) return [UNKNOWN, regs[3] as RegisterValue, NONE, NONE, NONE];
  if (helper !== FOR_EACH || map === null) return null;
  const parts = [value("map_ptr", { map }), value("map_key", { map }), value("map_value", { map })];
  return [...parts, regs[3] as RegisterValue, NONE];
}

export interface CallbackFunction {
  readonly start: number;
  readonly regs: readonly RegisterValue[];
  /** It is called once at least. */
  readonly certain: boolean;
}

function callback(
  env: VerifierEnv,
  told: CallArgMeta,
  regs: readonly RegisterValue[],
): CallbackFunction | null {
  const args = told.callback < 0 ? null : callbackArguments(told, regs);
  if (args === null) {
    env.distrust(told.helper);
    return null;
  }
  const count = regs[1] as RegisterValue;
  const isLoop = told.helper === LOOP;
  if (isLoop) count.origin.mark();
  if (isLoop && isScalar(count) && isNull(count)) return null;
  return { start: told.callback, regs: args, certain: !isLoop || count.exact };
}

function compatible(helper: number, map: MapFacts | null): void {
  if (map === null || isCompatible(helper, map)) return;
  const type = MAP_TYPE_NUMBERS[map.map_type];
  einval(`cannot pass map_type ${type} into func ${helperName(helper)}#${helper}`);
}

/** Fills what the helper writes to the stack, takes what is handed over. */
function settle(env: VerifierEnv, state: VerifierState, told: CallArgMeta): void {
  const { room, released } = told;
  if (room !== null) {
    const [first] = span(room.pointer, 0);
    env.log?.touch(first, first + room.size);
    overwrite(frameOf(state, room.pointer), first, first + room.size);
  }
  if (released !== 0) release(state, released);
}

/** @returns the function that the helper calls back before it returns, if it is followed. */
export function callHelper(
  env: VerifierEnv,
  state: VerifierState,
  helper: number,
): CallbackFunction | null {
  permitted(env, helper);
  const proto = protoOf(helper, env.options.progType);
  const told: CallArgMeta = {
    helper,
    map: null,
    room: null,
    size: 0n,
    released: 0,
    callback: -1,
    key: null,
  };
  checkArguments(env, state, proto, told);
  if (helper === SPIN_LOCK || helper === SPIN_UNLOCK) lockOrUnlock(state, helper);
  recorded(told);
  settle(env, state, told);
  if (helper === TAIL_CALL) unleaked(state, "tail_call");
  if (helper === FOR_EACH && told.map !== null && !isWalked(told.map)) {
    throw new Refused("ENOTSUPP", "callback function not allowed for map");
  }
  const back = callback(env, told, top(state).regs);
  const result = answer(env, state, proto.answer, told);
  clobber(top(state).regs, result);
  compatible(helper, told.map);
  if (changesPacket(helper)) forgetPackets(state, UNKNOWN);
  return back;
}

/** Pointers into the packet, and to its end, are numbers from here on. */
export function forgetPackets(state: VerifierState, by: RegisterValue): void {
  replace(state, (held) => (isPacket(held) || held.kind === "pkt_end" ? by : held));
}
