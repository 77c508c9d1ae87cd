import type { HelperReturn } from "../../isa/helpers/helper_row.ts";
import { BPF_FUNC } from "../../isa/helpers/index.ts";
import { constantAt } from "../memory/stack_load.ts";
import * as range from "../scalar/range.ts";
import { Range } from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import type { VerifierState } from "../state/state.ts";
import {
  NOT_INIT,
  type RegisterValue,
  scalar,
  UNKNOWN,
  UNMODELLED,
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

function mapElement(env: VerifierEnv, state: VerifierState, meta: CallArgMeta): RegisterValue {
  const { map } = meta;
  if (map === null) return UNMODELLED;
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
    case "ringbuf_mem_or_null":
      return ringbufRecord(env, state, meta);
    case "void":
      return NOT_INIT;
    default:
      return UNMODELLED;
  }
}
