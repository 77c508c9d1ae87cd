/** JSON to bytes. Padding is zero; every member but locks is given, of a union exactly one. */

import { einval, type FieldPath, fieldPath } from "../errno.ts";
import { integer, type Json, store, storeBits, storeFloat, ValueError } from "./scalar.ts";
import {
  type ArrayType,
  isInteger,
  isRecord,
  memberNames,
  type RecordMember,
  type RecordType,
  type Type,
} from "./type.ts";

type JsonObject = { [name: string]: Json };

const MAX_SHOWN = 60;

/**
 * @param field the argument that `json` is
 * @throws EINVAL with the path to the part that does not fit
 */
export function encode(type: Type, json: Json, field: FieldPath): Buffer {
  const bytes = Buffer.alloc(type.size);
  try {
    put(type, json, bytes, 0);
  } catch (error) {
    throw error instanceof ValueError
      ? einval(error.message, fieldPath(field, ...error.path))
      : error;
  }
  return bytes;
}

/** A name of the caller's, cut to a length that an error can show. */
const step = (name: string | number) =>
  typeof name === "string" ? name.slice(0, MAX_SHOWN) : name;

function under(name: string | number, error: unknown): unknown {
  return error instanceof ValueError
    ? new ValueError(error.message, [step(name), ...error.path])
    : error;
}

function put(type: Type, json: Json, bytes: Buffer, at: number): void {
  if (type.kind === "array") putArray(type, json, bytes, at);
  else if (isRecord(type)) putRecord(type, json, bytes, at);
  else if (type.kind === "float") storeFloat(type, json, bytes, at);
  else {
    store(bytes, at, type.size, integer(type, type.size * 8, json));
    const network = type.kind === "int" && type.order === "network";
    if (network) bytes.subarray(at, at + type.size).reverse();
  }
}

function putArray({ element, count }: ArrayType, json: Json, bytes: Buffer, at: number): void {
  const isText = element.kind === "char";
  if (isText && typeof json === "string") {
    putString(json, count, bytes, at);
    return;
  }
  if (!Array.isArray(json))
    throw new ValueError(isText ? "not a string or an array" : "not an array");
  if (json.length !== count) throw new ValueError(`${json.length} elements, not ${count}`);
  for (const [i, each] of json.entries()) {
    try {
      put(element, each, bytes, at + i * element.size);
    } catch (error) {
      throw under(i, error);
    }
  }
}

function putString(text: string, most: number, bytes: Buffer, at: number): void {
  if (text.includes("\0")) throw new ValueError("a NUL would end it: write an array of numbers");
  if (!text.isWellFormed()) throw new ValueError("half a surrogate pair");
  const length = Buffer.byteLength(text);
  if (length > most) throw new ValueError(`${length} bytes, more than ${most}`);
  bytes.write(text, at, "utf8");
}

const known = new WeakMap<RecordType, ReadonlySet<string>>();

function namesOf(type: RecordType): ReadonlySet<string> {
  const names = known.get(type) ?? new Set(memberNames(type));
  known.set(type, names);
  return names;
}

function putRecord(type: RecordType, json: Json, bytes: Buffer, at: number): void {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ValueError("not an object");
  }
  const names = namesOf(type);
  const unknown = Object.keys(json).find((name) => !names.has(name));
  if (unknown !== undefined) throw new ValueError("the type has no such member", [step(unknown)]);
  putMembers(type, json, bytes, at);
}

function putMembers(type: RecordType, json: JsonObject, bytes: Buffer, at: number): void {
  for (const member of type.kind === "union" ? chosen(type, json) : type.members) {
    const place = at + member.offset;
    if (member.name !== "") putMember(member, json, bytes, place);
    else if (isRecord(member.type)) putMembers(member.type, json, bytes, place);
  }
}

function putMember(
  { name, type, bits }: RecordMember,
  json: JsonObject,
  bytes: Buffer,
  at: number,
): void {
  const given = Object.hasOwn(json, name) ? json[name] : undefined;
  if (given === undefined && type.kind === "struct" && type.lock) return;
  if (given === undefined) throw new ValueError(`${name} is missing`);
  try {
    if (!bits || !isInteger(type)) put(type, given, bytes, at);
    else storeBits(bytes, at, bits, integer(type, bits.width, given));
  } catch (error) {
    throw under(name, error);
  }
}

const isGiven = (member: RecordMember, json: JsonObject): boolean =>
  member.name === "" && isRecord(member.type)
    ? member.type.members.some((inner) => isGiven(inner, json))
    : Object.hasOwn(json, member.name);

/** The one member that is given; a union without members has none. */
function chosen(type: RecordType, json: JsonObject): readonly RecordMember[] {
  const given = type.members.filter((member) => isGiven(member, json));
  if (given.length === 1 || type.members.length === 0) return given;
  const names = [...memberNames(type)].slice(0, 8).join(", ");
  throw new ValueError(`a union takes one of ${names}; ${given.length} are given`);
}
