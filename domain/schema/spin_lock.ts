import { SchemaError } from "./limits.ts";
import type { RecordMember, RecordType, Type } from "./type.ts";

/**
 * Finds struct bpf_spin_lock in the values of a map (btf_find_field of Linux 6.18): in the struct
 * itself and in nested structs, but not behind a typedef or a qualifier, and not in a union.
 */

/** Size and alignment of a lock. */
const LOCK_BYTES = 4;
/** BTF_FIELDS_MAX */
const MAX_LOCKS = 11;

/** The lock offsets of each struct, or the reason why Linux finds none. */
const offsetsByStruct = new WeakMap<Type, readonly number[] | SchemaError>();
/** Typedefs and qualified types, which the search does not enter except for the value itself. */
const aliasedType = new WeakMap<Type, Type>();

export function opaqueAlias(type: Type): Type {
  if (type.kind !== "struct" && type.kind !== "array") return type;
  const { lock: _, ...copy } = { lock: undefined, ...type };
  aliasedType.set(copy, type);
  return copy;
}

const isLock = (type: Type): boolean => type.kind === "struct" && type.lock === true;

/** Returns the innermost element of nested arrays, and their number. */
function flattenArray(type: Type): [element: Type, count: number] {
  if (type.kind !== "array" || aliasedType.has(type)) return [type, 1];
  const [element, count] = flattenArray(type.element);
  return [element, count * type.count];
}

/** btf_find_field_one() of such an element at `offset`. @throws SchemaError */
function findInElement(element: Type, count: number, offset: number): number[] {
  const isPlaced = element.size === LOCK_BYTES && offset % LOCK_BYTES === 0;
  const offsets = isLock(element) ? (isPlaced ? [0] : []) : (offsetsByStruct.get(element) ?? []);
  if (offsets instanceof SchemaError) throw offsets;
  if (offsets.length > 0 && count > 1)
    throw new SchemaError("an array must not hold a bpf_spin_lock");
  return offsets.map((at) => offset + at);
}

/** btf_find_struct_field() @throws SchemaError */
function findInMembers(members: readonly RecordMember[]): number[] {
  const offsets: number[] = [];
  let hasLock = false;
  for (const { type, offset, bits } of members) {
    if (bits && bits.shift > 0)
      throw new SchemaError("a bitfield beside a bpf_spin_lock must begin at a byte");
    const [element, count] = flattenArray(type);
    if (count === 0) continue;
    if (hasLock && isLock(element)) {
      throw new SchemaError("must have at most one bpf_spin_lock", "E2BIG");
    }
    hasLock ||= isLock(element);
    offsets.push(...findInElement(element, count, offset));
    if (offsets.length > MAX_LOCKS) {
      throw new SchemaError(`must have at most ${MAX_LOCKS} bpf_spin_lock`, "E2BIG");
    }
  }
  return offsets;
}

function tryFindInMembers(members: readonly RecordMember[]): number[] | SchemaError {
  try {
    return findInMembers(members);
  } catch (error) {
    if (error instanceof SchemaError) return error;
    throw error;
  }
}

/** Linux rejects the BTF of a struct that has a lock and an invalid layout. @throws SchemaError */
export function recordLockOffsets(type: RecordType): void {
  const offsets = tryFindInMembers(type.members);
  offsetsByStruct.set(type, offsets);
  if (!type.members.some((member) => isLock(member.type))) return;
  if (offsets instanceof SchemaError) throw offsets;
  if (offsets.length > 0) return;
  throw new SchemaError(
    "a bpf_spin_lock must have 4 bytes at an offset that is a multiple of 4",
    "EFAULT",
  );
}

/** btf_parse_fields() for the type of a map's values. */
export function valueLockOffsets(value: Type): readonly number[] {
  let type = value;
  for (let next = aliasedType.get(type); next; next = aliasedType.get(type)) type = next;
  const offsets = offsetsByStruct.get(type) ?? [];
  return offsets instanceof SchemaError ? [] : offsets;
}
