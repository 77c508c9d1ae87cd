import { assemble } from "../../domain/asm/assembler.ts";
import { einval } from "../../domain/errno.ts";
import type { LoadedInsns } from "../../domain/isa/loaded_insns.ts";
import { type BatchBody, toWrite } from "../codec/batch_elements.ts";
import { parseBytes } from "../codec/bytes.ts";
import type { ValueBody, ValueCodec } from "../codec/value_codec.ts";

/**
 * What operations make of bodies that may be long, by their operationId: on the event loop, or in a thread
 * for a body that is. Their results can be sent between threads.
 */

interface UpdateBody {
  value: ValueBody;
  flags?: number;
}

function readUpdate({ value, flags = 0 }: UpdateBody, codec: ValueCodec) {
  return { value: codec.readValue(value, "value"), flags };
}

function readBatch(body: BatchBody, codec: ValueCodec) {
  const { keys: _keys, values: _values, ...rest } = body;
  const isWrite = body.op === "update" || body.op === "delete";
  return { ...rest, ...(isWrite ? { write: toWrite(codec, body) } : {}) };
}

interface RecordsBody {
  records: string[];
  flags?: number;
}

function readRecords({ records, flags = 0 }: RecordsBody) {
  return { records: records.map((text, i) => parseBytes(text, ["records", i])), flags };
}

const HEX = /^(?:[0-9a-fA-F]{2})*$/;
const INSN_BYTES = 8;

export interface ProgLoadBody {
  prog_type?: string | number;
  insns?: string;
  asm?: string | string[];
  license?: string;
  prog_name?: string;
  prog_flags?: number;
  expected_attach_type?: number;
  log_level?: number;
  fd_array?: number[];
}

/** Reads hex, else a b64: literal, else plain base64. @throws EINVAL */
function parseInsns(text: string): Buffer {
  const bytes =
    HEX.test(text) || text.startsWith("b64:")
      ? parseBytes(text, "insns")
      : parseBytes(`b64:${text}`, "insns");
  if (bytes.length % INSN_BYTES !== 0) {
    throw einval(`must have a multiple of ${INSN_BYTES} bytes, got ${bytes.length}`, "insns");
  }
  return bytes;
}

/** Reads the program from the one form that is given. @throws EINVAL */
async function readProgram({ insns, asm, ...attr }: ProgLoadBody) {
  if (insns === undefined && asm === undefined) {
    throw einval("is missing; send the program as insns or as asm", "insns");
  }
  if (insns !== undefined && asm !== undefined) {
    throw einval("must not be sent together with insns", "asm");
  }
  const program: LoadedInsns =
    insns === undefined
      ? await assemble([asm ?? ""].flat().join("\n"), "asm")
      : { insns: parseInsns(insns) };
  return { ...attr, program };
}

export interface ElfFields {
  name?: string;
  pin_root?: string;
  pin_progs?: string;
  prog_type?: string;
  log_level?: number;
  max_entries?: Record<string, number>;
}

/** Reads hex, else base64 with or without b64:. @throws EINVAL */
function readObject({ object: text, ...fields }: ElfFields & { object: string }) {
  const literal = HEX.test(text) ? text : `b64:${text.replace(/^b64:/, "")}`;
  return { object: parseBytes(literal, "object"), fields };
}

/** The inputs of a run. */
interface InputBody {
  data_in?: string;
  ctx_in?: unknown;
}

function readInputs<Body extends InputBody>({ data_in, ctx_in, ...rest }: Body) {
  const data = data_in === undefined ? undefined : parseBytes(data_in, "data_in");
  const ctx = typeof ctx_in === "string" ? parseBytes(ctx_in, "ctx_in") : ctx_in;
  return { ...rest, data, ctx };
}

export const READERS = {
  mapUpdate: readUpdate,
  mapPush: readUpdate,
  mapBatch: readBatch,
  ringWrite: readRecords,
  progLoad: readProgram,
  elfLoad: readObject,
  progTestRun: readInputs,
  progRun: readInputs,
};

export type ReaderName = keyof typeof READERS;
export type ReaderResult<Name extends ReaderName> = Awaited<ReturnType<(typeof READERS)[Name]>>;
