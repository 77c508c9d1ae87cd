import type { Batch } from "../../domain/commands/batch.ts";
import type { ElementPage } from "../../domain/commands/elem.ts";
import { Unavailable } from "../../domain/errno.ts";
import { type Columns, type PackedElements, writeColumns } from "../codec/element_text.ts";
import { type ValueCodec, writeValue } from "../codec/value_codec.ts";
import type { HandlerRequest } from "../handler.ts";
import { JsonText } from "../json_text.ts";
import { writeInThread } from "./long_body.ts";

/** Writes keys and values into answers; a thread writes those that would hold the event loop. */

/** Bytes of elements that are written in a few ms, also by a schema. */
const MAX_BYTES = 64 * 1024;

/**
 * A text, or the values themselves where no thread is free: what a command has removed must not be
 * lost for that.
 */
async function columnsOf(
  request: HandlerRequest,
  codec: ValueCodec,
  packed: PackedElements,
): Promise<Columns<JsonText | unknown[]>> {
  try {
    const owner = { namespace: request.call.namespace };
    const { keys, values } = await writeInThread(owner, codec.source, packed);
    return { keys: new JsonText([keys]), values: new JsonText([values]) };
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return writeColumns(codec, packed);
  }
}

/** The keys and the values of a batch. */
export async function writeBatch(
  request: HandlerRequest,
  codec: ValueCodec,
  batch: Batch,
): Promise<Columns<JsonText | unknown[]>> {
  if (batch.elements.length <= MAX_BYTES) return writeColumns(codec, batch);
  return columnsOf(request, codec, batch);
}

/** One value, or {id} for the object in a slot. */
export async function writeOne(
  request: HandlerRequest,
  codec: ValueCodec,
  value: Buffer,
  ids = false,
): Promise<unknown> {
  if (value.length <= MAX_BYTES) return writeValue(codec, value, ids);
  const packed = { elements: value, key_size: 0, count: 1, ids };
  const { values } = await columnsOf(request, codec, packed);
  if (Array.isArray(values)) return values[0];
  return new JsonText(values.pieces.map((text) => text.subarray(1, -1)));
}

/** The elements of a page, each with its key; their values have one size. */
export async function writePage(
  request: HandlerRequest,
  codec: ValueCodec,
  { elements, ids }: Pick<ElementPage, "elements" | "ids">,
): Promise<{ key: unknown; value: unknown }[]> {
  if ((elements[0]?.value.length ?? 0) <= MAX_BYTES) {
    return elements.map(({ key, value }) => ({
      key: codec.writeKey(key),
      value: writeValue(codec, value, ids),
    }));
  }
  const written: { key: unknown; value: unknown }[] = [];
  for (const { key, value } of elements) {
    written.push({ key: codec.writeKey(key), value: await writeOne(request, codec, value, ids) });
  }
  return written;
}
