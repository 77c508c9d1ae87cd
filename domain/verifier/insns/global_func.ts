import type { FuncParam, FuncType } from "../../isa/func_type.ts";
import { dynptrSlot, initialisedAt } from "../memory/dynptr.ts";
import { checkPtrOffReg } from "../memory/region.ts";
import { frameOf } from "../memory/stack.ts";
import type { VerifierEnv } from "../state/env.ts";
import { Refused } from "../state/refused.ts";
import { currentFrame, makeFrame, type VerifierState } from "../state/state.ts";
import {
  isNull,
  isScalar,
  notNull,
  type RegisterValue,
  UNKNOWN,
  UNMODELLED,
  type ValueKind,
  value,
} from "../state/value.ts";
import { type Refusal, refuse } from "../verdict.ts";
import { checkHelperMemAccess } from "./argument_memory.ts";

/**
 * Global functions, which Linux 6.18 verifies by themselves for all arguments of their types:
 * btf_prepare_func_args() and btf_check_func_arg_match().
 */

/** The struct of the context, by program type (bpf_types.h). */
const CONTEXT_STRUCTS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    "socket_filter sched_cls sched_act cgroup_skb lwt_in lwt_out lwt_xmit lwt_seg6local sk_skb flow_dissector"
      .split(" ")
      .map((type) => [type, "__sk_buff"]),
  ),
  xdp: "xdp_md",
  cgroup_sock: "bpf_sock",
  cgroup_sock_addr: "bpf_sock_addr",
  sock_ops: "bpf_sock_ops",
  sk_msg: "sk_msg_md",
  kprobe: "pt_regs",
  perf_event: "bpf_perf_event_data",
  raw_tracepoint: "bpf_raw_tracepoint_args",
  raw_tracepoint_writable: "bpf_raw_tracepoint_args",
  cgroup_device: "bpf_cgroup_dev_ctx",
  cgroup_sysctl: "bpf_sysctl",
  cgroup_sockopt: "bpf_sockopt",
  sk_reuseport: "sk_reuseport_md",
  sk_lookup: "bpf_sk_lookup",
  netfilter: "bpf_nf_ctx",
};
/** The structs of the kernel itself that the contexts stand for (btf_is_projection_of). */
const PROJECTIONS: Readonly<Record<string, string>> = { __sk_buff: "sk_buff", xdp_md: "xdp_buff" };
const KPROBE_TYPEDEF = "bpf_user_pt_regs_t";
const KNOWN_TAGS: readonly string[] = [
  "ctx",
  "trusted",
  "untrusted",
  "nonnull",
  "nullable",
  "arena",
];
const MAX_ARGS = 5;

/** What an argument has to be; null where Linux may take it and this verifier does not follow it. */
type Param =
  | { readonly kind: "scalar" }
  | { readonly kind: "ctx" }
  | { readonly kind: "dynptr" }
  | { readonly kind: "mem"; readonly size: number; readonly canBeNull: boolean }
  | null;

type PointerArg = Extract<FuncParam, { kind: "pointer" }>;

/** btf_is_prog_ctx_type() */
function isContext({ target, typedef }: PointerArg, progType: string | undefined): boolean {
  if (progType === "kprobe" && typedef === KPROBE_TYPEDEF) return true;
  const struct = CONTEXT_STRUCTS[progType ?? ""];
  if (struct === undefined) return false;
  return target === `STRUCT ${struct}` || target === `STRUCT ${PROJECTIONS[struct] ?? ""}`;
}

function pointerParam(arg: PointerArg, index: number, progType: string | undefined): Param {
  const { tags, target, size } = arg;
  const unknown = tags.some((tag) => !KNOWN_TAGS.includes(tag));
  if (unknown) throw new Refused("EOPNOTSUPP", `arg#${index} has unsupported set of tags`);
  const isTaggedContext = tags.includes("ctx");
  if (isTaggedContext || progType === undefined || isContext(arg, progType)) {
    const others = tags.filter((tag) => tag !== "ctx");
    if (others.length > 0)
      throw new Refused("EINVAL", `arg#${index} has invalid combination of tags`);
    return progType === undefined && !isTaggedContext ? null : { kind: "ctx" };
  }
  if (target === "STRUCT bpf_dynptr") {
    if (tags.length > 0)
      throw new Refused("EINVAL", `arg#${index} has invalid combination of tags`);
    return { kind: "dynptr" };
  }
  if (tags.some((tag) => ["trusted", "untrusted", "arena"].includes(tag))) return null;
  if (tags.includes("nullable"))
    throw new Refused("EINVAL", `arg#${index} has invalid combination of tags`);
  if (size === null) {
    const text = `arg#${index} reference type('${target}') size cannot be determined: -22`;
    throw new Refused("EINVAL", text);
  }
  return { kind: "mem", size, canBeNull: !tags.includes("nonnull") };
}

/** btf_prepare_func_args() */
function paramsOf(func: FuncType, progType: string | undefined): Param[] {
  const { name, argCount, args, returnsInteger } = func;
  if (argCount > MAX_ARGS) {
    const text = `Global function ${name}() with ${argCount} > ${MAX_ARGS} args. Buggy compiler.`;
    throw new Refused("EINVAL", text);
  }
  if (!returnsInteger) {
    const text = `Global function ${name}() doesn't return scalar. Only those are supported.`;
    throw new Refused("EINVAL", text);
  }
  return args.map((arg, i) => {
    if (arg.kind === "integer") return { kind: "scalar" };
    if (arg.kind === "pointer") return pointerParam(arg, i, progType);
    const text = `Arg#${i} type ${arg.target.split(" ")[0]} in ${name}() is not supported yet.`;
    throw new Refused("EINVAL", text);
  });
}

const MEMORY_WITHOUT_OFFSET_CHECK: ReadonlySet<ValueKind> = new Set<ValueKind>([
  ...(["fp", "pkt", "pkt_meta", "map_key", "map_value", "mem", "ringbuf_mem", "scalar"] as const),
]);

/** check_mem_reg(): the caller hands on memory that may be read and written. */
function checkMemReg(
  env: VerifierEnv,
  state: VerifierState,
  reg: number,
  { size, canBeNull }: { size: number; canBeNull: boolean },
): void {
  const { regs } = currentFrame(state);
  const held = regs[reg] as RegisterValue;
  if (!MEMORY_WITHOUT_OFFSET_CHECK.has(held.kind)) checkPtrOffReg(held, reg);
  if (!isNull(held)) {
    regs[reg] = held.canBeNull ? notNull(held) : held;
    try {
      for (const writes of [false, true]) {
        checkHelperMemAccess(env, state, { reg, size, writes, canBeEmpty: true, meta: null });
      }
    } catch (found) {
      if (!(found instanceof Refused)) throw found;
      throw new Refused("EINVAL", found.message, found.isCertain);
    } finally {
      regs[reg] = held;
    }
  }
  if (canBeNull || !held.canBeNull) return;
  throw new Refused("EINVAL", `arg#${reg - 1} is expected to be non-NULL`);
}

/** A dynptr of any type, on the stack or handed on. */
function checkDynptr(state: VerifierState, reg: number, held: RegisterValue): void {
  if (held.kind === "dynptr_ptr") {
    checkPtrOffReg(held, reg);
    return;
  }
  if (held.kind !== "fp") {
    const text = `arg#${reg - 1} expected pointer to stack or const struct bpf_dynptr`;
    throw new Refused("EINVAL", text);
  }
  if (initialisedAt(frameOf(state, held), dynptrSlot(held)) !== null) return;
  throw new Refused("EINVAL", `Expected an initialized dynptr as arg #${reg - 1}`);
}

function checkArg(env: VerifierEnv, state: VerifierState, reg: number, param: Param): void {
  const held = currentFrame(state).regs[reg] as RegisterValue;
  if (held.kind === "any" || param === null) {
    if (param?.kind !== "scalar") env.distrust();
    return;
  }
  if (param.kind === "scalar") {
    if (!isScalar(held)) throw new Refused("EINVAL", `R${reg} is not a scalar`);
  } else if (param.kind === "ctx") {
    if (!MEMORY_WITHOUT_OFFSET_CHECK.has(held.kind)) checkPtrOffReg(held, reg);
    if (held.kind !== "ctx") throw new Refused("EINVAL", `arg#${reg - 1} expects pointer to ctx`);
  } else if (param.kind === "dynptr") {
    checkDynptr(state, reg, held);
  } else {
    checkMemReg(env, state, reg, param);
  }
}

/** Checks the arguments of a call (btf_check_subprog_call). */
export function checkGlobalFuncArgs(env: VerifierEnv, state: VerifierState, func: FuncType): void {
  const index = env.funcIndex(func.start);
  try {
    for (const [i, param] of paramsOf(func, env.options.progType).entries())
      checkArg(env, state, i + 1, param);
  } catch (found) {
    if (!(found instanceof Refused)) throw found;
    const text = `${found.message}\nCaller passes invalid args into func#${index} ('${func.name}')`;
    throw new Refused(found.errno, text, found.isCertain);
  }
}

function initialValue(env: VerifierEnv, param: Param): RegisterValue {
  if (param === null) return UNMODELLED;
  if (param.kind === "scalar") return UNKNOWN;
  if (param.kind === "ctx") return value("ctx");
  if (param.kind === "dynptr") return value("dynptr_ptr", { dynptr: env.nextId() });
  const { size, canBeNull } = param;
  return value("mem", { size, canBeNull, id: canBeNull ? env.nextId() : 0 });
}

/** The state in which Linux begins to verify a global function by itself. */
export function globalFuncState(env: VerifierEnv, func: FuncType): VerifierState | Refusal {
  const frame = makeFrame(func.start, -1, 0);
  try {
    for (const [i, param] of paramsOf(func, env.options.progType).entries())
      frame.regs[i + 1] = initialValue(env, param);
  } catch (found) {
    if (!(found instanceof Refused)) throw found;
    return refuse(found.errno, found.message);
  }
  return { at: func.start, frames: [frame], refs: [], isCertain: true, parent: null };
}
