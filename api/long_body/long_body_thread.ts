import { toBuffer } from "../../domain/bytes.ts";
import { HandedOver } from "../../domain/threads/serve_requests.ts";
import { type PackedElements, toRows, writePart } from "../codec/element_text.ts";
import { readJson } from "../codec/json.ts";
import { type CodecSource, codecFrom, writeValue } from "../codec/value_codec.ts";
import { InvalidRequest } from "../errors/error_to_problem.ts";
import { document, type Route } from "../openapi/openapi.ts";
import { createSchemas } from "../openapi/schemas.ts";
import { bodyMismatch } from "../openapi/validation_messages.ts";
import { READERS, type ReaderName } from "./readers.ts";

/** The thread's side of LongBody. */

interface SentBody {
  octets: Uint8Array;
  method: Route["method"];
  path: string;
}

/** Elements to write: as two arrays, as one of objects with key and value, or the value of the only one. */
export interface WriteRequest {
  form: "columns" | "rows" | "value";
  packed: PackedElements;
  codec: CodecSource;
}

export type LongBodyRequest =
  | (SentBody & { step: "check" })
  | (SentBody & { step: "read"; reader: ReaderName; codec: CodecSource })
  | (WriteRequest & { step: "write" });

export type LongBodyReply =
  | { invalid: { pointer: string; detail: string } }
  /** The body, or what the reader has made of it. */
  | { body: unknown }
  /** The body is valid, and a reader will read it. */
  | { isValid: true }
  /** JSON in pieces, because together they may be tens of MB. */
  | { texts: Uint8Array[][] };

const schemas = createSchemas();

/** @throws InvalidRequest */
function parse({ octets, method, path }: SentBody): unknown {
  const body = readJson(toBuffer(octets));
  const mismatch = bodyMismatch(schemas, { method, path }, body);
  if (mismatch) throw new InvalidRequest(mismatch.path, mismatch.message);
  return body;
}

/** The checked body whose reader is called next, by most threads. */
let checked: { octets: Uint8Array; body: unknown } | undefined;

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function check(request: SentBody): LongBodyReply {
  const body = parse(request);
  const { operationId = "" } = document.paths[request.path]?.[request.method] ?? {};
  if (!Object.hasOwn(READERS, operationId)) return { body };
  checked = { octets: request.octets, body };
  return { isValid: true };
}

function take(request: SentBody): unknown {
  const known = checked;
  checked = undefined;
  return known && isSame(known.octets, request.octets) ? known.body : parse(request);
}

/** The text of an array, in pieces for the lists whose items it has. */
function arrayText(lists: readonly unknown[][]): Uint8Array[] {
  const pieces = lists
    .filter(({ length }) => length > 0)
    .map((list, i) => Buffer.from((i === 0 ? "[" : ",") + JSON.stringify(list).slice(1, -1)));
  return pieces.length === 0 ? [Buffer.from("[]")] : [...pieces, Buffer.from("]")];
}

function textsOf({ form, packed, codec: source }: WriteRequest): Uint8Array[][] {
  const codec = codecFrom(source);
  const parts = packed.parts.map(toBuffer);
  if (form === "value") {
    const value = writeValue(codec, parts[0] ?? Buffer.alloc(0), packed.ids);
    return [[Buffer.from(JSON.stringify(value))]];
  }
  const columns = parts.map((part) => writePart(codec, part, packed));
  if (form === "rows") return [arrayText(columns.map(toRows))];
  return [
    arrayText(columns.map(({ keys }) => keys)),
    arrayText(columns.map(({ values }) => values)),
  ];
}

export async function handleRequest(
  request: LongBodyRequest,
): Promise<LongBodyReply | HandedOver<LongBodyReply>> {
  try {
    if (request.step === "write") return new HandedOver({ texts: textsOf(request) });
    if (request.step === "check") return check(request);
    const body = take(request);
    const read = await READERS[request.reader](body as never, codecFrom(request.codec));
    return new HandedOver({ body: read });
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    return { invalid: { pointer: error.pointer, detail: error.message } };
  }
}
