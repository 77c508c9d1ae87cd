import { KIND } from "../schema/btf_blob.ts";
import type { BtfEnv } from "./btf_env.ts";
import { checkParts } from "./check_parts.ts";
import { intData } from "./describe_type.ts";
import { isIdentifier, isSectionName } from "./names.ts";
import { type BtfTypeRecord, MAX_TYPE_ID, TYPE_BYTES } from "./type_table.ts";

/** What each type may be by itself (btf_check_all_metas(), btf_check_meta()), in the order of ids. */

/** Bytes after struct btf_type, by kind: once, and for each of vlen. */
const BYTES_ONCE: Readonly<Record<number, number>> = {
  [KIND.INT]: 4,
  [KIND.ARRAY]: 12,
  [KIND.VAR]: 4,
  [KIND.DECL_TAG]: 4,
};
const BYTES_EACH: Readonly<Record<number, number>> = {
  [KIND.STRUCT]: 12,
  [KIND.UNION]: 12,
  [KIND.ENUM]: 8,
  [KIND.FUNC_PROTO]: 8,
  [KIND.DATASEC]: 12,
  [KIND.ENUM64]: 12,
};
/** BTF_INFO_MASK */
const UNKNOWN_INFO = 0x60ff_0000;
/** BTF_INT_MASK */
const UNKNOWN_INT = 0xf000_0000;
const MAX_INT_BITS = 128;
const ENCODINGS: readonly number[] = [0, 1, 2, 4];
const FLOAT_SIZES: readonly number[] = [2, 4, 8, 12, 16];
const GLOBAL = 1;
const PLAIN_REFERENCES: readonly number[] = [KIND.PTR, KIND.VOLATILE, KIND.CONST, KIND.RESTRICT];

const isTypeId = (id: number): boolean => id <= MAX_TYPE_ID;

function needNoParts(env: BtfEnv, type: BtfTypeRecord): void {
  if (type.vlen !== 0) env.refuseType(type, "vlen != 0");
}

function needNoFlag(env: BtfEnv, type: BtfTypeRecord): void {
  if (type.kindFlag) env.refuseType(type, "Invalid btf_info kind_flag");
}

function needIdentifier(env: BtfEnv, type: BtfTypeRecord): void {
  if (type.name === 0 || !isIdentifier(env.types, type.name)) env.refuseType(type, "Invalid name");
}

function needNoName(env: BtfEnv, type: BtfTypeRecord): void {
  if (type.name !== 0) env.refuseType(type, "Invalid name");
}

function needText(env: BtfEnv, type: BtfTypeRecord, reason: string): void {
  if (env.types.string(type.name) === "") env.refuseType(type, reason);
}

/** btf_int_check_meta() */
function checkInt(env: BtfEnv, type: BtfTypeRecord): void {
  needNoParts(env, type);
  needNoFlag(env, type);
  const word = env.types.u32(type.at);
  if ((word & UNKNOWN_INT) !== 0) env.refuseUnread(type, `Invalid int_data:${word.toString(16)}`);
  const { encoding, offset, bits } = intData(env.types, type);
  if (bits + offset > MAX_INT_BITS) env.refuseType(type, `nr_bits exceeds ${MAX_INT_BITS}`);
  if (Math.ceil((bits + offset) / 8) > type.size) env.refuseType(type, "nr_bits exceeds type_size");
  if (!ENCODINGS.includes(encoding)) env.refuseType(type, "Unsupported encoding", "ENOTSUPP");
}

/** btf_ref_type_check_meta() */
function checkReference(env: BtfEnv, type: BtfTypeRecord): void {
  needNoParts(env, type);
  if (type.kind !== KIND.TYPE_TAG) needNoFlag(env, type);
  if (!isTypeId(type.size)) env.refuseType(type, "Invalid type_id");
  if (type.kind === KIND.TYPEDEF) needIdentifier(env, type);
  else if (type.kind === KIND.TYPE_TAG) needText(env, type, "Invalid name");
  else needNoName(env, type);
}

/** btf_array_check_meta() */
function checkArray(env: BtfEnv, type: BtfTypeRecord): void {
  needNoName(env, type);
  needNoParts(env, type);
  needNoFlag(env, type);
  if (type.size !== 0) env.refuseType(type, "size != 0");
  const [element, index] = [env.types.u32(type.at), env.types.u32(type.at + 4)];
  if (element === 0 || !isTypeId(element)) env.refuseType(type, "Invalid elem");
  if (index === 0 || !isTypeId(index)) env.refuseType(type, "Invalid index");
}

/** btf_fwd_type_check_meta() */
function checkForward(env: BtfEnv, type: BtfTypeRecord): void {
  needNoParts(env, type);
  if (type.size !== 0) env.refuseType(type, "type != 0");
  needIdentifier(env, type);
}

/** btf_func_check_meta(): vlen is the linkage. */
function checkFunc(env: BtfEnv, type: BtfTypeRecord): void {
  needIdentifier(env, type);
  if (type.vlen > GLOBAL) env.refuseType(type, "Invalid func linkage");
  needNoFlag(env, type);
}

/** btf_var_check_meta() */
function checkVar(env: BtfEnv, type: BtfTypeRecord): void {
  needNoParts(env, type);
  needNoFlag(env, type);
  needIdentifier(env, type);
  if (type.size === 0 || !isTypeId(type.size)) env.refuseType(type, "Invalid type_id");
  if (env.types.u32(type.at) > GLOBAL) env.refuseType(type, "Linkage not supported");
}

/** btf_float_check_meta() */
function checkFloat(env: BtfEnv, type: BtfTypeRecord): void {
  needNoParts(env, type);
  needNoFlag(env, type);
  if (!FLOAT_SIZES.includes(type.size)) env.refuseType(type, "Invalid type_size");
}

/** btf_decl_tag_check_meta() */
function checkDeclTag(env: BtfEnv, type: BtfTypeRecord): void {
  needText(env, type, "Invalid value");
  needNoParts(env, type);
  if ((env.types.u32(type.at) | 0) < -1) env.refuseType(type, "Invalid component_idx");
}

/** btf_struct_check_meta(), btf_enum_check_meta() */
function checkNameIfAny(env: BtfEnv, type: BtfTypeRecord): void {
  if (type.name !== 0) needIdentifier(env, type);
}

function checkEnum(env: BtfEnv, type: BtfTypeRecord): void {
  if (![1, 2, 4, 8].includes(type.size)) env.refuseType(type, "Unexpected size");
  checkNameIfAny(env, type);
}

function checkProto(env: BtfEnv, type: BtfTypeRecord): void {
  needNoName(env, type);
  needNoFlag(env, type);
}

/** btf_datasec_check_meta() */
function checkDatasec(env: BtfEnv, type: BtfTypeRecord): void {
  if (type.size === 0) env.refuseType(type, "size == 0");
  needNoFlag(env, type);
  if (type.name === 0 || !isSectionName(env.types, type.name)) env.refuseType(type, "Invalid name");
}

const CHECKS: Readonly<Record<number, (env: BtfEnv, type: BtfTypeRecord) => void>> = {
  ...Object.fromEntries(PLAIN_REFERENCES.map((kind) => [kind, checkReference])),
  [KIND.TYPEDEF]: checkReference,
  [KIND.TYPE_TAG]: checkReference,
  [KIND.INT]: checkInt,
  [KIND.ARRAY]: checkArray,
  [KIND.STRUCT]: checkNameIfAny,
  [KIND.UNION]: checkNameIfAny,
  [KIND.ENUM]: checkEnum,
  [KIND.ENUM64]: checkEnum,
  [KIND.FWD]: checkForward,
  [KIND.FUNC]: checkFunc,
  [KIND.FUNC_PROTO]: checkProto,
  [KIND.VAR]: checkVar,
  [KIND.DATASEC]: checkDatasec,
  [KIND.FLOAT]: checkFloat,
  [KIND.DECL_TAG]: checkDeclTag,
};

/** @returns the bytes of the type. */
function checkMeta(env: BtfEnv, place: number, left: number): number {
  const { types, typeId } = env;
  if (left < TYPE_BYTES) {
    env.refuse(`[${typeId}] meta_left:${left} meta_needed:${TYPE_BYTES}`);
  }
  const info = types.u32(place + 4);
  if ((info & UNKNOWN_INFO) !== 0) {
    env.refuse(`[${typeId}] Invalid btf_info:${info.toString(16)}`);
  }
  const type = types.read(place, typeId);
  const check = CHECKS[type.kind];
  if (check === undefined) env.refuse(`[${typeId}] Invalid kind:${type.kind}`);
  if (!types.hasString(type.name)) env.refuse(`[${typeId}] Invalid name_offset:${type.name}`);
  const needed = (BYTES_ONCE[type.kind] ?? 0) + (BYTES_EACH[type.kind] ?? 0) * type.vlen;
  if (left - TYPE_BYTES < needed) {
    env.refuseUnread(type, `meta_left:${left - TYPE_BYTES} meta_needed:${needed}`);
  }
  check(env, type);
  env.logType(type);
  checkParts(env, type);
  return TYPE_BYTES + needed;
}

/** btf_check_all_metas() @throws BtfRefused */
export function checkAllMetas(env: BtfEnv, start: number, end: number): void {
  for (let place = start; place < end; ) {
    const bytes = checkMeta(env, place, end - place);
    env.types.add(place);
    place += bytes;
    env.typeId += 1;
  }
  env.isReading = false;
}
