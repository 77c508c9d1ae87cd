import { coerceToSize, signExtend } from "../scalar/coerce.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { clobberStacks, currentFrame, type VerifierState } from "../state/state.ts";
import {
  isPacket,
  isPointer,
  isScalar,
  NOT_INIT,
  type RegisterValue,
  scalar,
  typeName,
  UNKNOWN,
  UNMODELLED,
} from "../state/value.ts";
import { contextField, isModelled, mayWritePacket } from "./context.ts";
import { checkNotLeaked } from "./ptr_leaks.ts";
import {
  checkMapAccessType,
  checkMemRegionAccess,
  checkPtrAlignment,
  checkPtrOffReg,
  type InsnAccess,
  isRdonlyMap,
} from "./region.ts";
import { isSock, isSockField } from "./sock_fields.ts";
import { checkStackAccessWithinBounds } from "./stack.ts";
import { checkStackRead } from "./stack_load.ts";
import { checkStackWrite } from "./stack_store.ts";

/**
 * check_mem_access() of Linux 6.18: the value that a load yields, or why Linux refuses the access.
 */

function eacces(text: string): never {
  throw new Refused("EACCES", text);
}

function invalidMemAccess(reg: number, pointer: RegisterValue): never {
  return eacces(`R${reg} invalid mem access '${typeName(pointer)}'`);
}

function checkContextAccess(
  env: VerifierEnv,
  pointer: RegisterValue,
  { reg, off, size, isSigned = false }: InsnAccess,
  writes: boolean,
): RegisterValue {
  if (!isModelled(env.options.progType)) return UNMODELLED;
  checkPtrOffReg(pointer, reg);
  const field = contextField(env.options, off, size, writes);
  // A load that extends the sign is never of a pointer (is_ldsx).
  const isOfPointer = field !== null && isSigned && isPointer(field);
  if (field === null || isOfPointer) eacces(`invalid bpf_context access off=${off} size=${size}`);
  return field.canBeNull ? { ...field, id: env.nextId() } : field;
}

/** Extends a load of less than 8 bytes to the register. */
function coerceLoaded(value: RegisterValue, { size, isSigned }: InsnAccess): RegisterValue {
  if (!isScalar(value) || size === 8) return value;
  const known = isSigned ? signExtend(value.range, size) : coerceToSize(value.range, size);
  if (known === value.range) return value;
  return { ...value, range: known };
}

/** check_sock_access() */
function checkSockAccess(pointer: RegisterValue, { reg, off, size }: InsnAccess): void {
  if (isSockField(pointer, off + pointer.off, size)) return;
  eacces(`R${reg} invalid ${typeName(pointer)} access off=${off} size=${size}`);
}

function loadFromMap(pointer: RegisterValue, access: InsnAccess): RegisterValue {
  checkMapAccessType(pointer, access.off, access.size, false);
  checkMemRegionAccess(pointer, access.reg, access.off, access.size);
  return isRdonlyMap(pointer) ? scalar(range.UNKNOWN, false) : UNKNOWN;
}

/** The bytes read, before coercion; the pointer is not NULL. */
function loadRaw(
  env: VerifierEnv,
  state: VerifierState,
  pointer: RegisterValue,
  access: InsnAccess,
): RegisterValue {
  const { reg, off, size } = access;
  switch (pointer.kind) {
    case "any":
      return UNMODELLED;
    case "ctx":
      return checkContextAccess(env, pointer, access, false);
    case "fp":
      checkStackAccessWithinBounds(env, state, access, "read from");
      return checkStackRead(env, state, pointer, access);
    case "map_value":
      return loadFromMap(pointer, access);
    case "map_key":
    case "mem":
    case "ringbuf_mem":
    case "pkt":
    case "pkt_meta":
      checkMemRegionAccess(pointer, reg, off, size);
      return UNKNOWN;
    case "sock_common":
    case "sock":
    case "tcp_sock":
    case "xdp_sock":
      checkSockAccess(pointer, access);
      return UNKNOWN;
    case "map_ptr":
      throw new Refused("EACCES", `R${reg} invalid mem access 'map_ptr'`, false);
    default:
      return invalidMemAccess(reg, pointer);
  }
}

/** Checks alignment and NULL, then calls `follow`. The access counts as proven when that returns. */
function checkMemAccess<T>(
  env: VerifierEnv,
  state: VerifierState,
  access: InsnAccess,
  follow: (pointer: RegisterValue) => T,
): T {
  const pointer = currentFrame(state).regs[access.reg] ?? NOT_INIT;
  const { kind } = pointer;
  env.recordAccess(
    state.at,
    kind !== "any" && (kind !== "ctx" || isModelled(env.options.progType)),
  );
  try {
    if (kind !== "any") checkPtrAlignment(env, pointer, access);
    if (pointer.canBeNull) invalidMemAccess(access.reg, pointer);
    const result = follow(pointer);
    if (
      state.isCertain &&
      kind !== "any" &&
      !access.isStrict &&
      env.isMixedAccess(state.at, kind === "ctx")
    ) {
      throw new Refused("EINVAL", "same insn cannot be used with different pointers");
    }
    return result;
  } catch (fault) {
    env.recordAccess(state.at, false);
    throw fault;
  }
}

export const load = (env: VerifierEnv, state: VerifierState, access: InsnAccess): RegisterValue =>
  checkMemAccess(env, state, access, (pointer) =>
    coerceLoaded(loadRaw(env, state, pointer, access), access),
  );

/** Refuses memory that no store may write. */
function checkCanStore(env: VerifierEnv, pointer: RegisterValue, reg: number): void {
  const { kind } = pointer;
  if (kind === "map_key") eacces(`write to change key R${reg} not allowed`);
  if (kind === "map_ptr") eacces("only read from bpf_array is supported");
  if (isSock(pointer)) eacces(`R${reg} cannot write into ${typeName(pointer)}`);
  const isOfPacket = kind === "pkt" || kind === "pkt_meta";
  if (isOfPacket && !mayWritePacket(env.options.progType)) eacces("cannot write into packet");
}

function storeRaw(
  env: VerifierEnv,
  state: VerifierState,
  access: InsnAccess,
  value: RegisterValue | null,
): void {
  const { reg, off, size } = access;
  const pointer = currentFrame(state).regs[reg] ?? NOT_INIT;
  checkCanStore(env, pointer, reg);
  const keep = (where: string) =>
    checkNotLeaked(env, env.prog[state.at]?.src ?? 0, value ?? undefined, where);
  switch (pointer.kind) {
    case "any":
      clobberStacks(state);
      return;
    case "ctx":
      keep("ctx");
      checkContextAccess(env, pointer, access, true);
      return;
    case "fp":
      checkStackAccessWithinBounds(env, state, access, "write to");
      checkStackWrite(env, state, access, value);
      return;
    case "map_value":
      keep("map");
      checkMapAccessType(pointer, off, size, true);
      checkMemRegionAccess(pointer, reg, off, size);
      return;
    case "pkt":
    case "pkt_meta":
    case "mem":
    case "ringbuf_mem":
      keep(isPacket(pointer) ? "packet" : "mem");
      checkMemRegionAccess(pointer, reg, off, size);
      return;
    default:
      invalidMemAccess(reg, pointer);
  }
}

/** @param value null for unknown bytes. */
export function store(
  env: VerifierEnv,
  state: VerifierState,
  access: InsnAccess,
  value: RegisterValue | null,
): void {
  checkMemAccess(env, state, access, () => storeRaw(env, state, access, value));
}
