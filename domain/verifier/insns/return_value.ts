import type { HelperReturn } from "../../isa/helpers/helper_row.ts";
import { BPF_FUNC, HELPER_ROWS } from "../../isa/helpers/index.ts";
import { constantAt } from "../memory/stack_load.ts";
import * as range from "../scalar/range.ts";
import { Range } from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import type { VerifierState } from "../state/state.ts";
import {
  isSocketMap,
  NOT_INIT,
  type RegisterValue,
  scalar,
  UNKNOWN,
  UNMODELLED,
  type ValueKind,
  value,
} from "../state/value.ts";
import type { CallArgMeta } from "./argument_memory.ts";

/** Computes the value that a helper returns: the return types of check_helper_call() of Linux 6.18. */

const LOOKUP = BPF_FUNC.map_lookup_elem;

/** can_elide_value_nullness(): the index is known and within the array. */
function isPresent(state: VerifierState, { map, key, helper }: CallArgMeta): boolean {
  const isArray = map?.map_type === "array" || map?.map_type === "percpu_array";
  if (helper !== LOOKUP || !map || !isArray || key === null) return false;
  const index = constantAt(state, key, map.key_size);
  return index !== null && index < BigInt(map.max_entries);
}

/** A lookup of a socket takes a reference (is_acquire_function). */
function socketElement(env: VerifierEnv, state: VerifierState, { map }: CallArgMeta) {
  env.nextId();
  const id = env.nextId();
  state.refs = [...state.refs, { id, insn: state.at }];
  return value("map_value", { map, canBeNull: true, id, ref: id });
}

function mapElement(env: VerifierEnv, state: VerifierState, meta: CallArgMeta): RegisterValue {
  const { map } = meta;
  if (map === null) return UNMODELLED;
  if (isSocketMap(map)) return socketElement(env, state, meta);
  const present = isPresent(state, meta);
  const id = present && !map.locks ? 0 : env.nextId();
  return value("map_value", { map, canBeNull: !present, id });
}

function ringbufRecord(env: VerifierEnv, state: VerifierState, meta: CallArgMeta): RegisterValue {
  env.nextId();
  const id = env.nextId();
  state.refs = [...state.refs, { id, insn: state.at }];
  return value("ringbuf_mem", { canBeNull: true, id, ref: id, size: Number(meta.size) });
}

/** Memory of a dynptr, invalid once the dynptr or its reference is released. */
function dynptrMemory(env: VerifierEnv, { dynptr, ref, size }: CallArgMeta): RegisterValue {
  return value("mem", { canBeNull: true, id: env.nextId(), ref, dynptr, size: Number(size) });
}

/** A reference or a part of one; the program has to compare it with NULL. */
function socket(
  env: VerifierEnv,
  state: VerifierState,
  kind: ValueKind,
  { helper, ref }: CallArgMeta,
): RegisterValue {
  const row = HELPER_ROWS[helper];
  const id = env.nextId();
  if (row?.acquires !== true)
    return value(kind, { canBeNull: true, id, ref: row?.casts === true ? ref : 0 });
  const acquired = env.nextId();
  state.refs = [...state.refs, { id: acquired, insn: state.at }];
  return value(kind, { canBeNull: true, id: acquired, ref: acquired });
}

const MAX_ERRNO = 4095;

function boundedReturn(max: bigint): RegisterValue {
  const r = new Range();
  r.signed(BigInt(-MAX_ERRNO), range.s64(max));
  r.signed32(-MAX_ERRNO, range.s32(max));
  return scalar(range.sync(r), false);
}

export function returnValue(
  env: VerifierEnv,
  state: VerifierState,
  kind: HelperReturn,
  meta: CallArgMeta,
): RegisterValue {
  switch (kind) {
    case "integer":
      return UNKNOWN;
    case "integer_up_to_size":
      return boundedReturn(meta.size);
    case "cpu":
      return scalar(range.sync(range.zeroExtend(new Range())), false);
    case "map_value_or_null":
      return mapElement(env, state, meta);
    case "map_value":
      return meta.map === null ? UNMODELLED : value("map_value", { map: meta.map });
    case "ringbuf_mem_or_null":
      return ringbufRecord(env, state, meta);
    case "dynptr_mem_or_null":
      return dynptrMemory(env, meta);
    case "sock_common_or_null":
      return socket(env, state, "sock_common", meta);
    case "sock_or_null":
      return socket(env, state, "sock", meta);
    case "tcp_sock_or_null":
      return socket(env, state, "tcp_sock", meta);
    case "void":
      return NOT_INIT;
    default:
      return UNMODELLED;
  }
}
