import type { Batch, BatchRead, BatchWrite } from "../../domain/commands/batch.ts";
import { Errno, einval } from "../../domain/errno.ts";
import { parseBytes } from "../codec/bytes.ts";
import {
  checkLength,
  codecOf,
  type ValueBody,
  type ValueCodec,
  writeValue,
} from "../codec/value_codec.ts";
import { STATUS } from "../errors/problem.ts";
import { type Handler, type HandlerResponse, octetsOf, ok, pathNumber, query } from "../handler.ts";
import { OCTETS } from "../media_types.ts";

/** Batches of elements: in JSON, or as octets with each key followed by its value. */

interface BatchBody {
  op: "lookup" | "lookup_and_delete" | "update" | "delete";
  keys?: unknown[];
  values?: ValueBody[];
  count?: number;
  cursor?: string;
  elem_flags?: number;
  flags?: number;
  end_as_success?: boolean;
}

const DEFAULT_COUNT = 100;

/** @throws EINVAL if one item differs from the first in length. */
function checkLengths(list: Buffer[], field: string): Buffer[] {
  const size = list[0]?.length;
  const other = list.findIndex(({ length }) => length !== size);
  if (other < 0) return list;
  throw einval(`must have ${size} bytes like the first, got ${list[other]?.length}`, [
    field,
    other,
  ]);
}

function toRead({
  count = DEFAULT_COUNT,
  cursor,
  elem_flags = 0,
  flags = 0,
  end_as_success,
}: BatchBody): BatchRead {
  const from = cursor === undefined ? undefined : parseBytes(cursor, "cursor");
  return { cursor: from, count, elem_flags, flags, end_as_success };
}

const haveOneLength = (list: unknown[]): list is string[] => {
  const size = String(list[0]).length;
  return size % 2 === 0 && list.every((text) => typeof text === "string" && text.length === size);
};

/** Decodes plain hex of one length at once, which is what big batches are; undefined for anything else. */
function decodeHex(keys: unknown[], values: ValueBody[]): [Buffer, number] | undefined {
  if (!haveOneLength(keys) || (values.length > 0 && !haveOneLength(values))) return undefined;
  const text = values.length > 0 ? keys.map((key, i) => key + values[i]).join("") : keys.join("");
  if (/[^0-9a-fA-F]/.test(text)) return undefined;
  return [Buffer.from(text, "hex"), (keys[0] as string).length / 2];
}

/** Decodes one by one, so that an error names the item. */
function decodeEach(
  codec: ValueCodec,
  keys: unknown[],
  values: ValueBody[],
): [Buffer, number | undefined] {
  const parts = checkLengths(
    keys.map((key, i) => codec.readKey(key, ["keys", i])),
    "keys",
  );
  const bytes = checkLengths(
    values.map((value, i) => codec.readValue(value, ["values", i])),
    "values",
  );
  const pairs = bytes.length > 0 ? parts.flatMap((key, i) => [key, bytes[i] as Buffer]) : parts;
  return [Buffer.concat(pairs), parts[0]?.length];
}

function toWrite(codec: ValueCodec, body: BatchBody): BatchWrite {
  const { op, elem_flags = 0 } = body;
  const [allKeys, allValues] = [body.keys ?? [], body.values ?? []];
  const count = body.count ?? allKeys.length;
  const pairs = op === "update" ? Math.min(allKeys.length, allValues.length) : allKeys.length;
  const there = Math.min(count, pairs);
  const keys = allKeys.slice(0, there);
  const values = op === "update" ? allValues.slice(0, there) : [];
  const [elements, key_size] =
    (codec.encoding && decodeHex(keys, values)) || decodeEach(codec, keys, values);
  return { elements, count, there, key_size, elem_flags };
}

function octetResponse({ elements, count, cursor, failure, isEnd }: Batch): HandlerResponse {
  const headers: Record<string, string> = { "bpf-count": String(count) };
  if (cursor) headers["bpf-cursor"] = cursor.toString("hex");
  if (isEnd) headers["bpf-end"] = "true";
  if (failure) headers["bpf-errno"] = failure.code;
  const status = failure ? STATUS[failure.code] : 200;
  return { status, bytes: elements, type: OCTETS, headers };
}

function writeHex({ elements, key_size }: Batch, size: number) {
  const text = elements.toString("hex");
  const keys: string[] = [];
  const values: string[] = [];
  for (let at = 0; at < text.length; at += 2 * size) {
    keys.push(text.slice(at, at + 2 * key_size));
    values.push(text.slice(at + 2 * key_size, at + 2 * size));
  }
  return { keys, values };
}

function writeEach(codec: ValueCodec, { elements, key_size, ids }: Batch, size: number) {
  const keys: unknown[] = [];
  const values: unknown[] = [];
  for (let at = 0; at < elements.length; at += size) {
    keys.push(codec.writeKey(elements.subarray(at, at + key_size)));
    values.push(writeValue(codec, elements.subarray(at + key_size, at + size), ids));
  }
  return { keys, values };
}

function jsonResponse(codec: ValueCodec, batch: Batch): HandlerResponse {
  const { elements, count, cursor, ids, failure, isEnd } = batch;
  const size = count > 0 ? elements.length / count : 0;
  const isPlain = codec.encoding === "hex" && !ids;
  const read = isPlain ? writeHex(batch, size) : writeEach(codec, batch, size);
  const extensions = { count, ...read, ...(cursor ? { cursor: cursor.toString("hex") } : {}) };
  if (failure) throw new Errno(failure.code, failure.message, { extensions });
  return ok({ ...extensions, ...(isEnd ? { end: true } : {}) });
}

const mapBatch: Handler = async (context, request) => {
  const { kernel } = context;
  const fd = pathNumber(request, "fd");
  const body = request.body as BatchBody;
  const codec = await codecOf(context, request);
  if (body.op === "update") {
    return ok(await kernel.mapUpdateBatch(request.call, fd, toWrite(codec, body)));
  }
  if (body.op === "delete") {
    return ok(await kernel.mapDeleteBatch(request.call, fd, toWrite(codec, body)));
  }
  const range = toRead(body);
  checkLength([codec, range.count]);
  const batch =
    body.op === "lookup"
      ? await kernel.mapLookupBatch(request.call, fd, range)
      : await kernel.mapLookupAndDeleteBatch(request.call, fd, range);
  return jsonResponse(codec, batch);
};

const mapBatchReadBytes: Handler = async ({ kernel }, request) => {
  const fd = pathNumber(request, "fd");
  const body = request.body as BatchBody;
  const range = toRead(body);
  const batch =
    body.op === "lookup"
      ? await kernel.mapLookupBatch(request.call, fd, range)
      : await kernel.mapLookupAndDeleteBatch(request.call, fd, range);
  return octetResponse(batch);
};

const mapBatchWriteBytes: Handler = async ({ kernel }, request) => {
  const fd = pathNumber(request, "fd");
  const count = query<number>(request, "count");
  const elem_flags = query<number>(request, "elem_flags");
  const elements = octetsOf(request);
  const batch = { elements, count, there: count, key_size: undefined, elem_flags };
  if (query(request, "op") === "update") {
    return ok(await kernel.mapUpdateBatch(request.call, fd, batch));
  }
  return ok(await kernel.mapDeleteBatch(request.call, fd, batch));
};

export const batches = { mapBatch, mapBatchReadBytes, mapBatchWriteBytes };
