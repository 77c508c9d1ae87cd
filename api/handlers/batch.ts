import {
  type Batch,
  type BatchRead,
  type BatchSize,
  LONG_BYTES,
} from "../../domain/commands/batch.ts";
import { Errno } from "../../domain/errno.ts";
import { enterAnswerRoom } from "../answer_room.ts";
import type { BatchBody } from "../codec/batch_elements.ts";
import { parseBytes } from "../codec/bytes.ts";
import { checkLength, infoOfMap, type ValueCodec } from "../codec/value_codec.ts";
import { STATUS } from "../errors/problem.ts";
import {
  type Handler,
  type HandlerRequest,
  type HandlerResponse,
  octetsOf,
  ok,
  pathNumber,
  query,
  type ServiceContext,
} from "../handler.ts";
import { codecOfBody, readBody } from "../long_body/read_body.ts";
import { writeBatch } from "../long_body/write_elements.ts";
import { OCTETS } from "../media_types.ts";

/** Batches of elements: in JSON, or as octets with each key followed by its value. */

const DEFAULT_COUNT = 100;

/** @param codec which writes the elements; undefined for octets. */
function toRead(request: HandlerRequest, body: BatchBody, codec?: ValueCodec): BatchRead {
  const { count = DEFAULT_COUNT, cursor, elem_flags = 0, flags = 0, end_as_success } = body;
  const from = cursor === undefined ? undefined : parseBytes(cursor, "cursor");
  const enterRoom = async (size: BatchSize) => enterAnswerRoom(request, codec, size);
  return { cursor: from, count, elem_flags, flags, end_as_success, enterRoom };
}

function octetResponse({ parts, count, cursor, failure, isEnd }: Batch): HandlerResponse {
  const headers: Record<string, string> = { "bpf-count": String(count) };
  if (cursor) headers["bpf-cursor"] = cursor.toString("hex");
  if (isEnd) headers["bpf-end"] = "true";
  if (failure) headers["bpf-errno"] = failure.code;
  const status = failure ? STATUS[failure.code] : 200;
  return { status, bytes: parts, type: OCTETS, headers };
}

async function jsonResponse(
  request: HandlerRequest,
  codec: ValueCodec,
  batch: Batch,
  isRemoved: boolean,
): Promise<HandlerResponse> {
  const { count, cursor, failure, isEnd } = batch;
  const read = await writeBatch(request, codec, batch, isRemoved);
  const extensions = { count, ...read, ...(cursor ? { cursor: cursor.toString("hex") } : {}) };
  if (failure) throw new Errno(failure.code, failure.message, { extensions });
  return ok({ ...extensions, ...(isEnd ? { end: true } : {}) });
}

const mapBatch: Handler = async (context, request) => {
  const { kernel } = context;
  const fd = pathNumber(request, "fd");
  const codec = await codecOfBody(context, request);
  const { write, ...body } = await readBody(request, "mapBatch", codec);
  if (write && body.op === "update") {
    return ok(await kernel.mapUpdateBatch(request.call, fd, write));
  }
  if (write) return ok(await kernel.mapDeleteBatch(request.call, fd, write));
  const range = toRead(request, body, codec);
  checkLength([codec, range.count]);
  const batch =
    body.op === "lookup"
      ? await kernel.mapLookupBatch(request.call, fd, range)
      : await kernel.mapLookupAndDeleteBatch(request.call, fd, range);
  return jsonResponse(request, codec, batch, body.op !== "lookup");
};

const mapBatchReadBytes: Handler = async ({ kernel }, request) => {
  const fd = pathNumber(request, "fd");
  const body = request.body as BatchBody;
  const range = toRead(request, body);
  const batch =
    body.op === "lookup"
      ? await kernel.mapLookupBatch(request.call, fd, range)
      : await kernel.mapLookupAndDeleteBatch(request.call, fd, range);
  return octetResponse(batch);
};

/** Elements in octets have the key size of the map, which only a batch of long ones needs to know. */
async function keySizeOf(context: ServiceContext, request: HandlerRequest, elementSize: number) {
  return elementSize > LONG_BYTES ? (await infoOfMap(context, request)).key_size : undefined;
}

const mapBatchWriteBytes: Handler = async (context, request) => {
  const { kernel } = context;
  const fd = pathNumber(request, "fd");
  const count = query<number>(request, "count");
  const elem_flags = query<number>(request, "elem_flags");
  const elements = octetsOf(request);
  const key_size = await keySizeOf(context, request, elements.length / Math.max(1, count));
  const batch = { elements, count, there: count, key_size, elem_flags };
  if (query(request, "op") === "update") {
    return ok(await kernel.mapUpdateBatch(request.call, fd, batch));
  }
  return ok(await kernel.mapDeleteBatch(request.call, fd, batch));
};

export const batches = { mapBatch, mapBatchReadBytes, mapBatchWriteBytes };
