import { einval, type FieldPath, fieldPath } from "../errno.ts";
import {
  floatFromJson,
  got,
  integerFromJson,
  type Json,
  storeBits,
  storeInteger,
  ValueError,
} from "./scalar.ts";
import {
  type ArrayType,
  isInteger,
  isRecord,
  memberNames,
  type RecordMember,
  type RecordType,
  type Type,
} from "./type.ts";

/**
 * Converts JSON to bytes. Padding is zero; every member must be given except locks, and exactly
 * one member of a union.
 */

type JsonObject = { [name: string]: Json };

const MAX_STEP = 60;

/**
 * @param field the argument that `json` is
 * @throws EINVAL with the path to the part that does not fit
 */
export function encode(type: Type, json: Json, field: FieldPath): Buffer {
  const bytes = Buffer.alloc(type.size);
  try {
    encodeAt(type, json, bytes, 0);
  } catch (error) {
    throw error instanceof ValueError
      ? einval(error.message, fieldPath(field, ...error.path))
      : error;
  }
  return bytes;
}

/** A name of the caller's, cut to a length that an error can show. */
const truncateStep = (name: string | number) =>
  typeof name === "string" ? name.slice(0, MAX_STEP) : name;

function prependStep(name: string | number, error: unknown): unknown {
  return error instanceof ValueError
    ? new ValueError(error.message, [truncateStep(name), ...error.path])
    : error;
}

function encodeAt(type: Type, json: Json, bytes: Buffer, at: number): void {
  if (type.kind === "array") encodeArray(type, json, bytes, at);
  else if (isRecord(type)) encodeRecord(type, json, bytes, at);
  else if (type.kind === "float") floatFromJson(type, json, bytes, at);
  else {
    storeInteger(bytes, at, type.size, integerFromJson(type, type.size * 8, json));
    const isNetworkOrder = type.kind === "int" && type.order === "network";
    if (isNetworkOrder) bytes.subarray(at, at + type.size).reverse();
  }
}

function encodeArray({ element, count }: ArrayType, json: Json, bytes: Buffer, at: number): void {
  const isText = element.kind === "char";
  if (isText && typeof json === "string") {
    encodeString(json, count, bytes, at);
    return;
  }
  if (!Array.isArray(json)) {
    throw new ValueError(`must be ${isText ? "a string or an array" : "an array"}, ${got(json)}`);
  }
  if (json.length !== count) {
    throw new ValueError(`must have ${count} elements, got ${json.length}`);
  }
  for (const [i, each] of json.entries()) {
    try {
      encodeAt(element, each, bytes, at + i * element.size);
    } catch (error) {
      throw prependStep(i, error);
    }
  }
}

function encodeString(text: string, maxBytes: number, bytes: Buffer, at: number): void {
  if (text.includes("\0")) {
    throw new ValueError("must have no NUL, which would end it: write an array of numbers");
  }
  if (!text.isWellFormed()) {
    throw new ValueError("must be well-formed Unicode, got half a surrogate pair");
  }
  const length = Buffer.byteLength(text);
  if (length > maxBytes) {
    throw new ValueError(`must have at most ${maxBytes} bytes, got ${length}`);
  }
  bytes.write(text, at, "utf8");
}

const MAX_LISTED = 8;

function listMembers(type: RecordType): string {
  const names = [...memberNames(type)];
  const more = names.length > MAX_LISTED ? ", ..." : "";
  return `${names.slice(0, MAX_LISTED).join(", ")}${more}`;
}

const memberNameSets = new WeakMap<RecordType, ReadonlySet<string>>();

function memberNamesOf(type: RecordType): ReadonlySet<string> {
  const names = memberNameSets.get(type) ?? new Set(memberNames(type));
  memberNameSets.set(type, names);
  return names;
}

function encodeRecord(type: RecordType, json: Json, bytes: Buffer, at: number): void {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ValueError(`must be an object, ${got(json)}`);
  }
  const names = memberNamesOf(type);
  const unknown = Object.keys(json).find((name) => !names.has(name));
  if (unknown !== undefined) {
    const detail = `unknown member, must be one of ${listMembers(type)}`;
    throw new ValueError(detail, [truncateStep(unknown)]);
  }
  encodeMembers(type, json, bytes, at);
}

function encodeMembers(type: RecordType, json: JsonObject, bytes: Buffer, at: number): void {
  for (const member of type.kind === "union" ? chooseMember(type, json) : type.members) {
    const place = at + member.offset;
    if (member.name !== "") encodeMember(member, json, bytes, place);
    else if (isRecord(member.type)) encodeMembers(member.type, json, bytes, place);
  }
}

function encodeMember(
  { name, type, bits }: RecordMember,
  json: JsonObject,
  bytes: Buffer,
  at: number,
): void {
  const given = Object.hasOwn(json, name) ? json[name] : undefined;
  if (given === undefined && type.kind === "struct" && type.lock) return;
  if (given === undefined) throw new ValueError(`member ${name} is missing`);
  try {
    if (!bits || !isInteger(type)) encodeAt(type, given, bytes, at);
    else storeBits(bytes, at, bits, integerFromJson(type, bits.width, given));
  } catch (error) {
    throw prependStep(name, error);
  }
}

const isGiven = (member: RecordMember, json: JsonObject): boolean =>
  member.name === "" && isRecord(member.type)
    ? member.type.members.some((inner) => isGiven(inner, json))
    : Object.hasOwn(json, member.name);

/** Returns the one member that is given; an empty list for a union without members. */
function chooseMember(type: RecordType, json: JsonObject): readonly RecordMember[] {
  const given = type.members.filter((member) => isGiven(member, json));
  if (given.length === 1 || type.members.length === 0) return given;
  throw new ValueError(
    `must have exactly one member of the union (${listMembers(type)}), got ${given.length}`,
  );
}
