import { KIND } from "../schema/btf_blob.ts";
import { checkMember, isRegularInt } from "./check_member.ts";
import { intData, membersOf } from "./describe_type.ts";
import {
  hasNoSize,
  isModifier,
  isRecord,
  isSource,
  type ResolveStack,
  type Vertex,
} from "./resolve_stack.ts";
import { type BtfTypeRecord, MEMBER_BYTES, PARAM_BYTES } from "./type_table.ts";

/** How a type of each kind is resolved; each returns early when another type has to be resolved first. */

type Resolver = (stack: ResolveStack, vertex: Vertex) => void;

const MAX_U32 = 0xffff_ffff;

/** The type that one refers to, which must exist and be more than a source. @throws BtfRefused */
function targetOf(stack: ResolveStack, type: BtfTypeRecord): BtfTypeRecord {
  const target = stack.type(type.size);
  if (target === undefined || isSource(target)) throw stack.env.refuseType(type, "Invalid type_id");
  return target;
}

/** A pointer at which the resolving of a struct stopped is followed from there. */
function followsPointer(stack: ResolveStack, target: BtfTypeRecord): boolean {
  if (!isModifier(target)) return false;
  const behind = stack.resolve(target.id);
  return behind.kind === KIND.PTR && stack.follows(behind);
}

/** Pops a type that refers to another one, which may also be void, a FWD or a FUNC_PROTO. */
function popReference(stack: ResolveStack, type: BtfTypeRecord, target: BtfTypeRecord): void {
  const sized = stack.sized(target.id);
  if (sized !== undefined) {
    stack.pop(sized.type.id, 0);
    return;
  }
  const behind = stack.isResolved(target.id) ? stack.resolve(target.id) : target;
  if (behind.kind !== 0 && behind.kind !== KIND.FWD && behind.kind !== KIND.FUNC_PROTO) {
    throw stack.env.refuseType(type, "Invalid type_id");
  }
  stack.pop(behind.id, 0);
}

/** btf_modifier_resolve() */
const resolveModifier: Resolver = (stack, { type }) => {
  const target = targetOf(stack, type);
  if (!stack.follows(target)) popReference(stack, type, target);
};

/** btf_ptr_resolve() */
const resolvePointer: Resolver = (stack, { type }) => {
  const target = targetOf(stack, type);
  if (stack.follows(target) || followsPointer(stack, target)) return;
  popReference(stack, type, target);
};

/** btf_var_resolve() */
const resolveVar: Resolver = (stack, { type }) => {
  const target = targetOf(stack, type);
  if (stack.follows(target) || followsPointer(stack, target)) return;
  const sized = stack.sized(target.id);
  if (sized === undefined) throw stack.env.refuseType(type, "Invalid type_id");
  stack.pop(sized.type.id, 0);
};

/** btf_array_resolve() */
const resolveArray: Resolver = (stack, { type }) => {
  const { env } = stack;
  const [elementId, indexId] = [env.types.u32(type.at), env.types.u32(type.at + 4)];
  const count = env.types.u32(type.at + 8);
  const index = stack.type(indexId);
  if (index === undefined || hasNoSize(index) || isSource(index))
    throw env.refuseType(type, "Invalid index");
  if (stack.follows(index)) return;
  const sizedIndex = stack.sized(indexId)?.type;
  if (sizedIndex?.kind !== KIND.INT || !isRegularInt(intData(env.types, sizedIndex)))
    throw env.refuseType(type, "Invalid index");
  const element = stack.type(elementId);
  if (element === undefined || hasNoSize(element) || isSource(element))
    throw env.refuseType(type, "Invalid elem");
  if (stack.follows(element)) return;
  const sized = stack.sized(elementId);
  if (sized === undefined) throw env.refuseType(type, "Invalid elem");
  if (sized.type.kind === KIND.INT && !isRegularInt(intData(env.types, sized.type)))
    throw env.refuseType(type, "Invalid array of int");
  if (sized.size * count > MAX_U32) throw env.refuseType(type, "Array size overflows U32_MAX");
  stack.pop(sized.type.id, sized.size * count);
};

/** btf_struct_resolve() */
const resolveStruct: Resolver = (stack, vertex) => {
  const { type: struct } = vertex;
  const members = membersOf(stack.env.types, struct);
  const last = members[vertex.next - 1];
  if (last) checkMember(stack, struct, last);
  for (let i = vertex.next; i < members.length; i++) {
    const member = members[i] as (typeof members)[number];
    const type = stack.type(member.second);
    if (type === undefined || hasNoSize(type) || isSource(type)) {
      throw stack.env.refuseMember(struct, member, "Invalid member");
    }
    vertex.next = i + 1;
    if (stack.follows(type)) return;
    checkMember(stack, struct, member);
  }
  stack.pop(0, 0);
};

/** btf_func_resolve() */
const resolveFunc: Resolver = (stack, { type }) => {
  const { env } = stack;
  const proto = stack.type(type.size);
  if (proto?.kind !== KIND.FUNC_PROTO) throw env.refuseType(type, "Invalid type_id");
  for (const [i, { first: name, second: id }] of env.types.parts(proto, PARAM_BYTES).entries()) {
    if (name === 0 && id !== 0) throw env.refuseType(type, `Invalid arg#${i + 1}`);
  }
  stack.pop(type.size, 0);
};

const TAGGED: readonly number[] = [...[KIND.FUNC, KIND.STRUCT, KIND.UNION, KIND.VAR, KIND.TYPEDEF]];

/** btf_decl_tag_resolve() */
const resolveDeclTag: Resolver = (stack, { type }) => {
  const { env } = stack;
  const target = stack.type(type.size);
  if (target === undefined || !TAGGED.includes(target.kind))
    throw env.refuseType(type, "Invalid type_id");
  if (stack.follows(target)) return;
  const index = env.types.u32(type.at) | 0;
  if (index !== -1) {
    const isWhole = target.kind === KIND.VAR || target.kind === KIND.TYPEDEF;
    const parts = isRecord(target) ? target : stack.type(target.size);
    if (isWhole || index >= (parts?.vlen ?? 0)) throw env.refuseType(type, "Invalid component_idx");
  }
  stack.pop(target.id, 0);
};

/** btf_datasec_resolve(): the size of a variable that is resolved only now is not compared. */
const resolveDatasec: Resolver = (stack, vertex) => {
  const { env } = stack;
  stack.forgetMode();
  for (let i = vertex.next; i < vertex.type.vlen; i++) {
    const variable = env.types.part(vertex.type, i, MEMBER_BYTES);
    const type = stack.type(variable.first);
    if (type?.kind !== KIND.VAR)
      throw env.refuseVariable(vertex.type, variable, "Not a VAR kind member");
    vertex.next = i + 1;
    if (stack.follows(type)) return;
    const sized = stack.sized(type.size);
    if (sized === undefined) throw env.refuseVariable(vertex.type, variable, "Invalid type");
    if (variable.third < sized.size)
      throw env.refuseVariable(vertex.type, variable, "Invalid size");
  }
  stack.pop(0, 0);
};

export const RESOLVERS: Readonly<Record<number, Resolver>> = {
  [KIND.PTR]: resolvePointer,
  [KIND.TYPEDEF]: resolveModifier,
  [KIND.VOLATILE]: resolveModifier,
  [KIND.CONST]: resolveModifier,
  [KIND.RESTRICT]: resolveModifier,
  [KIND.TYPE_TAG]: resolveModifier,
  [KIND.VAR]: resolveVar,
  [KIND.ARRAY]: resolveArray,
  [KIND.STRUCT]: resolveStruct,
  [KIND.UNION]: resolveStruct,
  [KIND.FUNC]: resolveFunc,
  [KIND.DECL_TAG]: resolveDeclTag,
  [KIND.DATASEC]: resolveDatasec,
};
