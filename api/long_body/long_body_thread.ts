import { toBuffer } from "../../domain/bytes.ts";
import { HandedOver } from "../../domain/threads/serve_requests.ts";
import { type Columns, type PackedElements, writeColumns } from "../codec/element_text.ts";
import { readJson } from "../codec/json.ts";
import { type CodecSource, codecFrom } from "../codec/value_codec.ts";
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

export type LongBodyRequest =
  | (SentBody & { step: "check" })
  | (SentBody & { step: "read"; reader: ReaderName; codec: CodecSource })
  | { step: "write"; packed: PackedElements; codec: CodecSource };

export type LongBodyReply =
  | { invalid: { pointer: string; detail: string } }
  /** The body, or what the reader has made of it. */
  | { body: unknown }
  /** The body is valid, and a reader will read it. */
  | { isValid: true }
  /** The JSON of both arrays. */
  | Columns<Uint8Array>;

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

const textOf = (column: unknown[]) => Buffer.from(JSON.stringify(column));

/** The thread keeps nothing of the texts, so that they are not copied. */
function write(packed: PackedElements, codec: CodecSource): HandedOver<Columns<Uint8Array>> {
  const elements = toBuffer(packed.elements);
  const columns = writeColumns(codecFrom(codec), { ...packed, elements });
  return new HandedOver({ keys: textOf(columns.keys), values: textOf(columns.values) });
}

export async function handleRequest(
  request: LongBodyRequest,
): Promise<LongBodyReply | HandedOver<LongBodyReply>> {
  try {
    if (request.step === "write") return write(request.packed, request.codec);
    if (request.step === "check") return check(request);
    const body = take(request);
    return { body: await READERS[request.reader](body as never, codecFrom(request.codec)) };
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error;
    return { invalid: { pointer: error.pointer, detail: error.message } };
  }
}
