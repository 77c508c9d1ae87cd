import type { HelperArg } from "../../isa/helpers/helper_row.ts";
import { type Proto, readsPacket } from "../helpers/func_proto.ts";
import { isModelled, mayWritePacket } from "../memory/context.ts";
import { checkNotLeaked } from "../memory/ptr_leaks.ts";
import { checkPtrAlignment, checkPtrOffReg, isRdonlyMap } from "../memory/region.ts";
import * as range from "../scalar/range.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { clobberStacks, currentFrame, type VerifierState } from "../state/state.ts";
import {
  isNull,
  isPacket,
  isScalar,
  isSocketMap,
  type RegisterValue,
  typeName,
  type ValueKind,
} from "../state/value.ts";
import {
  type CallArgMeta,
  checkHelperMemAccess,
  checkMemSizeReg,
  MEMORY_KINDS,
} from "./argument_memory.ts";
import { isDynptrArg, processDynptr } from "./dynptr_argument.ts";

/** Checks the arguments of a helper call: check_func_arg() of Linux 6.18. */

const MEMORY = "fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_";
const SOCKS: readonly ValueKind[] = ["sock_common", "sock", "tcp_sock", "xdp_sock"];
/** The kinds that an argument may have, where they are not memory. */
const KINDS: Readonly<Partial<Record<HelperArg, readonly ValueKind[]>>> = {
  ctx: ["ctx"],
  ctx_or_null: ["ctx"],
  map: ["map_ptr"],
  size: ["scalar"],
  size_or_zero: ["scalar"],
  alloc_size: ["scalar"],
  dynptr: ["fp", "dynptr_ptr"],
  uninit_dynptr_local: ["fp", "dynptr_ptr"],
  uninit_dynptr_ringbuf: ["fp", "dynptr_ptr"],
  released_dynptr_ringbuf: ["fp", "dynptr_ptr"],
  ringbuf_mem: ["ringbuf_mem"],
  const_str: ["map_value"],
  func: ["func"],
  stack_or_null: ["fp"],
  sock_common: SOCKS,
  sock_or_null: ["sock"],
  btf_sock_common: SOCKS,
  btf_sock_common_or_null: SOCKS,
  released_sock: SOCKS,
  btf: [],
  percpu_btf: [],
  timer: ["map_value"],
};
/** Pointers to structs of the kernel, which are not modelled, as the log names them. */
const BTF_KINDS: Readonly<Partial<Record<HelperArg, readonly string[]>>> = {
  btf_sock_common: ["ptr_", "trusted_ptr_"],
  btf_sock_common_or_null: ["ptr_", "trusted_ptr_"],
  released_sock: ["ptr_", "trusted_ptr_"],
  btf: ["ptr_", "trusted_ptr_", "rcu_ptr_"],
  percpu_btf: ["percpu_ptr_", "percpu_rcu_ptr_", "percpu_trusted_ptr_"],
};
/** PTR_MAYBE_NULL */
const NULLABLE: ReadonlySet<HelperArg> = new Set<HelperArg>([
  "mem_or_null",
  "uninit_mem_or_null",
  "stack_or_null",
  "ctx_or_null",
  "sock_or_null",
  "btf_sock_common_or_null",
]);
/** ARG_PTR_TO_FIXED_SIZE_MEM */
const FIXED: Readonly<Partial<Record<HelperArg, number>>> = {
  uninit_u64: 8,
  written_u32: 4,
  mem_of_20: 20,
  mem_of_40: 40,
};

function eacces(text: string, isCertain = true): never {
  throw new Refused("EACCES", text, isCertain);
}

function checkRegType(arg: HelperArg, reg: number, value: RegisterValue): void {
  const kinds = KINDS[arg];
  const isNullAllowed = !value.canBeNull || NULLABLE.has(arg);
  const isKind = kinds?.includes(value.kind) ?? MEMORY_KINDS.has(value.kind);
  if (isKind && isNullAllowed) return;
  const expected = kinds ? [...kinds, ...(BTF_KINDS[arg] ?? [])].join(", ") : MEMORY;
  eacces(`R${reg} type=${typeName(value)} expected=${expected}`);
}

/** An argument in its register, and the type of the argument before it. */
interface FuncArg {
  readonly reg: number;
  readonly type: HelperArg;
  readonly previousType: HelperArg;
}

/** Checks a key or a value of a map. A peek into a Bloom filter reads the value; others write it. */
function checkMapArgument(
  env: VerifierEnv,
  state: VerifierState,
  { reg, type }: FuncArg,
  meta: CallArgMeta,
): void {
  const { map } = meta;
  if (map === null) return;
  const size = type === "map_key" ? map.key_size : map.value_size;
  const writes = type === "uninit_map_value" && map.map_type !== "bloom_filter";
  const access = { reg, size, writes, canBeEmpty: false, meta: writes ? meta : null };
  checkHelperMemAccess(env, state, access);
}

function checkReleased(value: RegisterValue, reg: number, meta: CallArgMeta): void {
  if (value.off !== 0) {
    const what = "when passed to release func or trusted arg to kfunc";
    throw new Refused("EINVAL", `R${reg} must have zero offset ${what}`);
  }
  checkPtrOffReg(value, reg);
  if (value.ref === 0) {
    const text = `R${reg} must be referenced when passed to release function`;
    throw new Refused("EINVAL", text);
  }
  meta.released = value.ref;
}

function checkPacketReadable(env: VerifierEnv, helper: number, value: RegisterValue): void {
  if (!isPacket(value)) return;
  const isForbidden = mayWritePacket(env.options.progType) && !readsPacket(helper);
  if (isForbidden) eacces("helper access to the packet is not allowed");
}

function checkConstString(reg: number, value: RegisterValue): void {
  if (!isRdonlyMap(value)) eacces(`R${reg} does not point to a readonly map'`);
}

/** Memory of a size that the helper knows; what it writes is aligned. */
function checkFixedMemory(
  env: VerifierEnv,
  state: VerifierState,
  { reg, type }: FuncArg,
  size: number,
): void {
  const writes = type === "uninit_u64" || type === "written_u32";
  checkHelperMemAccess(env, state, { reg, size, writes, canBeEmpty: false, meta: null });
  if (!writes) return;
  const value = currentFrame(state).regs[reg] as RegisterValue;
  checkPtrAlignment(env, value, { reg, off: 0, size, isStrict: true });
}

/** resolve_map_arg_type(): the values of maps of sockets are sockets. */
function resolveMapArgType(type: HelperArg, { map }: CallArgMeta): HelperArg {
  return type === "map_value" && isSocketMap(map) ? "btf_sock_common" : type;
}

function checkFuncArg(
  env: VerifierEnv,
  state: VerifierState,
  arg: FuncArg,
  meta: CallArgMeta,
): void {
  const { reg, previousType } = arg;
  const type = resolveMapArgType(arg.type, meta);
  const value = currentFrame(state).regs[reg] as RegisterValue;
  if (isScalar(value) && NULLABLE.has(type)) value.precision.markChainPrecision();
  if (isNull(value) && NULLABLE.has(type)) return;
  checkRegType(type, reg, value);
  if (value.ref !== 0) meta.ref = value.ref;
  if (type === "ringbuf_mem" || type === "released_sock") {
    checkReleased(value, reg, meta);
  } else if (type === "ctx" || type === "ctx_or_null") {
    checkPtrOffReg(value, reg);
  } else if (type === "map") {
    meta.map = value.map;
  } else if (type === "map_key" || type === "map_value" || type === "uninit_map_value") {
    if (type === "map_key") meta.key = value;
    checkMapArgument(env, state, arg, meta);
  } else if (type === "size" || type === "size_or_zero") {
    checkMemSizeReg(env, state, { reg, type, memoryType: previousType }, meta);
  } else if (isDynptrArg(type)) {
    if (value.kind === "dynptr_ptr") checkPtrOffReg(value, reg);
    processDynptr(env, state, { reg, type }, meta);
  } else if (FIXED[type] !== undefined) {
    checkFixedMemory(env, state, arg, FIXED[type]);
  } else if (type === "alloc_size") {
    if (!range.isConst(value.range)) eacces(`R${reg} is not a known constant'`, value.isExact);
    value.precision.markChainPrecision();
    meta.size = value.range.umax;
  } else if (type === "func") {
    meta.callback = value.home;
  } else if (type === "const_str") {
    checkConstString(reg, value);
  }
}

/** OBJ_RELEASE: the call may release a reference that is not known. */
const RELEASED: ReadonlySet<HelperArg> = new Set<HelperArg>([
  "released_sock",
  "released_dynptr_ringbuf",
  "ringbuf_mem",
]);

/** Assumes the worst of an argument whose type or value is not modelled. */
function assumeUnknownArgument(
  state: VerifierState,
  arg: HelperArg,
  value: RegisterValue,
  meta: CallArgMeta,
): void {
  if (arg === "map") meta.map = null;
  if (RELEASED.has(arg)) state.isCertain = false;
  if (value.kind === "fp" || arg.startsWith("uninit_")) clobberStacks(state);
  if (arg === "size" || arg === "size_or_zero" || arg === "alloc_size") {
    meta.size = range.U64_MAX;
    clobberStacks(state);
  }
}

/** The registers from `first` on may be arguments, too. */
function checkVariadicArguments(state: VerifierState, first: number): void {
  const regs = currentFrame(state).regs.slice(first, 6);
  if (regs.some(({ kind }) => kind === "fp" || kind === "any")) clobberStacks(state);
}

export function checkFuncArgs(
  env: VerifierEnv,
  state: VerifierState,
  proto: Proto,
  meta: CallArgMeta,
): void {
  for (const [i, arg] of proto.args.entries()) {
    const reg = i + 1;
    if (arg === "rest_unmodelled") {
      checkVariadicArguments(state, reg);
      return;
    }
    const value = currentFrame(state).regs[reg] as RegisterValue;
    if (value.kind === "none") eacces(`R${reg} !read_ok`);
    if (arg === "anything") {
      checkNotLeaked(env, reg, value, "helper function");
      continue;
    }
    checkPacketReadable(env, meta.helper, value);
    if (arg === "unmodelled" || value.kind === "any") {
      assumeUnknownArgument(state, arg, value, meta);
      continue;
    }
    if (arg === "ctx" && !isModelled(env.options.progType) && value.kind !== "ctx")
      checkRegType(arg, reg, value);
    const previousType = proto.args[i - 1] ?? "anything";
    checkFuncArg(env, state, { reg, type: arg, previousType }, meta);
  }
}
