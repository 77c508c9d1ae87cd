import type { TypeTable } from "./type_table.ts";

/** Which names a type may have (btf_name_valid_identifier(), btf_name_valid_section()). */

/** KSYM_NAME_LEN */
const MAX_NAME = 512;

/** isalpha() of the kernel, whose table is Latin-1. */
function isLetter(byte: number): boolean {
  const upper = byte & ~0x20;
  if (upper >= 0x41 && upper <= 0x5a) return true;
  return byte >= 0xc0 && byte !== 0xd7 && byte !== 0xf7;
}

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
/** "_" and "." */
const isMark = (byte: number): boolean => byte === 0x5f || byte === 0x2e;
const isPrintable = (byte: number): boolean => (byte >= 0x20 && byte <= 0x7e) || byte >= 0xa0;

function isValid(
  types: TypeTable,
  offset: number,
  isFirst: (byte: number) => boolean,
  isOther: (byte: number) => boolean,
): boolean {
  const name = types.bytes(offset, MAX_NAME + 1);
  if (name === undefined || name.length === 0 || name.length > MAX_NAME) return false;
  return isFirst(name[0] as number) && name.subarray(1).every(isOther);
}

export function isIdentifier(types: TypeTable, offset: number): boolean {
  const isFirst = (byte: number) => isLetter(byte) || isMark(byte);
  return isValid(types, offset, isFirst, (byte) => isFirst(byte) || isDigit(byte));
}

export function isSectionName(types: TypeTable, offset: number): boolean {
  return isValid(types, offset, isPrintable, isPrintable);
}
