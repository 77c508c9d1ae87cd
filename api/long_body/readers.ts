import { assemble } from "../../domain/asm/assembler.ts";
import { einval } from "../../domain/errno.ts";
import { FUNC_INFO_BYTES, LINE_INFO_BYTES } from "../../domain/isa/limits.ts";
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
  prog_btf_fd?: number;
  func_info?: string;
  func_info_rec_size?: number;
  func_info_cnt?: number;
  line_info?: string;
  line_info_rec_size?: number;
  line_info_cnt?: number;
}

const RECORD_BYTES = { func_info: FUNC_INFO_BYTES, line_info: LINE_INFO_BYTES };

/** Reads func_info or line_info; by default with as many records as there are. @throws EINVAL */
function readInfo(body: ProgLoadBody, field: keyof typeof RECORD_BYTES) {
  const bytes = parseBinary(body[field] ?? "", field);
  const recordSize = body[`${field}_rec_size`] ?? RECORD_BYTES[field];
  const count =
    body[`${field}_cnt`] ?? (recordSize > 0 ? Math.floor(bytes.length / recordSize) : 0);
  return { bytes, recordSize, count };
}

/** Reads hex, else a b64: literal, else plain base64. @throws EINVAL */
function parseBinary(text: string, field: string): Buffer {
  return parseBytes(HEX.test(text) || text.startsWith("b64:") ? text : `b64:${text}`, field);
}

/** @throws EINVAL */
function parseInsns(text: string): Buffer {
  const bytes = parseBinary(text, "insns");
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
  const infos = { funcs: readInfo(attr, "func_info"), lines: readInfo(attr, "line_info") };
  return { ...attr, program, btf: { fd: attr.prog_btf_fd ?? 0, ...infos } };
}

export interface BtfLoadBody {
  btf: string;
  btf_log_level?: number;
  btf_log_size?: number;
  btf_flags?: number;
  btf_token_fd?: number;
}

/** Reads base64, with or without b64:. @throws EINVAL */
function readBtfBody({ btf, ...rest }: BtfLoadBody) {
  return { ...rest, btf: parseBytes(`b64:${btf.replace(/^b64:/, "")}`, "btf") };
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
  btfLoad: readBtfBody,
  elfLoad: readObject,
  progTestRun: readInputs,
  progRun: readInputs,
};

export type ReaderName = keyof typeof READERS;
export type ReaderResult<Name extends ReaderName> = Awaited<ReturnType<(typeof READERS)[Name]>>;
