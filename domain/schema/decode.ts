import { isUtf8 } from "node:buffer";
import { floatToJson, type Json, loadBits, loadInteger, scalarToJson } from "./scalar.ts";
import {
  type ArrayType,
  isInteger,
  isRecord,
  type RecordMember,
  type RecordType,
  type Type,
} from "./type.ts";

/** Converts bytes to JSON. A union is decoded as each of its members. */

type JsonObject = { [name: string]: Json };

/** encode() restores the same bytes from the result, except padding and the members of unions. */
export function decode(type: Type, bytes: Buffer): Json {
  if (bytes.length !== type.size) throw new RangeError(`${bytes.length} bytes, not ${type.size}`);
  return decodeAt(type, bytes, 0);
}

/** For __be32 and similar types: the bytes in reverse order. */
const reverseBytes = (bytes: Buffer, at: number, size: number): Buffer =>
  Buffer.from(bytes.subarray(at, at + size)).reverse();

function decodeAt(type: Type, bytes: Buffer, at: number): Json {
  if (type.kind === "float") return floatToJson(type, bytes, at);
  if (type.kind === "array") return decodeArray(type, bytes, at);
  if (isRecord(type)) {
    const object: JsonObject = Object.create(null);
    decodeMembers(type, bytes, at, object);
    return object;
  }
  const { size, signed } = type;
  const isNetworkOrder = type.kind === "int" && type.order === "network";
  if (isNetworkOrder)
    return scalarToJson(type, loadInteger(reverseBytes(bytes, at, size), 0, size, signed));
  return scalarToJson(type, loadInteger(bytes, at, size, signed));
}

function decodeArray({ element, count, size }: ArrayType, bytes: Buffer, at: number): Json {
  const text = element.kind === "char" ? decodeString(bytes.subarray(at, at + size)) : undefined;
  if (text !== undefined) return text;
  return Array.from({ length: count }, (_, i) => decodeAt(element, bytes, at + i * element.size));
}

/** Returns undefined when a string would lose information: bytes after the NUL, or not UTF-8. */
function decodeString(bytes: Buffer): string | undefined {
  const nul = bytes.indexOf(0);
  const text = nul < 0 ? bytes : bytes.subarray(0, nul);
  const padding = bytes.subarray(text.length);
  return isUtf8(text) && padding.every((byte) => byte === 0) ? text.toString("utf8") : undefined;
}

function decodeMembers(type: RecordType, bytes: Buffer, at: number, into: JsonObject): void {
  for (const member of type.members) {
    const place = at + member.offset;
    if (member.name === "" && isRecord(member.type)) decodeMembers(member.type, bytes, place, into);
    else into[member.name] = decodeMember(member, bytes, place);
  }
}

function decodeMember({ type, bits }: RecordMember, bytes: Buffer, at: number): Json {
  if (!bits || !isInteger(type)) return decodeAt(type, bytes, at);
  return scalarToJson(type, loadBits(bytes, at, bits, type.signed));
}
