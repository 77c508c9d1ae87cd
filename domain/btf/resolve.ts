import { KIND } from "../schema/btf_blob.ts";
import type { BtfEnv } from "./btf_env.ts";
import { isIdentifier } from "./names.ts";
import { BtfRefused } from "./refused.ts";
import { RESOLVERS } from "./resolve_kinds.ts";
import {
  isModifier,
  isRecord,
  isSource,
  MAX_DEPTH,
  needsResolve,
  ResolveStack,
} from "./resolve_stack.ts";
import { type BtfPart, type BtfTypeRecord, PARAM_BYTES } from "./type_table.ts";

/** Resolves the references of all types (btf_check_all_types(), btf_resolve()). */

/** btf_resolve_valid() */
function isStateValid(stack: ResolveStack, type: BtfTypeRecord): boolean {
  if (isModifier(type) || type.kind === KIND.PTR || type.kind === KIND.VAR) {
    const behind = stack.resolve(type.id);
    return !isModifier(behind) && behind.kind !== KIND.VAR && behind.kind !== KIND.DATASEC;
  }
  if (type.kind === KIND.ARRAY) return !isModifier(stack.resolve(type.id));
  if (isRecord(type) || type.kind === KIND.DATASEC) return stack.resolvedId(type.id) === 0;
  return stack.resolvedId(type.id) !== 0;
}

/** @throws BtfRefused */
function resolve(stack: ResolveStack, type: BtfTypeRecord): void {
  const { env } = stack;
  stack.reset();
  stack.push(type);
  try {
    for (let vertex = stack.top; vertex !== undefined; vertex = stack.top) {
      env.typeId = vertex.type.id;
      RESOLVERS[vertex.type.kind]?.(stack, vertex);
    }
  } catch (error) {
    env.typeId = type.id;
    if (!(error instanceof BtfRefused)) throw error;
    if (error.errno === "E2BIG")
      env.refuseType(type, `Exceeded max resolving depth:${MAX_DEPTH}`, "E2BIG");
    if (error.errno === "EEXIST") env.refuseType(type, "Loop detected", "EEXIST");
    throw error;
  }
  env.typeId = type.id;
  if (!isStateValid(stack, type)) env.refuseType(type, "Invalid resolve state");
}

/** Errors name the type that is resolved; afterwards `typeId` is the caller's type again. */
function resolveIfNeeded(stack: ResolveStack, type: BtfTypeRecord): void {
  if (!needsResolve(type) || stack.isResolved(type.id)) return;
  const before = stack.env.typeId;
  resolve(stack, type);
  stack.env.typeId = before;
}

/** Resolves the type of a parameter or result. @returns whether it has a size. @throws BtfRefused */
function hasValue(stack: ResolveStack, id: number): boolean {
  const type = stack.type(id);
  if (type === undefined || isSource(type)) return false;
  resolveIfNeeded(stack, type);
  return stack.sized(id) !== undefined;
}

function isParamValid(stack: ResolveStack, { first: name, second: id }: BtfPart): boolean {
  const type = stack.type(id);
  if (type === undefined || isSource(type)) return false;
  const { types } = stack.env;
  if (name !== 0 && !(types.hasString(name) && isIdentifier(types, name))) return false;
  return hasValue(stack, id);
}

/** btf_func_proto_check() @throws BtfRefused */
function checkProto(stack: ResolveStack, proto: BtfTypeRecord): void {
  const { env } = stack;
  if (proto.size !== 0 && !hasValue(stack, proto.size))
    env.refuseType(proto, "Invalid return type");
  const params = env.types.parts(proto, PARAM_BYTES);
  const last = params.at(-1);
  if (last?.second === 0) {
    if (last.first !== 0) env.refuseType(proto, `Invalid arg#${params.length}`);
    params.pop();
  }
  for (const [i, param] of params.entries()) {
    if (!isParamValid(stack, param)) env.refuseType(proto, `Invalid arg#${i + 1}`);
  }
}

/** @returns what each type resolves to. @throws BtfRefused */
export function resolveAll(env: BtfEnv): ResolveStack {
  const stack = new ResolveStack(env);
  for (let id = 1; id < env.types.count; id++) {
    const type = env.types.type(id) as BtfTypeRecord;
    env.typeId = id;
    resolveIfNeeded(stack, type);
    if (type.kind === KIND.FUNC_PROTO) checkProto(stack, type);
  }
  return stack;
}
