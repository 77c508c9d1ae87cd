import type { BatchWrite } from "../../domain/commands/batch.ts";
import { einval } from "../../domain/errno.ts";
import type { ValueBody, ValueCodec } from "./value_codec.ts";

/** Packs the keys and values of a batch into bytes. */

export interface BatchBody {
  op: "lookup" | "lookup_and_delete" | "update" | "delete";
  keys?: unknown[];
  values?: ValueBody[];
  count?: number;
  cursor?: string;
  elem_flags?: number;
  flags?: number;
  end_as_success?: boolean;
}

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

export function toWrite(codec: ValueCodec, body: BatchBody): BatchWrite {
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
