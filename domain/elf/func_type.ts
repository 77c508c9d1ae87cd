import type { FuncParam, FuncType } from "../isa/func_type.ts";
import { type BtfType, KIND, kindName, MODIFIERS } from "../schema/btf_blob.ts";
import { malformed } from "./object_errors.ts";

/** Reads the types of functions from BTF (btf_prepare_func_args() of Linux). */

/** The BTF of an object or of a request. */
export interface BtfReader {
  type(id: number): BtfType;
  u32(at: number): number;
  string(offset: number): string;
  resolveSize(id: number): number;
  /** The tags of a function's arguments, by index. */
  argTags(id: number): ReadonlyMap<number, readonly string[]>;
}

const LINKAGE_GLOBAL = 1;
const MAX_STEPS = 32;
const NO_TAGS: ReadonlyMap<number, readonly string[]> = new Map();
const ENUMS: readonly number[] = [KIND.ENUM, KIND.ENUM64];
const MAX_INTEGER = 8;
/** Arguments that registers hold. */
const MAX_ARGS = 5;

/** A type without modifiers; `type` is undefined for void. */
interface UnmodifiedType {
  readonly id: number;
  readonly type: BtfType | undefined;
  /** The outermost typedef on the way. */
  readonly typedef: string;
}

function skipModifiers(btf: BtfReader, first: number): UnmodifiedType {
  let typedef = "";
  let id = first;
  for (let steps = 0; steps < MAX_STEPS; steps++) {
    if (id === 0) return { id, type: undefined, typedef };
    const type = btf.type(id);
    if (!MODIFIERS.includes(type.kind)) return { id, type, typedef };
    if (type.kind === KIND.TYPEDEF && typedef === "") typedef = btf.string(type.name);
    id = type.size;
  }
  throw malformed(`.BTF: type ${first} has more than ${MAX_STEPS} modifiers`);
}

const describe = (btf: BtfReader, { type }: UnmodifiedType): string =>
  type === undefined ? "UNKNOWN " : `${kindName(type.kind)} ${btf.string(type.name)}`;

const isInteger = ({ type }: UnmodifiedType): boolean =>
  type !== undefined && (type.kind === KIND.INT || ENUMS.includes(type.kind));

/** The size of a pointer's target; null for void and for types without a size. */
function sizeOf(btf: BtfReader, { id, type }: UnmodifiedType): number | null {
  const unsized: readonly number[] = [KIND.FWD, KIND.FUNC, KIND.FUNC_PROTO, KIND.VAR];
  return type === undefined || unsized.includes(type.kind) ? null : btf.resolveSize(id);
}

function readArg(btf: BtfReader, id: number, tags: readonly string[]): FuncParam {
  const bare = skipModifiers(btf, id);
  if (bare.type?.kind !== KIND.PTR)
    return isInteger(bare) ? { kind: "integer" } : { kind: "other", target: describe(btf, bare) };
  const to = skipModifiers(btf, bare.type.size);
  const { typedef } = to;
  return { kind: "pointer", target: describe(btf, to), typedef, size: sizeOf(btf, to), tags };
}

/** @throws EINVAL, SchemaError */
export function readFuncType(
  btf: BtfReader,
  id: number,
  { start, isStatic }: { start: number; isStatic: boolean },
): FuncType {
  const func = btf.type(id);
  if (func.kind !== KIND.FUNC) throw malformed(`.BTF: type ${id} must be a function`);
  const proto = btf.type(func.size);
  if (proto.kind !== KIND.FUNC_PROTO)
    throw malformed(`.BTF: type ${func.size} must be the prototype of a function`);
  const isGlobal = !isStatic && func.vlen === LINKAGE_GLOBAL;
  const tags = isGlobal ? btf.argTags(id) : NO_TAGS;
  const result = skipModifiers(btf, proto.size);
  const returnsInteger = isInteger(result);
  return {
    ...{ start, name: btf.string(func.name), isGlobal, returnsInteger },
    returnsSmallInteger: returnsInteger && (result.type?.size ?? 0) <= MAX_INTEGER,
    argCount: proto.vlen,
    args: Array.from({ length: Math.min(proto.vlen, MAX_ARGS) }, (_, i) =>
      readArg(btf, btf.u32(proto.at + i * 8 + 4), tags.get(i) ?? []),
    ),
  };
}
