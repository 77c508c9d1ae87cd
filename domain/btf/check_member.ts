import { KIND } from "../schema/btf_blob.ts";
import { bitfieldSize, bitOffset, type IntData, intData } from "./describe_type.ts";
import type { ResolveStack } from "./resolve_stack.ts";
import type { BtfPart, BtfTypeRecord } from "./type_table.ts";

/** How a member lies in its struct, by the kind of its type (check_member() and check_kflag_member()). */

const MAX_COPIED_BITS = 128;
const MAX_U32 = 0xffff_ffff;
const ENUM_BITS = 32;
const POINTER_BYTES = 8;
const INT_BYTES: readonly number[] = [1, 2, 4, 8, 16];

const bytesUp = (bits: number): number => Math.ceil(bits / 8);

/** btf_type_int_is_regular() */
export function isRegularInt({ bits, offset }: IntData): boolean {
  return bits % 8 === 0 && offset === 0 && INT_BYTES.includes(bits / 8);
}

interface MemberOf {
  readonly stack: ResolveStack;
  readonly struct: BtfTypeRecord;
  readonly member: BtfPart;
}

function refuse({ stack, struct, member }: MemberOf, reason: string): never {
  return stack.env.refuseMember(struct, member, reason);
}

function checkCopiedBits(of: MemberOf, offset: number, bits: number): void {
  const start = Math.floor(offset / 8);
  const copied = bits + (offset % 8);
  if (copied > MAX_COPIED_BITS) refuse(of, `nr_copy_bits exceeds ${MAX_COPIED_BITS}`);
  const room = of.struct.size - start;
  if (room < bytesUp(copied)) refuse(of, "Member exceeds struct_size");
}

/** btf_int_check_member() */
function checkInt(of: MemberOf, data: IntData): void {
  const { third: offset } = of.member;
  if (MAX_U32 - offset < data.offset) refuse(of, "bits_offset exceeds U32_MAX");
  checkCopiedBits(of, offset + data.offset, data.bits);
}

/** btf_int_check_kflag_member() */
function checkFlaggedInt(of: MemberOf, data: IntData): void {
  const [bits, offset] = [bitfieldSize(of.struct, of.member), bitOffset(of.struct, of.member)];
  if (!isRegularInt(data)) refuse(of, "Invalid member base type");
  if (bits === 0 && offset % 8 !== 0) refuse(of, "Invalid member offset");
  if (bits > data.bits) refuse(of, "Invalid member bitfield_size");
  checkCopiedBits(of, offset, bits || data.bits);
}

/** btf_enum_check_kflag_member() */
function checkFlaggedEnum(of: MemberOf): void {
  const [bits, offset] = [bitfieldSize(of.struct, of.member), bitOffset(of.struct, of.member)];
  if (bits === 0 && offset % 8 !== 0) refuse(of, "Member is not byte aligned");
  if (bits > ENUM_BITS) refuse(of, "Invalid member bitfield_size");
  const end = bytesUp(offset + (bits || ENUM_BITS));
  if (of.struct.size < end) refuse(of, "Member exceeds struct_size");
}

/** The other kinds: at a byte, within the struct. */
function checkBytes(of: MemberOf, size: number): void {
  const { third: offset } = of.member;
  if (offset % 8 !== 0) refuse(of, "Member is not byte aligned");
  if (of.struct.size - offset / 8 < size) refuse(of, "Member exceeds struct_size");
}

/** btf_float_check_member() */
function checkFloat(of: MemberOf, size: number): void {
  const { third: offset } = of.member;
  const alignment = 8 * Math.min(POINTER_BYTES, size);
  if (offset % alignment !== 0) refuse(of, "Member is not properly aligned");
  if (Math.floor(offset / 8) + size > of.struct.size) refuse(of, "Member exceeds struct_size");
}

/** @throws BtfRefused */
export function checkMember(stack: ResolveStack, struct: BtfTypeRecord, member: BtfPart): void {
  const sized = stack.sized(member.second);
  if (sized === undefined) throw stack.env.refuseMember(struct, member, "Invalid member");
  const { type, size } = sized;
  // What the log shows is the member behind its modifiers.
  const of = { stack, struct, member: { ...member, second: type.id } };
  if (type.kind === KIND.INT) {
    const data = intData(stack.env.types, type);
    if (struct.kindFlag) checkFlaggedInt(of, data);
    else checkInt(of, data);
    return;
  }
  const isEnum = type.kind === KIND.ENUM || type.kind === KIND.ENUM64;
  if (struct.kindFlag && isEnum) {
    checkFlaggedEnum(of);
    return;
  }
  if (bitfieldSize(struct, member) !== 0) refuse(of, "Invalid member bitfield_size");
  if (type.kind === KIND.FLOAT) checkFloat(of, size);
  else checkBytes(of, size);
}
