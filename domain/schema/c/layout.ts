/** Where a C compiler for x86-64 (LP64, little-endian) puts the members of a struct or a union. */

import { isInteger, type RecordMember, type RecordType, type Type } from "../type.ts";
import { int, record } from "../type_builders.ts";

/** A type with the alignment that it asks for, in bytes. */
export interface Aligned {
  readonly type: Type;
  readonly align: number;
}

export interface FieldAttributes {
  packed?: boolean;
  align?: number;
}

/** `width` makes it a bitfield; one without a name is only padding. */
export interface LaidOutField extends Aligned {
  readonly name: string;
  readonly width?: number;
  readonly attributes: FieldAttributes;
}

export const natural = (type: Type): Aligned => ({ type, align: type.size });

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

function alignOf(field: LaidOutField, packed: boolean): number {
  const { align = 1, packed: own = false } = field.attributes;
  return packed || own ? align : Math.max(align, field.align);
}

/** A bitfield stays within as many units of its type's alignment as the type has; gcc's excess_unit_span. */
function bitfieldAt(bit: number, width: number, field: LaidOutField, packed: boolean): number {
  const unit = field.align * 8;
  if (width === 0) return roundUp(bit, unit);
  const units = Math.ceil(((bit % unit) + width) / unit);
  const fits = units <= Math.floor((field.type.size * 8) / unit);
  return packed || fits ? bit : roundUp(bit, unit);
}

function memberAt(bit: number, { name, width, type }: LaidOutField): RecordMember {
  return width === undefined ? { name, offset: bit / 8, type } : bitfield(name, bit, width, type);
}

/** Bits have the machine's order, whatever the type's name says. */
export function bitfield(name: string, bit: number, width: number, type: Type): RecordMember {
  const plain = type.kind === "int" ? int(type.size, type.signed) : type;
  return { name, offset: Math.floor(bit / 8), bits: { shift: bit % 8, width }, type: plain };
}

/** Why a field of this type cannot have so many bits. */
export function badWidth(type: Type, width: number): string | undefined {
  if (!isInteger(type) || type.size > 8) return "a bitfield is an integer of at most 64 bits";
  const most = type.kind === "bool" ? 1 : type.size * 8;
  return width > most ? `its type has ${most} bits` : undefined;
}

export function layOut(
  kind: RecordType["kind"],
  fields: readonly LaidOutField[],
  attributes: FieldAttributes,
): Aligned & { readonly type: RecordType } {
  const { packed = false } = attributes;
  const members: RecordMember[] = [];
  let [end, align] = [0, 1];
  for (const field of fields) {
    const { width, type } = field;
    const own = alignOf(field, packed);
    const from = kind === "union" ? 0 : end;
    const bit =
      width === undefined ? roundUp(from, own * 8) : bitfieldAt(from, width, field, packed);
    end = Math.max(end, bit + (width ?? type.size * 8));
    if (width !== undefined && field.name === "") continue;
    members.push(memberAt(bit, field));
    align = Math.max(align, own);
  }
  align = Math.max(align, attributes.align ?? 1);
  return { type: record(kind, roundUp(Math.ceil(end / 8), align), members), align };
}
