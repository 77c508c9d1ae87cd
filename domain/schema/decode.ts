/** Bytes to JSON. A union shows all its members. */

import { isUtf8 } from "node:buffer";
import { type Json, load, loadBits, show, showFloat } from "./scalar.ts";
import {
  type ArrayType,
  isInteger,
  isRecord,
  type RecordMember,
  type RecordType,
  type Type,
} from "./type.ts";

type JsonObject = { [name: string]: Json };

/** What encode takes back to the same bytes, save padding and the choice of a union's member. */
export function decode(type: Type, bytes: Buffer): Json {
  if (bytes.length !== type.size) throw new RangeError(`${bytes.length} bytes, not ${type.size}`);
  return get(type, bytes, 0);
}

/** __be32 and its like: the same bytes, read from the other end. */
const swapped = (bytes: Buffer, at: number, size: number): Buffer =>
  Buffer.from(bytes.subarray(at, at + size)).reverse();

function get(type: Type, bytes: Buffer, at: number): Json {
  if (type.kind === "float") return showFloat(type, bytes, at);
  if (type.kind === "array") return getArray(type, bytes, at);
  if (isRecord(type)) {
    const object: JsonObject = Object.create(null);
    getMembers(type, bytes, at, object);
    return object;
  }
  const { size, signed } = type;
  const network = type.kind === "int" && type.order === "network";
  if (network) return show(type, load(swapped(bytes, at, size), 0, size, signed));
  return show(type, load(bytes, at, size, signed));
}

function getArray({ element, count, size }: ArrayType, bytes: Buffer, at: number): Json {
  const text = element.kind === "char" ? getString(bytes.subarray(at, at + size)) : undefined;
  if (text !== undefined) return text;
  return Array.from({ length: count }, (_, i) => get(element, bytes, at + i * element.size));
}

/** Undefined when the text would not say all: bytes behind its NUL, or no UTF-8. */
function getString(bytes: Buffer): string | undefined {
  const nul = bytes.indexOf(0);
  const text = nul < 0 ? bytes : bytes.subarray(0, nul);
  const rest = bytes.subarray(text.length);
  return isUtf8(text) && rest.every((byte) => byte === 0) ? text.toString("utf8") : undefined;
}

function getMembers(type: RecordType, bytes: Buffer, at: number, into: JsonObject): void {
  for (const member of type.members) {
    const place = at + member.offset;
    if (member.name === "" && isRecord(member.type)) getMembers(member.type, bytes, place, into);
    else into[member.name] = getMember(member, bytes, place);
  }
}

function getMember({ type, bits }: RecordMember, bytes: Buffer, at: number): Json {
  if (!bits || !isInteger(type)) return get(type, bytes, at);
  return show(type, loadBits(bytes, at, bits, type.signed));
}
