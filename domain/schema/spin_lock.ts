/**
 * Where the values of a map have their struct bpf_spin_lock (btf_find_field of Linux 6.18): in the struct
 * itself and in structs within, but not behind a typedef or a qualifier, and in no union.
 */

import { SchemaError } from "./limits.ts";
import type { RecordMember, RecordType, Type } from "./type.ts";

/** sizeof and alignment of a lock. */
const SIZE = 4;
/** BTF_FIELDS_MAX */
const MOST = 11;

/** Of each struct the offsets, or why Linux knows none. */
const known = new WeakMap<Type, readonly number[] | SchemaError>();
/** The same type by another name, which is not looked through but for the value itself. */
const veiled = new WeakMap<Type, Type>();

export function opaqueAlias(type: Type): Type {
  if (type.kind !== "struct" && type.kind !== "array") return type;
  const { lock: _, ...copy } = { lock: undefined, ...type };
  veiled.set(copy, type);
  return copy;
}

const isLock = (type: Type): boolean => type.kind === "struct" && type.lock === true;

/** What an array is of, and how many of them. */
function elements(type: Type): [element: Type, count: number] {
  if (type.kind !== "array" || veiled.has(type)) return [type, 1];
  const [element, count] = elements(type.element);
  return [element, count * type.count];
}

/** btf_find_field_one() of such an element at `offset`. @throws SchemaError */
function within(element: Type, count: number, offset: number): number[] {
  const isPlaced = element.size === SIZE && offset % SIZE === 0;
  const found = isLock(element) ? (isPlaced ? [0] : []) : (known.get(element) ?? []);
  if (found instanceof SchemaError) throw found;
  if (found.length > 0 && count > 1) throw new SchemaError("an array of bpf_spin_lock");
  return found.map((at) => offset + at);
}

/** btf_find_struct_field() @throws SchemaError */
function find(members: readonly RecordMember[]): number[] {
  const found: number[] = [];
  let seen = false;
  for (const { type, offset, bits } of members) {
    if (bits && bits.shift > 0) throw new SchemaError("a bitfield within a byte beside a lock");
    const [element, count] = elements(type);
    if (count === 0) continue;
    if (seen && isLock(element)) throw new SchemaError("more than one bpf_spin_lock", "E2BIG");
    seen ||= isLock(element);
    found.push(...within(element, count, offset));
    if (found.length > MOST) throw new SchemaError("too many bpf_spin_lock", "E2BIG");
  }
  return found;
}

function attempt(members: readonly RecordMember[]): number[] | SchemaError {
  try {
    return find(members);
  } catch (error) {
    if (error instanceof SchemaError) return error;
    throw error;
  }
}

/** Linux does not load BTF of a struct that is at fault and has a lock of its own. @throws SchemaError */
export function recordLockOffsets(type: RecordType): void {
  const found = attempt(type.members);
  known.set(type, found);
  if (!type.members.some((member) => isLock(member.type))) return;
  if (found instanceof SchemaError) throw found;
  if (found.length > 0) return;
  throw new SchemaError("bpf_spin_lock has 4 bytes at a multiple of 4", "EFAULT");
}

/** btf_parse_fields() of the type of a map's values. */
export function locksOf(value: Type): readonly number[] {
  let type = value;
  for (let next = veiled.get(type); next; next = veiled.get(type)) type = next;
  const found = known.get(type) ?? [];
  return found instanceof SchemaError ? [] : found;
}
