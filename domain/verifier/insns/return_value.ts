// What a helper answers (the return types of check_helper_call of Linux 6.18).

import type { ReturnKind } from "../helpers/func_proto.ts";
import { constantAt } from "../memory/stack_load.ts";
import * as range from "../scalar/range.ts";
import { Range } from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import type { VerifierState } from "../state/state.ts";
import { ANY, NONE, type RegisterValue, scalar, UNKNOWN, value } from "../state/value.ts";
import type { CallArgMeta } from "./argument_memory.ts";

const LOOKUP = 1;

/** can_elide_value_nullness(): an element of an array that is there for certain. */
function isPresent(state: VerifierState, { map, key, helper }: CallArgMeta): boolean {
  const isArray = map?.map_type === "array" || map?.map_type === "percpu_array";
  if (helper !== LOOKUP || !map || !isArray || key === null) return false;
  const index = constantAt(state, key, map.key_size);
  return index !== null && index < BigInt(map.max_entries);
}

function element(env: VerifierEnv, state: VerifierState, told: CallArgMeta): RegisterValue {
  const { map } = told;
  if (map === null) return ANY;
  const present = isPresent(state, told);
  const id = present && !map.locks ? 0 : env.nextId();
  return value("map_value", { map, orNull: !present, id });
}

function reserved(env: VerifierEnv, state: VerifierState, told: CallArgMeta): RegisterValue {
  env.nextId();
  const id = env.nextId();
  state.refs = [...state.refs, { id, insn: state.at }];
  return value("ringbuf_mem", { orNull: true, id, ref: id, size: Number(told.size) });
}

const MAX_ERRNO = 4095;

function upTo(max: bigint): RegisterValue {
  const r = new Range();
  r.signed(BigInt(-MAX_ERRNO), range.s64(max));
  r.signed32(-MAX_ERRNO, range.s32(max));
  return scalar(range.sync(r), false);
}

export function answer(
  env: VerifierEnv,
  state: VerifierState,
  kind: ReturnKind,
  told: CallArgMeta,
): RegisterValue {
  switch (kind) {
    case "i":
      return UNKNOWN;
    case "e":
      return upTo(told.size);
    case "c":
      return scalar(range.sync(range.zeroExtend(new Range())), false);
    case "m":
      return element(env, state, told);
    case "R":
      return reserved(env, state, told);
    case "v":
      return NONE;
    default:
      return ANY;
  }
}
