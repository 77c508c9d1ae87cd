import { UNRECORDED } from "../../domain/bpf.ts";
import type { MapInfo } from "../../domain/commands/info.ts";
import { Errno, einval, type FieldPath, fieldPath } from "../../domain/errno.ts";
import { decode } from "../../domain/schema/decode.ts";
import { encode } from "../../domain/schema/encode.ts";
import { maxJsonLength } from "../../domain/schema/limits.ts";
import type { Json } from "../../domain/schema/scalar.ts";
import type { Type } from "../../domain/schema/type.ts";
import { type HandlerRequest, pathNumber, type ServiceContext } from "../handler.ts";
import { fdBytes, parseBytes } from "./bytes.ts";

/** Reads keys and values of requests and writes those of responses, in the form that `?format=` names. */

/** A value in a body: bytes as text, {fd} for a slot, or JSON by the map's schema. */
export type ValueBody = unknown;

/** Bytes of a key and of a value on all CPUs. */
export interface ElementSizes {
  key: number;
  value: number;
}

/** What a codec is made of; it can be sent to a thread. */
export type CodecSource =
  | { format: "hex" | "base64"; sizes?: ElementSizes | undefined }
  | { format: "json"; layout: ElementLayout };

export interface ValueCodec {
  source: CodecSource;
  /** Encoding of bytes in responses; undefined if they are JSON by the map's schema. */
  encoding?: "hex" | "base64";
  /** Reads a key of a path or query. */
  parseKey(text: string, field: FieldPath): Buffer;
  /** Reads a key of a body. */
  readKey(body: unknown, field: FieldPath): Buffer;
  readValue(body: ValueBody, field: FieldPath): Buffer;
  /** Reads a value of a query. */
  parseValue(text: string, field: FieldPath): Buffer;
  writeKey(key: Buffer): unknown;
  writeValue(value: Buffer): unknown;
  /** Characters that one element can have as JSON; 0 for bytes, whose text is as long as they are. */
  elementLength: number;
}

function isSlot(body: unknown): body is { fd: number } {
  if (typeof body !== "object" || body === null || Object.keys(body).join() !== "fd") return false;
  const { fd } = body as { fd: unknown };
  return typeof fd === "number" && Number.isInteger(fd) && fd >= 0 && fd < 2 ** 31;
}

/** Literals or plain hex; {fd} for a slot. @throws EINVAL */
function valueBytes(body: ValueBody, field: FieldPath, size?: number): Buffer {
  if (typeof body === "string") return parseBytes(body, field, size);
  if (!isSlot(body))
    throw einval("must be a string of bytes or {fd}; to send JSON use format=json", field);
  return fdBytes(body.fd);
}

function bytesOnly(body: unknown, field: FieldPath, size?: number): Buffer {
  if (typeof body !== "string") throw einval("must be a string of bytes", field);
  return parseBytes(body, field, size);
}

/** @param sizes with them, a text has at most as many literals as there must be bytes. */
function plain(encoding: "hex" | "base64", sizes?: ElementSizes): ValueCodec {
  const write = (bytes: Buffer) => bytes.toString(encoding);
  return {
    source: { format: encoding, sizes },
    encoding,
    parseKey: (text, field) => parseBytes(text, field, sizes?.key),
    readKey: (body, field) => bytesOnly(body, field, sizes?.key),
    parseValue: (text, field) => parseBytes(text, field, sizes?.value),
    readValue: (body, field) => valueBytes(body, field, sizes?.value),
    writeKey: write,
    writeValue: write,
    elementLength: 0,
  };
}

const CODECS = { hex: plain("hex"), base64: plain("base64") };
export const HEX_CODEC = CODECS.hex;

/** Characters that the elements of one JSON response can have. */
const JSON_MAX = 32 * 1024 * 1024;

/** @throws EFBIG if so many elements of each codec could take too much text. */
export function checkLength(...parts: [codec: ValueCodec, elements: number][]): void {
  const characters = parts.reduce((sum, [codec, count]) => sum + codec.elementLength * count, 0);
  if (characters <= JSON_MAX) return;
  const elements = parts.reduce((sum, [, count]) => sum + count, 0);
  const detail = `${elements} elements could take more than ${JSON_MAX} characters`;
  throw new Errno("EFBIG", `${detail}; request fewer or use format=hex`);
}

/** What the JSON of a map's elements depends on. */
export type ElementLayout = Pick<MapInfo, "value_size" | "cpus" | "schema">;

/** Bytes of one CPU's part of a value. */
const strideOf = (info: ElementLayout) => Math.ceil(info.value_size / 8) * 8;

function encodeValue(info: ElementLayout, type: Type, body: unknown, field: FieldPath): Buffer {
  const { cpus } = info;
  if (cpus === undefined) return encode(type, body as Json, field);
  if (!Array.isArray(body) || body.length !== cpus) {
    throw einval(`must be an array of ${cpus} values, one for each CPU`, field);
  }
  const bytes = Buffer.alloc(strideOf(info) * cpus);
  for (const [i, part] of body.entries()) {
    encode(type, part as Json, fieldPath(field, i)).copy(bytes, i * strideOf(info));
  }
  return bytes;
}

function decodeValue(info: ElementLayout, type: Type, value: Buffer): Json {
  if (info.cpus === undefined) return decode(type, value);
  const part = (i: number) => value.subarray(i * strideOf(info), i * strideOf(info) + type.size);
  return Array.from({ length: info.cpus }, (_, i) => decode(type, part(i)));
}

const HEX = /^[0-9a-fA-F]*$/;

/** The JSON in a text; undefined for a literal. */
function tryJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** A key or value without a type in the schema is written in hex. */
function jsonCodec({ value_size, cpus, schema }: ElementLayout): ValueCodec {
  const info = { value_size, cpus, schema } as ElementLayout;
  const { key, value } = schema ?? {};
  const { hex } = CODECS;
  return {
    source: { format: "json", layout: info },
    parseKey(text, field) {
      const json = key && tryJson(text);
      if (json !== undefined) return encode(key as Type, json, field);
      // Much hex is valid JSON too, so hex needs its prefix.
      if (key && HEX.test(text))
        throw einval("must be JSON or a literal; with format=json write hex as hex:...", field);
      return hex.parseKey(text, field);
    },
    readKey: (body, field) => (key ? encode(key, body as Json, field) : hex.readKey(body, field)),
    parseValue(text, field) {
      const json = value && tryJson(text);
      return json === undefined ? hex.parseValue(text, field) : this.readValue(json, field);
    },
    writeKey: (bytes) => (key ? decode(key, bytes) : hex.writeKey(bytes)),
    readValue: (body, field) =>
      value ? encodeValue(info, value, body, field) : hex.readValue(body, field),
    get elementLength() {
      const valueLength = value ? maxJsonLength(value) * (info.cpus ?? 1) : 0;
      return (key ? maxJsonLength(key) : 0) + valueLength;
    },
    writeValue: (bytes) => (value ? decodeValue(info, value, bytes) : hex.writeValue(bytes)),
  };
}

/** Gets the map's info first, as bpftool does. @throws EBADF, EINVAL */
export async function infoOfMap({ kernel }: ServiceContext, request: HandlerRequest) {
  const fd = pathNumber(request, "fd");
  const call = { ...request.call, ...UNRECORDED };
  const info = await kernel.objGetInfoByFd(call, fd).catch((error: Error) => {
    const isClosed = error instanceof Errno && error.code === "EBADFD";
    throw isClosed ? new Errno("EBADF", error.message) : error;
  });
  if (info.kind !== "map") throw new Errno("EINVAL", `fd ${fd} is a ${info.kind}, not a map`);
  return info;
}

/** The codec of bytes that knows their sizes. @throws EBADF, EINVAL */
export async function sizedCodecOf(
  context: ServiceContext,
  request: HandlerRequest,
  format: keyof typeof CODECS,
): Promise<ValueCodec> {
  const info = await infoOfMap(context, request);
  const value = info.cpus === undefined ? info.value_size : strideOf(info) * info.cpus;
  return plain(format, { key: info.key_size, value });
}

async function codecOfMap(
  context: ServiceContext,
  request: HandlerRequest,
  needsSchema: boolean,
): Promise<ValueCodec> {
  const info = await infoOfMap(context, request);
  if (needsSchema && !info.schema) {
    throw einval(`map ${info.id} has no schema; use hex or base64`, "format");
  }
  return jsonCodec(info);
}

/** The format of elements in responses, as `?format=` names it. */
export type ElementFormat = keyof typeof CODECS | "json";

export function formatOf({ query }: HandlerRequest): ElementFormat {
  const { format = "hex" } = query as { format?: ElementFormat };
  return format;
}

export function codecFrom(source: CodecSource): ValueCodec {
  if (source.format === "json") return jsonCodec(source.layout);
  return source.sizes ? plain(source.format, source.sizes) : CODECS[source.format];
}

/** The codec of a map in a map of maps, which is in hex where it has no schema. */
export function codecOfInner(format: ElementFormat, inner: ElementLayout): ValueCodec {
  return format === "json" ? jsonCodec(inner) : CODECS[format];
}

/**
 * The codec of a request; JSON needs the map's schema, which takes a command of its own.
 *
 * @param needsSchema false for a map of maps whose inner maps have the schemas.
 */
export function codecOf(
  context: ServiceContext,
  request: HandlerRequest,
  needsSchema = true,
): ValueCodec | Promise<ValueCodec> {
  const format = formatOf(request);
  if (format !== "json") return CODECS[format];
  return codecOfMap(context, request, needsSchema);
}

/** Writes {id} for the object in a slot, else the value. */
export function writeValue(codec: ValueCodec, value: Buffer, isId: boolean): unknown {
  return isId ? { id: value.readUInt32LE() } : codec.writeValue(value);
}
