import type { BtfLog } from "./btf_log.ts";
import { type BtfErrno, BtfRefused } from "./refused.ts";

/** The header of a BTF and its sections (btf_parse_hdr(), btf_check_sec_info(), btf_parse_str_sec()). */

export interface BtfHeader {
  /** Offsets in the blob. */
  readonly types: number;
  readonly typesEnd: number;
  readonly strings: number;
  readonly stringBytes: number;
}

interface BtfSection {
  readonly offset: number;
  readonly length: number;
}

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Up to hdr_len. */
const SHORTEST = 8;
/** BTF_MAX_NAME_OFFSET */
const MAX_NAME_OFFSET = 0xff_ffff;

function refuse(log: BtfLog, reason: string, errno: BtfErrno = "EINVAL"): never {
  log.write(reason);
  throw new BtfRefused(errno, reason);
}

/** The fields of struct btf_header; those past the end of a short one are 0. */
function readFields(blob: Buffer, length: number) {
  const bytes = Buffer.alloc(HEADER_BYTES);
  blob.copy(bytes, 0, 0, Math.min(length, HEADER_BYTES));
  return {
    ...{ magic: bytes.readUInt16LE(0), version: bytes.readUInt8(2), flags: bytes.readUInt8(3) },
    ...{ length: bytes.readUInt32LE(4) },
    types: { offset: bytes.readUInt32LE(8), length: bytes.readUInt32LE(12) },
    strings: { offset: bytes.readUInt32LE(16), length: bytes.readUInt32LE(20) },
  };
}

function describe(blob: Buffer, fields: ReturnType<typeof readFields>): string {
  const { magic, version, flags, length, types, strings } = fields;
  return [
    `magic: 0x${magic.toString(16)}`,
    `version: ${version}`,
    `flags: 0x${flags.toString(16)}`,
    `hdr_len: ${length}`,
    `type_off: ${types.offset}`,
    `type_len: ${types.length}`,
    `str_off: ${strings.offset}`,
    `str_len: ${strings.length}`,
    `btf_total_size: ${blob.length}\n`,
  ].join("\n");
}

function readHeader(blob: Buffer, log: BtfLog) {
  if (blob.length < SHORTEST) refuse(log, "hdr_len not found");
  const length = blob.readUInt32LE(4);
  if (blob.length < length) refuse(log, "btf_header not found");
  const rest = blob.subarray(HEADER_BYTES, length);
  if (length > HEADER_BYTES && rest.some((byte) => byte !== 0)) {
    refuse(log, "Unsupported btf_header", "E2BIG");
  }
  const fields = readFields(blob, length);
  if (log.isNeeded) log.write(describe(blob, fields));
  if (fields.magic !== MAGIC) refuse(log, "Invalid magic");
  if (fields.version !== 1) refuse(log, "Unsupported version", "ENOTSUPP");
  if (fields.flags !== 0) refuse(log, "Unsupported flags", "ENOTSUPP");
  if (blob.length === fields.length) refuse(log, "No data");
  return fields;
}

/** btf_sec_info_cmp(), whose differences are signed numbers of 32 bits. */
function compareSections(a: BtfSection, b: BtfSection): number {
  return (a.offset - b.offset) | 0 || (a.length - b.length) | 0;
}

/** The sections fill what follows the header, without gaps. */
function checkSections(sections: readonly BtfSection[], bytes: number, log: BtfLog): void {
  let total = 0;
  for (const { offset, length } of sections) {
    if (bytes < offset) refuse(log, "Invalid section offset");
    if (total < offset) refuse(log, "Unsupported section found");
    if (total > offset) refuse(log, "Section overlap found");
    if (bytes - total < length) refuse(log, "Total section length too long");
    total += length;
  }
  if (total !== bytes) refuse(log, "Unsupported section found");
}

/** @throws BtfRefused */
export function checkHeader(blob: Buffer, log: BtfLog): BtfHeader {
  const { length, types, strings } = readHeader(blob, log);
  const isTypesFirst = compareSections(types, strings) <= 0;
  const sections = isTypesFirst ? [types, strings] : [strings, types];
  checkSections(sections, blob.length - length, log);
  const start = length + strings.offset;
  if (start + strings.length !== blob.length) refuse(log, "String section is not at the end");
  const isTerminated = blob[start] === 0 && blob.at(-1) === 0;
  if (strings.length === 0 || strings.length - 1 > MAX_NAME_OFFSET || !isTerminated) {
    refuse(log, "Invalid string section");
  }
  if (types.offset % 4 !== 0) refuse(log, "Unaligned type_off");
  if (types.length === 0) refuse(log, "No type found");
  return {
    types: length + types.offset,
    typesEnd: length + types.offset + types.length,
    strings: start,
    stringBytes: strings.length,
  };
}
