import { KIND } from "../schema/btf_blob.ts";
import type { BtfEnv } from "./btf_env.ts";
import { bitOffset, membersOf } from "./describe_type.ts";
import { isIdentifier } from "./names.ts";
import { type BtfTypeRecord, MAX_TYPE_ID, MEMBER_BYTES } from "./type_table.ts";

/** What the members, constants and variables of a type may be by themselves; each gets a line of the log. */

const isTypeId = (id: number): boolean => id !== 0 && id <= MAX_TYPE_ID;

/** btf_struct_check_meta() */
function checkMembers(env: BtfEnv, struct: BtfTypeRecord): void {
  const { types } = env;
  let last = 0;
  for (const member of membersOf(types, struct)) {
    const { first: name, second: id } = member;
    const refuse = (reason: string) => env.refuseMember(struct, member, reason);
    if (!types.hasString(name)) refuse(`Invalid member name_offset:${name}`);
    if (name !== 0 && !isIdentifier(types, name)) refuse("Invalid name");
    if (!isTypeId(id)) refuse("Invalid type_id");
    const offset = bitOffset(struct, member);
    if (struct.kind === KIND.UNION && offset !== 0) refuse("Invalid member bits_offset");
    if (last > offset) refuse("Invalid member bits_offset");
    if (Math.ceil(offset / 8) > struct.size) refuse("Member bits_offset exceeds its struct size");
    env.logMember(struct, member);
    last = offset;
  }
}

/** btf_enum_check_meta(), btf_enum64_check_meta() */
function checkConstants(env: BtfEnv, type: BtfTypeRecord): void {
  const { types, log } = env;
  const is64Bit = type.kind === KIND.ENUM64;
  for (let i = 0; i < type.vlen; i++) {
    const at = type.at + i * (is64Bit ? 12 : 8);
    const name = types.u32(at);
    if (!types.hasString(name)) env.refuse(`\tInvalid name_offset:${name}`);
    if (name === 0 || !isIdentifier(types, name)) env.refuseType(type, "Invalid name");
    if (!log.isNeeded) continue;
    const high = is64Bit ? BigInt(types.u32(at + 8)) << 32n : 0n;
    const raw = high | BigInt(types.u32(at + 4));
    const value = type.kindFlag ? BigInt.asIntN(is64Bit ? 64 : 32, raw) : raw;
    log.write(`\t${types.name(name)} val=${value}\n`);
  }
}

/** btf_datasec_check_meta() */
function checkVariables(env: BtfEnv, section: BtfTypeRecord): void {
  let [end, sum] = [0, 0];
  for (const variable of env.types.parts(section, MEMBER_BYTES)) {
    const { first: id, second: offset, third: size } = variable;
    const refuse = (reason: string) => env.refuseVariable(section, variable, reason);
    if (!isTypeId(id)) refuse("Invalid type_id");
    if (offset < end || offset >= section.size) refuse("Invalid offset");
    if (size === 0 || size > section.size) refuse("Invalid size");
    end = offset + size;
    if (end > section.size) refuse("Invalid offset+size");
    env.logVariable(section, variable);
    sum += size;
  }
  if (section.size < sum) env.refuseType(section, "Invalid btf_info size");
}

export function checkParts(env: BtfEnv, type: BtfTypeRecord): void {
  if (type.kind === KIND.STRUCT || type.kind === KIND.UNION) checkMembers(env, type);
  else if (type.kind === KIND.ENUM || type.kind === KIND.ENUM64) checkConstants(env, type);
  else if (type.kind === KIND.DATASEC) checkVariables(env, type);
}
