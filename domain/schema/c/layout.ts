import { isInteger, type RecordMember, type RecordType, type Type } from "../type.ts";
import { makeInt, makeRecord } from "../type_builders.ts";

/** Lays out structs and unions as a C compiler for x86-64 does (LP64, little-endian). */

/** A type with its alignment in bytes. */
export interface Aligned {
  readonly type: Type;
  readonly align: number;
}

export interface FieldAttributes {
  packed?: boolean;
  align?: number;
}

/** A field with a width is a bitfield; a bitfield without a name is padding. */
export interface LaidOutField extends Aligned {
  readonly name: string;
  readonly width?: number;
  readonly attributes: FieldAttributes;
}

export const withNaturalAlign = (type: Type): Aligned => ({ type, align: type.size });

const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;

function alignOf(field: LaidOutField, packed: boolean): number {
  const { align = 1, packed: ownAlign = false } = field.attributes;
  return packed || ownAlign ? align : Math.max(align, field.align);
}

/** A bitfield may span only as many alignment units as its type has: gcc's excess_unit_span(). */
function placeBitfield(bit: number, width: number, field: LaidOutField, packed: boolean): number {
  const unit = field.align * 8;
  if (width === 0) return roundUp(bit, unit);
  const units = Math.ceil(((bit % unit) + width) / unit);
  const isInUnit = units <= Math.floor((field.type.size * 8) / unit);
  return packed || isInUnit ? bit : roundUp(bit, unit);
}

function makeMember(bit: number, { name, width, type }: LaidOutField): RecordMember {
  return width === undefined
    ? { name, offset: bit / 8, type }
    : makeBitfield(name, bit, width, type);
}

/** Bitfields have host byte order, even with a type such as __be32. */
export function makeBitfield(name: string, bit: number, width: number, type: Type): RecordMember {
  const hostType = type.kind === "int" ? makeInt(type.size, type.signed) : type;
  return { name, offset: Math.floor(bit / 8), bits: { shift: bit % 8, width }, type: hostType };
}

/** Returns the reason why a field of this type cannot have so many bits. */
export function findWidthError(type: Type, width: number): string | undefined {
  if (!isInteger(type) || type.size > 8)
    return "the type of a bitfield must be an integer of at most 64 bits";
  const maxWidth = type.kind === "bool" ? 1 : type.size * 8;
  return width > maxWidth
    ? `a bitfield of its type must have at most ${maxWidth} bits, got ${width}`
    : undefined;
}

export function layOutRecord(
  kind: RecordType["kind"],
  fields: readonly LaidOutField[],
  attributes: FieldAttributes,
): Aligned & { readonly type: RecordType } {
  const { packed = false } = attributes;
  const members: RecordMember[] = [];
  let [endBit, align] = [0, 1];
  for (const field of fields) {
    const { width, type } = field;
    const ownAlign = alignOf(field, packed);
    const startBit = kind === "union" ? 0 : endBit;
    const bit =
      width === undefined
        ? roundUp(startBit, ownAlign * 8)
        : placeBitfield(startBit, width, field, packed);
    endBit = Math.max(endBit, bit + (width ?? type.size * 8));
    if (width !== undefined && field.name === "") continue;
    members.push(makeMember(bit, field));
    align = Math.max(align, ownAlign);
  }
  align = Math.max(align, attributes.align ?? 1);
  return { type: makeRecord(kind, roundUp(Math.ceil(endBit / 8), align), members), align };
}
