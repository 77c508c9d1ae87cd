import type { Batch, BatchRead, BatchWrite } from "../../domain/commands/batch.ts";
import { Errno, einval } from "../../domain/errno.ts";
import { parseBytes } from "../codec/bytes.ts";
import { formOf, shown, type ValueBody, type ValueForm } from "../codec/value_codec.ts";
import { STATUS } from "../errors/problem.ts";
import {
  type Handler,
  type HandlerRequest,
  type HandlerResponse,
  ok,
  pathNumber,
  query,
  wantsOctets,
} from "../handler.ts";
import { OCTETS } from "../media_types.ts";

/** Many elements a request: in JSON, or as octets, in which key and value take turns. */

interface BatchBody {
  op: "lookup" | "lookup_and_delete" | "update" | "delete";
  keys?: unknown[];
  values?: ValueBody[];
  count?: number;
  cursor?: string;
  elem_flags?: number;
  flags?: number;
}

const COUNT = 100;

/** Keys, or values, one after the other. @throws EINVAL when one differs from the others in length. */
function same(list: Buffer[], field: string): Buffer[] {
  const size = list[0]?.length;
  const other = list.findIndex(({ length }) => length !== size);
  if (other < 0) return list;
  throw einval(`${list[other]?.length} bytes, the first has ${size}`, [field, other]);
}

function toRead({ count = COUNT, cursor, elem_flags = 0, flags = 0 }: BatchBody): BatchRead {
  const from = cursor === undefined ? undefined : parseBytes(cursor, "cursor");
  return { cursor: from, count, elem_flags, flags };
}

const alike = (list: unknown[]): list is string[] => {
  const size = String(list[0]).length;
  return size % 2 === 0 && list.every((text) => typeof text === "string" && text.length === size);
};

/** Plain hex of one size, as big batches are, decoded at once; undefined when they are not. */
function hexAtOnce(keys: unknown[], values: ValueBody[]): [Buffer, number] | undefined {
  if (!alike(keys) || (values.length > 0 && !alike(values))) return undefined;
  const text = values.length > 0 ? keys.map((key, i) => key + values[i]).join("") : keys.join("");
  if (/[^0-9a-fA-F]/.test(text)) return undefined;
  return [Buffer.from(text, "hex"), (keys[0] as string).length / 2];
}

/** One by one, for then an error tells which. */
function oneByOne(
  form: ValueForm,
  keys: unknown[],
  values: ValueBody[],
): [Buffer, number | undefined] {
  const parts = same(
    keys.map((key, i) => form.keyBody(key, ["keys", i])),
    "keys",
  );
  const bytes = same(
    values.map((value, i) => form.value(value, ["values", i])),
    "values",
  );
  const pairs = bytes.length > 0 ? parts.flatMap((key, i) => [key, bytes[i] as Buffer]) : parts;
  return [Buffer.concat(pairs), parts[0]?.length];
}

function toWrite(form: ValueForm, body: BatchBody): BatchWrite {
  const { op, keys: given = [], values: with_ = [], elem_flags = 0 } = body;
  const count = body.count ?? given.length;
  const few = op === "update" ? Math.min(given.length, with_.length) : given.length;
  const there = Math.min(count, few);
  const keys = given.slice(0, there);
  const values = op === "update" ? with_.slice(0, there) : [];
  const [elements, key_size] =
    (form.encoding && hexAtOnce(keys, values)) || oneByOne(form, keys, values);
  return { elements, count, there, key_size, elem_flags };
}

/** What an octet-stream body cannot say is in the query. */
function bodyOf(request: HandlerRequest): BatchBody {
  if (!Buffer.isBuffer(request.body)) return request.body as BatchBody;
  const op = query<BatchBody["op"] | undefined>(request, "op");
  if (op !== "update" && op !== "delete") throw einval("op is update or delete", "op");
  return { op, count: query(request, "count"), elem_flags: query(request, "elem_flags") };
}

function writeOf(form: ValueForm, request: HandlerRequest, body: BatchBody): BatchWrite {
  if (!Buffer.isBuffer(request.body)) return toWrite(form, body);
  const { count, elem_flags = 0 } = body;
  if (count === undefined) throw einval("how many elements the body has", "count");
  return { elements: request.body, count, there: count, key_size: undefined, elem_flags };
}

function tellBytes({ elements, count, cursor, failure }: Batch): HandlerResponse {
  const headers: Record<string, string> = { "bpf-count": String(count) };
  if (cursor) headers["bpf-cursor"] = cursor.toString("hex");
  if (failure) headers["bpf-errno"] = failure.code;
  const status = failure ? STATUS[failure.code] : 200;
  return { status, bytes: elements, type: OCTETS, headers };
}

function hexOf({ elements, key_size }: Batch, size: number) {
  const text = elements.toString("hex");
  const keys: string[] = [];
  const values: string[] = [];
  for (let at = 0; at < text.length; at += 2 * size) {
    keys.push(text.slice(at, at + 2 * key_size));
    values.push(text.slice(at + 2 * key_size, at + 2 * size));
  }
  return { keys, values };
}

function shownAs(form: ValueForm, { elements, key_size, ids }: Batch, size: number) {
  const keys: unknown[] = [];
  const values: unknown[] = [];
  for (let at = 0; at < elements.length; at += size) {
    keys.push(form.showKey(elements.subarray(at, at + key_size)));
    values.push(shown(form, elements.subarray(at + key_size, at + size), ids));
  }
  return { keys, values };
}

function tell(form: ValueForm, batch: Batch): HandlerResponse {
  const { elements, count, cursor, ids, failure } = batch;
  const size = count > 0 ? elements.length / count : 0;
  const plain = form.encoding === "hex" && !ids;
  const read = plain ? hexOf(batch, size) : shownAs(form, batch, size);
  const extensions = { count, ...read, ...(cursor ? { cursor: cursor.toString("hex") } : {}) };
  if (failure) throw new Errno(failure.code, failure.message, { extensions });
  return ok(extensions);
}

const mapBatch: Handler = async (context, request) => {
  const { kernel } = context;
  const fd = pathNumber(request, "fd");
  const body = bodyOf(request);
  const form = await formOf(context, request);
  if (body.op === "update") {
    return ok(await kernel.mapUpdateBatch(request.call, fd, writeOf(form, request, body)));
  }
  if (body.op === "delete") {
    return ok(await kernel.mapDeleteBatch(request.call, fd, writeOf(form, request, body)));
  }
  const wanted = toRead(body);
  form.checkRoom(wanted.count);
  const batch =
    body.op === "lookup"
      ? await kernel.mapLookupBatch(request.call, fd, wanted)
      : await kernel.mapLookupAndDeleteBatch(request.call, fd, wanted);
  return wantsOctets(request) ? tellBytes(batch) : tell(form, batch);
};

export const batches = { mapBatch };
