import { type Enum, type Float, type Integer, jsonInteger } from "./type.ts";

/** Integers, enums, booleans and floats: their bits and their JSON. */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** A value does not fit its type. The callers add the steps of its path. */
export class ValueError extends Error {
  readonly path: readonly (string | number)[];

  constructor(detail: string, path: readonly (string | number)[] = []) {
    super(detail);
    this.path = path;
  }
}

const MAX_SHOWN = 60;
/** Constants of an enum that an error lists. */
const MAX_LISTED = 8;

/** Returns "got 5", "got an object": the end of an error. */
export function got(json: Json): string {
  if (Array.isArray(json)) return `got an array of ${json.length}`;
  if (typeof json === "object" && json !== null) return "got an object";
  if (typeof json !== "string" || json.length <= MAX_SHOWN) return `got ${JSON.stringify(json)}`;
  return `got a string of ${json.length} characters`;
}

type ScalarRange = readonly [low: number | bigint, high: number | bigint];

function rangeOf(width: number, signed: boolean): ScalarRange {
  const limit = 2n ** BigInt(width);
  const [low, high] = signed ? [-limit / 2n, limit / 2n - 1n] : [0n, limit - 1n];
  return width <= 32 ? [Number(low), Number(high)] : [low, high];
}

/** The values of each width in bits. */
const RANGES = {
  signed: Array.from({ length: 129 }, (_, width) => rangeOf(width, true)),
  unsigned: Array.from({ length: 129 }, (_, width) => rangeOf(width, false)),
};

/** 2^128 has 39 digits; parsing longer strings would only cost time. */
const DECIMAL = /^-?(?:0|[1-9]\d{0,39})$/;
const HEX = /^0x[0-9a-fA-F]{1,32}$/;

export function loadInteger(
  bytes: Buffer,
  at: number,
  size: number,
  signed: boolean,
): number | bigint {
  if (size <= 4) return signed ? bytes.readIntLE(at, size) : bytes.readUIntLE(at, size);
  const high = at + size - 8;
  const top = signed ? bytes.readBigInt64LE(high) : bytes.readBigUInt64LE(high);
  return size === 8 ? top : (top << 64n) | bytes.readBigUInt64LE(at);
}

export function storeInteger(
  bytes: Buffer,
  at: number,
  size: number,
  value: number | bigint,
): void {
  if (size <= 4) {
    if (value < 0) bytes.writeIntLE(Number(value), at, size);
    else bytes.writeUIntLE(Number(value), at, size);
    return;
  }
  const raw = BigInt(value);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, raw), at);
  if (size === 16) bytes.writeBigUInt64LE(BigInt.asUintN(64, raw >> 64n), at + 8);
}

interface Bits {
  readonly shift: number;
  readonly width: number;
}

const bitsByteCount = ({ shift, width }: Bits): number => Math.ceil((shift + width) / 8);

export function loadBits(bytes: Buffer, at: number, bits: Bits, signed: boolean): bigint {
  let raw = 0n;
  for (let i = bitsByteCount(bits) - 1; i >= 0; i--)
    raw = (raw << 8n) | BigInt(bytes.readUInt8(at + i));
  raw >>= BigInt(bits.shift);
  return signed ? BigInt.asIntN(bits.width, raw) : BigInt.asUintN(bits.width, raw);
}

/** The bits must be zero before: encode() writes each value once into new bytes. */
export function storeBits(bytes: Buffer, at: number, bits: Bits, value: number | bigint): void {
  let raw = BigInt.asUintN(bits.width, BigInt(value)) << BigInt(bits.shift);
  for (let i = 0; i < bitsByteCount(bits); i++) {
    bytes.writeUInt8(bytes.readUInt8(at + i) | Number(raw & 0xffn), at + i);
    raw >>= 8n;
  }
}

interface BitConstants {
  readonly byName: ReadonlyMap<string, bigint>;
  readonly byValue: ReadonlyMap<bigint, string>;
}

const tables = new WeakMap<Enum, BitConstants>();

/** The first of two names for a value is decoded. */
function constantTable(type: Enum): BitConstants {
  const cached = tables.get(type);
  if (cached) return cached;
  const pairs = type.constants.map(([name, value]) => [name, BigInt(value)] as const);
  const byValue = new Map(pairs.toReversed().map(([name, value]) => [value, name]));
  const table = { byName: new Map(pairs), byValue };
  tables.set(type, table);
  return table;
}

export function scalarToJson(type: Integer | Enum, value: number | bigint): Json {
  if (type.kind === "bool" && value <= 1) return value > 0;
  const name = type.kind === "enum" ? constantTable(type).byValue.get(BigInt(value)) : undefined;
  return name ?? jsonInteger(value);
}

function parseInteger(json: Json): number | bigint {
  if (typeof json === "string" && (DECIMAL.test(json) || HEX.test(json))) return BigInt(json);
  if (typeof json !== "number")
    throw new ValueError(`must be a number, a decimal string or a 0x string, ${got(json)}`);
  if (!Number.isInteger(json)) throw new ValueError(`must be an integer, ${got(json)}`);
  if (Number.isSafeInteger(json)) return json;
  throw new ValueError("must be a string, because JSON has no exact numbers beyond 2^53 - 1");
}

function parseScalar(type: Integer | Enum, json: Json): number | bigint {
  if (type.kind === "bool" && typeof json === "boolean") return Number(json);
  if (type.kind !== "enum" || typeof json !== "string") return parseInteger(json);
  const value = constantTable(type).byName.get(json);
  if (value !== undefined || /^[-\d]/.test(json)) return value ?? parseInteger(json);
  const names = type.constants.slice(0, MAX_LISTED).map(([name]) => name);
  const more = type.constants.length > MAX_LISTED ? ", ..." : "";
  throw new ValueError(`must be a constant of the enum (${names.join(", ")}${more}), ${got(json)}`);
}

const outOfRange = (low: number | bigint, high: number | bigint, value: number | bigint) =>
  new ValueError(`must be an integer from ${low} to ${high}, got ${value}`);

/** Returns the number to store in `width` bits. @throws ValueError */
export function integerFromJson(type: Integer | Enum, width: number, json: Json): number | bigint {
  const value = parseScalar(type, json);
  const [low, high] = RANGES[type.signed ? "signed" : "unsigned"][width] ?? [0, 0];
  if (value < low || value > high) throw outOfRange(low, high, value);
  return value;
}

/** JSON has no infinities, NaN and negative zero: they are decoded to their bits in hex. */
export function floatToJson(type: Float, bytes: Buffer, at: number): Json {
  const value = type.size === 4 ? bytes.readFloatLE(at) : bytes.readDoubleLE(at);
  if (Number.isFinite(value) && !Object.is(value, -0)) return value;
  return `0x${loadInteger(bytes, at, type.size, false).toString(16)}`;
}

export function floatFromJson(type: Float, json: Json, bytes: Buffer, at: number): void {
  if (typeof json === "string" && HEX.test(json)) {
    const bits = BigInt(json);
    if (BigInt.asUintN(type.size * 8, bits) !== bits) {
      throw new ValueError(`must be at most ${type.size * 2} hex digits, ${got(json)}`);
    }
    storeInteger(bytes, at, type.size, bits);
    return;
  }
  if (typeof json !== "number") {
    throw new ValueError(`must be a number or its bits as a 0x string, ${got(json)}`);
  }
  if (type.size === 8) bytes.writeDoubleLE(json, at);
  else if (Number.isFinite(Math.fround(json))) bytes.writeFloatLE(json, at);
  else throw new ValueError(`must fit into a float, ${got(json)}`);
}
