// The arguments of a helper (check_func_arg of Linux 6.18).

import { type Arg, type Proto, readsPacket } from "../helpers/func_proto.ts";
import { isModelled, mayWritePacket } from "../memory/context.ts";
import { kept } from "../memory/ptr_leaks.ts";
import { aligned, isConstant, unmoved } from "../memory/region.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { clobberStacks, top, type VerifierState } from "../state/state.ts";
import {
  isNull,
  isPacket,
  isScalar,
  Refused,
  type RegisterValue,
  typeName,
} from "../state/value.ts";
import { type CallArgMeta, MEMORY_KINDS, memory, sized } from "./argument_memory.ts";

const MEMORY = "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_";
const EXPECTED: Readonly<Partial<Record<Arg, string>>> = {
  c: "ctx",
  C: "ctx",
  M: "map_ptr",
  s: "scalar",
  z: "scalar",
  q: "scalar",
  x: "ringbuf_mem",
  S: "map_value",
  f: "func",
  o: "fp",
};
/** PTR_MAYBE_NULL */
const NULLABLE: ReadonlySet<Arg> = new Set<Arg>(["n", "o", "C"]);

function eacces(text: string, certain = true): never {
  throw new Refused("EACCES", text, certain);
}

function typed(arg: Arg, reg: number, value: RegisterValue): void {
  const expected = EXPECTED[arg];
  const plain = !value.orNull || NULLABLE.has(arg);
  const good = expected === undefined ? MEMORY_KINDS.has(value.kind) : expected === value.kind;
  if (good && plain) return;
  eacces(`R${reg} type=${typeName(value)} expected=${expected ?? MEMORY}`);
}

/** The value of a map; a Bloom filter reads where others write. */
function mapMemory(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  arg: Arg,
  told: CallArgMeta,
): void {
  const { map } = told;
  if (map === null) return;
  const size = arg === "k" ? map.key_size : map.value_size;
  const writes = arg === "V" && map.map_type !== "bloom_filter";
  memory(env, state, reg, size, writes, false, writes ? told : null);
}

function released(value: RegisterValue, reg: number, told: CallArgMeta): void {
  if (value.off !== 0) {
    const what = "when passed to release func or trusted arg to kfunc";
    throw new Refused("EINVAL", `R${reg} must have zero offset ${what}`);
  }
  unmoved(value, reg);
  if (value.ref === 0) throw new Refused("EINVAL", `arg ${reg} is an unacquired reference`);
  told.released = value.ref;
}

function readable(env: VerifierEnv, helper: number, value: RegisterValue): void {
  if (!isPacket(value)) return;
  const direct = mayWritePacket(env.options.progType) && !readsPacket(helper);
  if (direct) eacces("helper access to the packet is not allowed");
}

function constantString(reg: number, value: RegisterValue): void {
  if (!isConstant(value)) eacces(`R${reg} does not point to a readonly map'`);
}

function checkTyped(
  env: VerifierEnv,
  state: VerifierState,
  arg: Arg,
  reg: number,
  told: CallArgMeta,
  before: Arg,
): void {
  const value = top(state).regs[reg] as RegisterValue;
  if (isScalar(value) && NULLABLE.has(arg)) value.origin.mark();
  if (isNull(value) && NULLABLE.has(arg)) return;
  typed(arg, reg, value);
  if (arg === "x") {
    released(value, reg, told);
  } else if (arg === "c" || arg === "C") {
    unmoved(value, reg);
  } else if (arg === "M") {
    told.map = value.map;
  } else if (arg === "k" || arg === "v" || arg === "V") {
    if (arg === "k") told.key = value;
    mapMemory(env, state, reg, arg, told);
  } else if (arg === "s" || arg === "z") {
    sized(env, state, reg, arg, before, told);
  } else if (arg === "8") {
    memory(env, state, reg, 8, true, false, null);
    aligned(env, value, 0, 8, true);
  } else if (arg === "q") {
    if (!range.isConst(value.range)) eacces(`R${reg} is not a known constant'`, value.exact);
    value.origin.mark();
    told.size = value.range.umax;
  } else if (arg === "f") {
    told.callback = value.home;
  } else if (arg === "S") {
    constantString(reg, value);
  }
}

/** An argument whose value is not modelled: what it would have led to, Linux alone knows. */
function unmodelled(state: VerifierState, arg: Arg, value: RegisterValue, told: CallArgMeta): void {
  if (arg === "M") told.map = null;
  if (value.kind === "fp" || arg === "w" || arg === "V" || arg === "8") clobberStacks(state);
  if (arg === "s" || arg === "z" || arg === "q") {
    told.size = range.U64_MAX;
    clobberStacks(state);
  }
}

/** Registers from one on may be arguments, too. */
function rest(state: VerifierState, first: number): void {
  const regs = top(state).regs.slice(first, 6);
  if (regs.some(({ kind }) => kind === "fp" || kind === "any")) clobberStacks(state);
}

export function checkArguments(
  env: VerifierEnv,
  state: VerifierState,
  proto: Proto,
  told: CallArgMeta,
): void {
  for (const [i, arg] of proto.args.entries()) {
    const reg = i + 1;
    if (arg === "+") {
      rest(state, reg);
      return;
    }
    const value = top(state).regs[reg] as RegisterValue;
    if (value.kind === "none") eacces(`R${reg} !read_ok`);
    if (arg === "a") {
      kept(env, reg, value, "helper function");
      continue;
    }
    readable(env, told.helper, value);
    if (arg === "?" || value.kind === "any") {
      unmodelled(state, arg, value, told);
      continue;
    }
    if (arg === "c" && !isModelled(env.options.progType) && value.kind !== "ctx")
      typed(arg, reg, value);
    checkTyped(env, state, arg, reg, told, proto.args[i - 1] ?? "a");
  }
}
