import type { Batch } from "../../domain/commands/batch.ts";
import { type ValueCodec, writeValue } from "./value_codec.ts";

/** Writes the elements of answers, keys and values apart. */

/** Elements of one size, each a key and its value, or values alone with key_size 0. */
export interface PackedElements extends Pick<Batch, "elements" | "key_size" | "ids"> {
  count: number;
}

export interface Columns<Column> {
  keys: Column;
  values: Column;
}

function writeHex({ elements, key_size, count }: PackedElements): Columns<string[]> {
  const text = elements.toString("hex");
  const size = elements.length / count;
  const keys: string[] = [];
  const values: string[] = [];
  for (let at = 0; at < text.length; at += 2 * size) {
    keys.push(text.slice(at, at + 2 * key_size));
    values.push(text.slice(at + 2 * key_size, at + 2 * size));
  }
  return { keys, values };
}

export function writeColumns(codec: ValueCodec, packed: PackedElements): Columns<unknown[]> {
  const { elements, key_size, count, ids } = packed;
  if (count > 0 && codec.encoding === "hex" && !ids) return writeHex(packed);
  const size = elements.length / count;
  const keys: unknown[] = [];
  const values: unknown[] = [];
  for (let at = 0; at < elements.length; at += size) {
    if (key_size > 0) keys.push(codec.writeKey(elements.subarray(at, at + key_size)));
    values.push(writeValue(codec, elements.subarray(at + key_size, at + size), ids));
  }
  return { keys, values };
}
