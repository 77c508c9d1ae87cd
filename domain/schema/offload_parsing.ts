import { Errno } from "../errno.ts";
import { BackgroundWorker } from "../threads/background_worker.ts";
import type { TaskOwner } from "../threads/thread_pool.ts";
import { type CompiledSchema, compileSchema, type SchemaAttr } from "./schema.ts";

/** Compiles long schemas in a thread and short ones at once. */

interface SchemaRequest {
  schema: SchemaAttr;
  key_size: number;
  value_size: number;
}

/** Characters of C, and of BTF in base64, that are compiled at once. */
const INLINE_C = 4096;
const INLINE_BTF = 65_536;

const worker = new BackgroundWorker<SchemaRequest>(import.meta.url);

/** Answers the worker's requests, in a thread. */
export const handleRequest = ({ schema, key_size, value_size }: SchemaRequest): CompiledSchema =>
  compileSchema(schema, key_size, value_size);

/** compileSchema(). @throws EAGAIN when it takes too long or too many wait. */
export async function readSchema(
  owner: TaskOwner,
  schema: SchemaAttr,
  key_size: number,
  value_size: number,
): Promise<CompiledSchema> {
  const { key = "", value = "", declarations = "", btf = "" } = schema;
  const length = key.length + value.length + declarations.length;
  if (length <= INLINE_C && btf.length <= INLINE_BTF) {
    return compileSchema(schema, key_size, value_size);
  }
  const compiled = await worker.request<CompiledSchema>(owner, { schema, key_size, value_size });
  if (compiled === undefined) throw new Errno("EAGAIN", "compiling the schema took too long");
  return compiled;
}
