// Loads and stores (check_mem_access of Linux 6.18): what a load yields, or why Linux refuses it.

import { signExtend, truncate } from "../scalar/coerce.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { clobberStacks, top, type VerifierState } from "../state/state.ts";
import {
  ANY,
  isScalar,
  NONE,
  Refused,
  type RegisterValue,
  scalar,
  typeName,
  UNKNOWN,
} from "../state/value.ts";
import { contextField, isModelled, mayWritePacket } from "./context.ts";
import { kept } from "./ptr_leaks.ts";
import { aligned, inRegion, isConstant, mapAllows, unmoved } from "./region.ts";
import { inBounds } from "./stack.ts";
import { read as readStack } from "./stack_load.ts";
import { write as writeStack } from "./stack_store.ts";

export interface InsnAccess {
  readonly reg: number;
  readonly off: number;
  readonly size: number;
  /** Atomics, which have to be aligned wherever they go. */
  readonly strict?: boolean;
  readonly signed?: boolean;
}

function eacces(text: string): never {
  throw new Refused("EACCES", text);
}

function invalid(reg: number, pointer: RegisterValue): never {
  return eacces(`R${reg} invalid mem access '${typeName(pointer)}'`);
}

function inContext(
  env: VerifierEnv,
  pointer: RegisterValue,
  { reg, off, size }: InsnAccess,
  writes: boolean,
): RegisterValue {
  if (!isModelled(env.options.progType)) return ANY;
  unmoved(pointer, reg);
  const field = contextField(env.options, off, size, writes);
  if (field === null) eacces(`invalid bpf_context access off=${off} size=${size}`);
  return field;
}

/** A load of less than 8 bytes, as it fills a register. */
function cut(value: RegisterValue, { size, signed }: InsnAccess): RegisterValue {
  if (!isScalar(value) || size === 8) return value;
  const known = signed ? signExtend(value.range, size) : truncate(value.range, size);
  if (known === value.range) return value;
  return { ...value, range: known };
}

function inMap(pointer: RegisterValue, access: InsnAccess): RegisterValue {
  mapAllows(pointer, access.off, access.size, false);
  inRegion(pointer, access.reg, access.off, access.size);
  return isConstant(pointer) ? scalar(range.UNKNOWN, false) : UNKNOWN;
}

/** Past NULL checks: what is read, uncut; ANY where it is not modelled. */
function fetch(
  env: VerifierEnv,
  state: VerifierState,
  pointer: RegisterValue,
  access: InsnAccess,
): RegisterValue {
  const { reg, off, size } = access;
  switch (pointer.kind) {
    case "any":
      return ANY;
    case "ctx":
      return inContext(env, pointer, access, false);
    case "fp":
      inBounds(env, state, reg, pointer, off, size, "read from");
      return readStack(env, state, pointer, off, size);
    case "map_value":
      return inMap(pointer, access);
    case "map_key":
    case "ringbuf_mem":
    case "pkt":
    case "pkt_meta":
      inRegion(pointer, reg, off, size);
      return UNKNOWN;
    case "map_ptr":
      throw new Refused("EACCES", `R${reg} invalid mem access 'map_ptr'`, false);
    default:
      return invalid(reg, pointer);
  }
}

/** The pointer, once it may be followed at all; the access counts as proven when `follow` returns. */
function guarded<T>(
  env: VerifierEnv,
  state: VerifierState,
  access: InsnAccess,
  follow: (pointer: RegisterValue) => T,
): T {
  const pointer = top(state).regs[access.reg] ?? NONE;
  const { kind } = pointer;
  env.accessed(state.at, kind !== "any" && (kind !== "ctx" || isModelled(env.options.progType)));
  try {
    const { reg, off, size, strict = false } = access;
    if (kind !== "any") aligned(env, pointer, off, size, strict);
    if (pointer.orNull) invalid(reg, pointer);
    const result = follow(pointer);
    if (state.certain && kind !== "any" && !strict && env.mixes(state.at, kind === "ctx")) {
      throw new Refused("EINVAL", "same insn cannot be used with different pointers");
    }
    return result;
  } catch (fault) {
    env.accessed(state.at, false);
    throw fault;
  }
}

export const load = (env: VerifierEnv, state: VerifierState, access: InsnAccess): RegisterValue =>
  guarded(env, state, access, (pointer) => cut(fetch(env, state, pointer, access), access));

/** Where no store ever goes. */
function closed(env: VerifierEnv, { kind }: RegisterValue, reg: number): void {
  if (kind === "map_key") eacces(`write to change key R${reg} not allowed`);
  if (kind === "map_ptr") eacces("only read from bpf_array is supported");
  const isPacket = kind === "pkt" || kind === "pkt_meta";
  if (isPacket && !mayWritePacket(env.options.progType)) eacces("cannot write into packet");
}

function put(
  env: VerifierEnv,
  state: VerifierState,
  pointer: RegisterValue,
  access: InsnAccess,
  value: RegisterValue | null,
): void {
  const { reg, off, size } = access;
  closed(env, pointer, reg);
  const keep = (where: string) =>
    kept(env, env.prog[state.at]?.src ?? 0, value ?? undefined, where);
  switch (pointer.kind) {
    case "any":
      clobberStacks(state);
      return;
    case "ctx":
      keep("ctx");
      inContext(env, pointer, access, true);
      return;
    case "fp":
      inBounds(env, state, reg, pointer, off, size, "write to");
      writeStack(env, state, pointer, off, size, value);
      return;
    case "map_value":
      keep("map");
      mapAllows(pointer, off, size, true);
      inRegion(pointer, reg, off, size);
      return;
    case "pkt":
    case "pkt_meta":
    case "ringbuf_mem":
      keep(pointer.kind === "ringbuf_mem" ? "mem" : "packet");
      inRegion(pointer, reg, off, size);
      return;
    default:
      invalid(reg, pointer);
  }
}

/** `value` is null for bytes that are not known. */
export function store(
  env: VerifierEnv,
  state: VerifierState,
  access: InsnAccess,
  value: RegisterValue | null,
): void {
  guarded(env, state, access, (pointer) => put(env, state, pointer, access, value));
}
