import { joinShared } from "../../domain/bytes.ts";
import type { Batch } from "../../domain/commands/batch.ts";
import type { ElementPage } from "../../domain/commands/elem.ts";
import { Unavailable } from "../../domain/errno.ts";
import {
  type Columns,
  type ElementRow,
  type PackedElements,
  writeColumns,
} from "../codec/element_text.ts";
import { type ValueCodec, writeValue } from "../codec/value_codec.ts";
import type { HandlerRequest } from "../handler.ts";
import { JsonText } from "../json_text.ts";
import { writeInThread } from "./long_body.ts";

/** Writes keys and values into answers; a thread writes those that would hold the event loop. */

/** Characters that the event loop writes in a few ms, also by a schema. */
export const MAX_TEXT = 128 * 1024;

const NO_KEY = Buffer.alloc(0);

/** The most characters that so many bytes and elements take. */
function textLength(codec: ValueCodec, bytes: number, elements: number): number {
  return 2 * bytes + codec.elementLength * elements;
}

interface ThreadText {
  form: "columns" | "rows" | "value";
  packed: PackedElements;
  /** The command has removed what it answers, which must not be lost where no thread is free. */
  isRemoved?: boolean;
}

/**
 * Texts that a thread writes; undefined if none is free for what has been removed.
 *
 * @throws Unavailable if none is free for what has only been read.
 */
async function textsOf(
  request: HandlerRequest,
  codec: ValueCodec,
  { form, packed, isRemoved = false }: ThreadText,
): Promise<JsonText[] | undefined> {
  try {
    const owner = { namespace: request.call.namespace };
    const texts = await writeInThread(owner, { codec: codec.source, form, packed });
    return texts.map((pieces) => new JsonText(pieces));
  } catch (error) {
    if (!(isRemoved && error instanceof Unavailable)) throw error;
    return undefined;
  }
}

/** The keys and the values of a batch. @param isRemoved from the map. */
export async function writeBatch(
  request: HandlerRequest,
  codec: ValueCodec,
  batch: Batch,
  isRemoved: boolean,
): Promise<Columns<unknown>> {
  const { parts, size, count, key_size, ids } = batch;
  const packed = { parts, key_size, ids, element_size: count > 0 ? size / count : 0 };
  if (textLength(codec, size, count) > MAX_TEXT) {
    const text = { form: "columns", packed, isRemoved } as const;
    const [keys, values] = (await textsOf(request, codec, text)) ?? [];
    if (keys && values) return { keys, values };
  }
  return writeColumns(codec, packed);
}

export interface WriteOptions {
  /** The value is the id of the object in a slot. */
  ids?: boolean;
  /** The command has removed the value from the map. */
  isRemoved?: boolean;
}

/** One value, or {id} for the object in a slot. */
export async function writeOne(
  request: HandlerRequest,
  codec: ValueCodec,
  value: Buffer,
  { ids = false, isRemoved = false }: WriteOptions = {},
): Promise<unknown> {
  if (textLength(codec, value.length, 1) > MAX_TEXT) {
    const packed = { parts: [value], element_size: value.length, key_size: 0, ids };
    const [text] = (await textsOf(request, codec, { form: "value", packed, isRemoved })) ?? [];
    if (text) return text;
  }
  return writeValue(codec, value, ids);
}

type PageElements = ElementPage["elements"];

export function elementSizes([first]: PageElements): { key_size: number; element_size: number } {
  const { key, value } = first ?? { key: NO_KEY, value: NO_KEY };
  return { key_size: key.length, element_size: key.length + value.length };
}

/** The most characters that the elements of a page take. */
export function pageLength(codec: ValueCodec, elements: PageElements): number {
  return textLength(codec, elementSizes(elements).element_size * elements.length, elements.length);
}

/** Elements each with its key; their keys have one size, and their values. */
export async function writePage(
  request: HandlerRequest,
  codec: ValueCodec,
  { elements, ids }: Pick<ElementPage, "elements" | "ids">,
  isLong = pageLength(codec, elements) > MAX_TEXT,
): Promise<ElementRow[] | JsonText> {
  if (isLong) {
    const parts = [joinShared(elements.flatMap(({ key, value }) => [key, value]))];
    const packed = { parts, ...elementSizes(elements), ids };
    const [rows] = (await textsOf(request, codec, { form: "rows", packed })) ?? [];
    if (rows) return rows;
  }
  return elements.map(({ key, value }) => ({
    key: codec.writeKey(key),
    value: writeValue(codec, value, ids),
  }));
}
