import { KIND } from "../schema/btf_blob.ts";
import {
  type BtfPart,
  type BtfTypeRecord,
  MEMBER_BYTES,
  PARAM_BYTES,
  type TypeTable,
} from "./type_table.ts";

/** What the log says of a type, a member or a variable. */

const ENCODINGS: Readonly<Record<number, string>> = {
  0: "(none)",
  1: "SIGNED",
  2: "CHAR",
  4: "BOOL",
};

/** The word of an INT, whose parts are its encoding, bit offset and number of bits. */
export interface IntData {
  readonly encoding: number;
  readonly offset: number;
  readonly bits: number;
}

export function intData(types: TypeTable, { at }: BtfTypeRecord): IntData {
  const data = types.u32(at);
  return { encoding: (data >>> 24) & 0xf, offset: (data >>> 16) & 0xff, bits: data & 0xff };
}

/** btf_func_proto_log() */
function describeProto(types: TypeTable, type: BtfTypeRecord): string {
  const params = types.parts(type, PARAM_BYTES);
  const last = params.length - 1;
  const described = params.map(({ first, second }, i) =>
    i === last && second === 0 ? "vararg" : `${second} ${types.name(first)}`,
  );
  return `return=${type.size} args=(${described.join(", ") || "void"})`;
}

/** The details of a type: what a kind's log_details() writes. */
export function describeType(types: TypeTable, type: BtfTypeRecord): string {
  const word = (n: number) => types.u32(type.at + 4 * n);
  switch (type.kind) {
    case KIND.INT: {
      const { encoding, offset, bits } = intData(types, type);
      const name = ENCODINGS[encoding] ?? "UNKN";
      return `size=${type.size} bits_offset=${offset} nr_bits=${bits} encoding=${name}`;
    }
    case KIND.ARRAY:
      return `type_id=${word(0)} index_type_id=${word(1)} nr_elems=${word(2)}`;
    case KIND.STRUCT:
    case KIND.UNION:
    case KIND.ENUM:
    case KIND.ENUM64:
    case KIND.DATASEC:
      return `size=${type.size} vlen=${type.vlen}`;
    case KIND.FWD:
      return type.kindFlag ? "union" : "struct";
    case KIND.FUNC_PROTO:
      return describeProto(types, type);
    case KIND.VAR:
      return `type_id=${type.size} linkage=${word(0)}`;
    case KIND.FLOAT:
      return `size=${type.size}`;
    case KIND.DECL_TAG:
      return `type=${type.size} component_idx=${word(0) | 0}`;
    default:
      return `type_id=${type.size}`;
  }
}

/** A member's place: in a struct with kind_flag the size of a bitfield is above the bit offset. */
export const bitOffset = (struct: BtfTypeRecord, { third }: BtfPart): number =>
  struct.kindFlag ? third & 0xff_ffff : third;
export const bitfieldSize = (struct: BtfTypeRecord, { third }: BtfPart): number =>
  struct.kindFlag ? third >>> 24 : 0;

export function describeMember(types: TypeTable, struct: BtfTypeRecord, member: BtfPart): string {
  const width = struct.kindFlag ? ` bitfield_size=${bitfieldSize(struct, member)}` : "";
  const place = `${width} bits_offset=${bitOffset(struct, member)}`;
  return `\t${types.name(member.first)} type_id=${member.second}${place}`;
}

export function describeVariable({ first, second, third }: BtfPart): string {
  return `\t type_id=${first} offset=${second} size=${third}`;
}

export const membersOf = (types: TypeTable, type: BtfTypeRecord): BtfPart[] =>
  types.parts(type, MEMBER_BYTES);
