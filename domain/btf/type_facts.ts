import { KIND } from "../schema/btf_blob.ts";
import { intData } from "./describe_type.ts";
import { isModifier, type ResolveStack } from "./resolve_stack.ts";
import { type BtfTypeRecord, VOID } from "./type_table.ts";

/**
 * What commands ask of a type, in 12 bytes at the place of its id: the size, the id and the kind of what it
 * resolves to, and flags. domain/lua/btf/btf_type.lua reads them, so that no command parses a BTF.
 */

const FACT_BYTES = 12;
/** It has a size. */
const SIZED = 1;
/** btf_type_is_i32() */
const IS_I32 = 2;
/** A function that other objects see. */
const GLOBAL_FUNC = 4;
/** A function that returns an int or an enum. */
const RETURNS_SCALAR = 8;

const INT_BYTES = 8;

function isI32({ env }: ResolveStack, type: BtfTypeRecord): boolean {
  if (type.kind !== KIND.INT || type.size !== 4) return false;
  const { bits, offset } = intData(env.types, type);
  return bits === 32 && offset === 0;
}

/** check_btf_func() */
function functionFlags(stack: ResolveStack, func: BtfTypeRecord): number {
  const proto = stack.type(func.size) ?? VOID;
  let result = stack.type(proto.size) ?? VOID;
  while (isModifier(result)) result = stack.type(result.size) ?? VOID;
  const isSmallInt = result.kind === KIND.INT && result.size <= INT_BYTES;
  const isScalar = isSmallInt || result.kind === KIND.ENUM || result.kind === KIND.ENUM64;
  return (func.vlen === 1 ? GLOBAL_FUNC : 0) | (isScalar ? RETURNS_SCALAR : 0);
}

export function encodeTypeFacts(stack: ResolveStack): Buffer {
  const { count } = stack.env.types;
  const facts = Buffer.alloc(count * FACT_BYTES);
  for (let id = 1; id < count; id++) {
    const own = stack.type(id) ?? VOID;
    const { type, size } = stack.sized(id) ?? { type: own, size: undefined };
    const place = id * FACT_BYTES;
    facts.writeUInt32LE(size ?? 0, place);
    facts.writeUInt32LE(type.id, place + 4);
    facts.writeUInt8(type.kind, place + 8);
    const sized = size === undefined ? 0 : SIZED | (isI32(stack, type) ? IS_I32 : 0);
    const func = own.kind === KIND.FUNC ? functionFlags(stack, own) : 0;
    facts.writeUInt8(sized | func, place + 9);
  }
  return facts;
}
