import { planObject } from "./elf/object.ts";
import type { ObjectPlan, PlanOptions } from "./elf/plan.ts";
import { Errno } from "./errno.ts";
import { type CompiledSchema, compileSchema, type SchemaAttr } from "./schema/schema.ts";
import { BackgroundWorker, serveRequests } from "./threads/background_worker.ts";

/** Reads what takes long to read: object files and schemas beyond a size in a thread, the others at once. */

type Asked =
  | { object: Uint8Array; options: PlanOptions }
  | { schema: SchemaAttr; sizes: readonly [number, number] };

/** Bytes of an object; characters of C, and of BTF in base64. */
const AT_ONCE = { object: 65_536, c: 4096, btf: 65_536 };

const thread = new BackgroundWorker<Asked>(import.meta.url);

const buffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length);

serveRequests(import.meta.url, (asked: Asked): ObjectPlan | CompiledSchema =>
  "object" in asked
    ? planObject(buffer(asked.object), asked.options)
    : compileSchema(asked.schema, ...asked.sizes),
);

async function read<T>(asked: Asked): Promise<T> {
  const told = await thread.request<T>(asked);
  if (told === undefined) throw new Errno("EAGAIN", "reading it took too long");
  return told;
}

/** What planOf() makes of an object. */
export async function readObject(object: Buffer, options: PlanOptions): Promise<ObjectPlan> {
  if (object.length <= AT_ONCE.object) return planObject(object, options);
  const { license, maps, progs } = await read<ObjectPlan>({ object, options });
  return {
    license,
    maps: maps.map((map) => ({ ...map, data: map.data && buffer(map.data) })),
    progs: progs.map((prog) => ({ ...prog, insns: buffer(prog.insns) })),
  };
}

/** What compileSchema() makes of a schema. */
export async function readSchema(
  schema: SchemaAttr,
  key_size: number,
  value_size: number,
): Promise<CompiledSchema> {
  const { key = "", value = "", declarations = "", btf = "" } = schema;
  const c = key.length + value.length + declarations.length;
  if (c <= AT_ONCE.c && btf.length <= AT_ONCE.btf) {
    return compileSchema(schema, key_size, value_size);
  }
  return read<CompiledSchema>({ schema, sizes: [key_size, value_size] });
}
