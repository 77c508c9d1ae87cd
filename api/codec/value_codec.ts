import type { Call, Kernel } from "../../domain/bpf.ts";
import type { MapInfo } from "../../domain/commands/info.ts";
import { Errno, einval, type FieldPath, fieldPath } from "../../domain/errno.ts";
import { decode } from "../../domain/schema/decode.ts";
import { encode } from "../../domain/schema/encode.ts";
import { maxJsonLength } from "../../domain/schema/limits.ts";
import type { Json } from "../../domain/schema/scalar.ts";
import type { Type } from "../../domain/schema/type.ts";
import { type HandlerRequest, pathNumber, type ServiceContext } from "../handler.ts";
import { fdBytes, parseBytes } from "./bytes.ts";

/** How keys and values are written in requests and answers: `?format=` names the form of answers. */

/** A value in a body: bytes as text, the fd of an object for a slot, or JSON by the map's schema. */
export type ValueBody = unknown;

export interface ValueForm {
  /** Of bytes in answers; undefined where they are JSON by the map's schema. */
  encoding?: "hex" | "base64";
  /** A key in a path or query. */
  key(text: string, field: FieldPath): Buffer;
  /** A key in a body. */
  keyBody(body: unknown, field: FieldPath): Buffer;
  value(body: ValueBody, field: FieldPath): Buffer;
  /** A value in a query. */
  valueText(text: string, field: FieldPath): Buffer;
  showKey(key: Buffer): unknown;
  showValue(value: Buffer): unknown;
  /** @throws EFBIG when as many elements could take too much text. */
  checkRoom(elements: number): void;
}

function isSlot(body: unknown): body is { fd: number } {
  if (typeof body !== "object" || body === null || Object.keys(body).join() !== "fd") return false;
  const { fd } = body as { fd: unknown };
  return typeof fd === "number" && Number.isInteger(fd) && fd >= 0 && fd < 2 ** 31;
}

/** Literals or plain hex; {fd} for a slot. @throws EINVAL */
export function valueBytes(body: ValueBody, field: FieldPath): Buffer {
  if (typeof body === "string") return parseBytes(body, field);
  if (!isSlot(body))
    throw einval("a string of bytes or {fd} is wanted; JSON goes with format=json", field);
  return fdBytes(body.fd);
}

function bytesOnly(body: unknown, field: FieldPath): Buffer {
  if (typeof body !== "string") throw einval("a string of bytes is wanted", field);
  return parseBytes(body, field);
}

function plain(encoding: "hex" | "base64"): ValueForm {
  const show = (bytes: Buffer) => bytes.toString(encoding);
  const checkRoom = () => {};
  const texts = { checkRoom, key: parseBytes, keyBody: bytesOnly, valueText: parseBytes };
  return { encoding, ...texts, value: valueBytes, showKey: show, showValue: show };
}

const FORMS = { hex: plain("hex"), base64: plain("base64") };

/** Characters that one answer in JSON may have. */
const JSON_MAX = 32 * 1024 * 1024;

/** Bytes of one CPU's part of a value. */
const strideOf = (info: MapInfo) => Math.ceil(info.value_size / 8) * 8;

function encodeValue(info: MapInfo, type: Type, body: unknown, field: FieldPath): Buffer {
  const { cpus } = info;
  if (cpus === undefined) return encode(type, body as Json, field);
  if (!Array.isArray(body) || body.length !== cpus) {
    throw einval(`an array of ${cpus} values is wanted, one for each CPU`, field);
  }
  const bytes = Buffer.alloc(strideOf(info) * cpus);
  for (const [i, part] of body.entries()) {
    encode(type, part as Json, fieldPath(field, i)).copy(bytes, i * strideOf(info));
  }
  return bytes;
}

function decodeValue(info: MapInfo, type: Type, value: Buffer): Json {
  if (info.cpus === undefined) return decode(type, value);
  const part = (i: number) => value.subarray(i * strideOf(info), i * strideOf(info) + type.size);
  return Array.from({ length: info.cpus }, (_, i) => decode(type, part(i)));
}

const HEX = /^[0-9a-fA-F]*$/;

/** What the text says in JSON; undefined when it is none, and a literal then. */
function jsonIn(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** What the schema leaves out is as with hex. */
function jsonForm(info: MapInfo): ValueForm {
  const { key, value } = info.schema ?? {};
  const { hex } = FORMS;
  return {
    key(text, field) {
      const json = key && jsonIn(text);
      if (json !== undefined) return encode(key as Type, json, field);
      // Half of all hex is JSON, too.
      if (key && HEX.test(text)) throw einval("with format=json hex is written hex:...", field);
      return hex.key(text, field);
    },
    keyBody: (body, field) => (key ? encode(key, body as Json, field) : hex.keyBody(body, field)),
    valueText(text, field) {
      const json = value && jsonIn(text);
      return json === undefined ? hex.valueText(text, field) : this.value(json, field);
    },
    showKey: (bytes) => (key ? decode(key, bytes) : hex.showKey(bytes)),
    value: (body, field) =>
      value ? encodeValue(info, value, body, field) : hex.value(body, field),
    checkRoom(elements) {
      const parts =
        (key ? maxJsonLength(key) : 0) + (value ? maxJsonLength(value) * (info.cpus ?? 1) : 0);
      if (elements * parts <= JSON_MAX) return;
      throw new Errno("EFBIG", `${elements} elements may have more than ${JSON_MAX} characters`);
    },
    showValue: (bytes) => (value ? decodeValue(info, value, bytes) : hex.showValue(bytes)),
  };
}

/** As bpftool does it: the map's info first. @throws EBADF, EINVAL */
async function formOfMap(kernel: Kernel, call: Call, fd: number): Promise<ValueForm> {
  const info = await kernel.objGetInfoByFd(call, fd).catch((error: Error) => {
    const closed = error instanceof Errno && error.code === "EBADFD";
    throw closed ? new Errno("EBADF", error.message) : error;
  });
  if (info.kind !== "map") throw new Errno("EINVAL", `fd ${fd} is a ${info.kind}, not a map`);
  if (!info.schema) throw einval(`map ${info.id} has no schema`, "format");
  return jsonForm(info);
}

/** The form of answers: for JSON the map's schema tells it, which is a command of its own. */
export function formOf(
  { kernel }: ServiceContext,
  request: HandlerRequest,
): ValueForm | Promise<ValueForm> {
  const { format = "hex" } = request.query as { format?: keyof typeof FORMS | "json" };
  if (format !== "json") return FORMS[format];
  return formOfMap(kernel, request.call, pathNumber(request, "fd"));
}

/** {id} for what is in a slot of an array of objects. */
export function shown(form: ValueForm, value: Buffer, isId: boolean): unknown {
  return isId ? { id: value.readUInt32LE() } : form.showValue(value);
}
