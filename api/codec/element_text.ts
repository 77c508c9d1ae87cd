import type { Batch } from "../../domain/commands/batch.ts";
import { type ValueCodec, writeValue } from "./value_codec.ts";

/** Writes the elements of answers, their keys and values apart or each with its key. */

/** PageElements of one size, each a key and its value, or values alone with key_size 0. */
export interface PackedElements extends Pick<Batch, "parts" | "key_size" | "ids"> {
  /** Bytes of an element. */
  element_size: number;
}

export interface Columns<Column> {
  keys: Column;
  values: Column;
}

type PartOf = Omit<PackedElements, "parts">;

/** Writes a part as one text, of which the keys and values are slices. */
function writeHex(part: Buffer, { element_size, key_size }: PartOf): Columns<string[]> {
  const text = part.toString("hex");
  const keys: string[] = [];
  const values: string[] = [];
  for (let at = 0; at < text.length; at += 2 * element_size) {
    keys.push(text.slice(at, at + 2 * key_size));
    values.push(text.slice(at + 2 * key_size, at + 2 * element_size));
  }
  return { keys, values };
}

/** The keys and the values of whole elements that are in one part. */
export function writePart(codec: ValueCodec, part: Buffer, packed: PartOf): Columns<unknown[]> {
  const { element_size, key_size, ids } = packed;
  if (codec.encoding === "hex" && !ids) return writeHex(part, packed);
  const keys: unknown[] = [];
  const values: unknown[] = [];
  for (let at = 0; at < part.length; at += element_size) {
    keys.push(codec.writeKey(part.subarray(at, at + key_size)));
    values.push(writeValue(codec, part.subarray(at + key_size, at + element_size), ids));
  }
  return { keys, values };
}

/** The keys and the values of all parts. */
export function writeColumns(codec: ValueCodec, packed: PackedElements): Columns<unknown[]> {
  const columns = packed.parts.map((part) => writePart(codec, part, packed));
  if (columns.length === 1 && columns[0]) return columns[0];
  return {
    keys: columns.flatMap(({ keys }) => keys),
    values: columns.flatMap(({ values }) => values),
  };
}

export interface ElementRow {
  key: unknown;
  value: unknown;
}

export function toRows({ keys, values }: Columns<unknown[]>): ElementRow[] {
  return values.map((value, i) => ({ key: keys[i], value }));
}
