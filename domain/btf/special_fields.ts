import { KIND } from "../schema/btf_blob.ts";
import { membersOf } from "./describe_type.ts";
import { FieldFinder, pointerTag } from "./field_finder.ts";
import { type FieldRecord, hasNode, hasRoot, NamedTypes, parseFields } from "./field_record.ts";
import { type BtfErrno, BtfRefused } from "./refused.ts";
import { ALLOCATED, SPECIAL_STRUCTS, STRUCT_FIELDS, VALUE_FIELDS } from "./special_types.ts";
import { type BtfTypeRecord, type TypeTable, VOID } from "./type_table.ts";

/** The special fields of all structs of a BTF, which are checked as it is loaded. */

/** The special fields of a map's value: [name, offset], or the errno that a map with it gets. */
export type ValueFields = readonly (readonly [type: string, offset: number])[] | BtfErrno;

/** By the id of the struct or section. */
export type FieldsByType = Readonly<Record<number, ValueFields>>;

type StructRecords = ReadonlyMap<number, FieldRecord>;

function isTaggedPointer(types: TypeTable, type: BtfTypeRecord): boolean {
  try {
    return pointerTag(types, type) !== undefined;
  } catch (error) {
    if (error instanceof BtfRefused) return false;
    throw error;
  }
}

/** btf_parse_struct_metas() @throws BtfRefused */
function parseStructs(types: TypeTable, names: NamedTypes, tagged: Set<number>): StructRecords {
  const special = new Set(tagged);
  for (const name of ALLOCATED) {
    const id = names.struct(name);
    if (id !== undefined) special.add(id);
  }
  const records = new Map<number, FieldRecord>();
  if (special.size === 0) return records;
  const finder = new FieldFinder(types, STRUCT_FIELDS);
  for (let id = 1; id < types.count; id++) {
    const type = types.type(id) ?? VOID;
    if (type.kind !== KIND.STRUCT) continue;
    if (!membersOf(types, type).some(({ second }) => special.has(second))) continue;
    const record = parseFields(finder, names, type);
    if (record === undefined) {
      throw new BtfRefused("EFAULT", `type ${id}: a special field has another size or alignment`);
    }
    records.set(id, record);
  }
  return records;
}

/** btf_check_and_fixup_fields() @throws BtfRefused */
function checkOwners(record: FieldRecord, structs: StructRecords): void {
  for (const value of record.values) {
    const owned = structs.get(value);
    if (owned === undefined)
      throw new BtfRefused("EFAULT", `type ${value} has no node for a list or tree`);
    if (hasNode(record) && hasRoot(owned))
      throw new BtfRefused("ELOOP", `type ${value} may own what owns it`);
  }
}

/** btf_parse_fields() of a map's value: what Linux cannot parse has no special fields. */
function valueFields(
  parse: () => FieldRecord | undefined,
  structs: StructRecords,
): ValueFields | undefined {
  try {
    const record = parse();
    if (record === undefined) return undefined;
    try {
      checkOwners(record, structs);
    } catch (error) {
      if (error instanceof BtfRefused) return error.errno;
      throw error;
    }
    const fields = record.fields.map(({ type, offset }): [string, number] => [type, offset]);
    return fields.sort(([, a], [, b]) => a - b);
  } catch (error) {
    if (error instanceof BtfRefused) return undefined;
    throw error;
  }
}

/** @throws BtfRefused */
export function findSpecialFields(types: TypeTable): FieldsByType {
  const tagged = new Set<number>();
  for (let id = 1; id < types.count; id++) {
    const type = types.type(id) ?? VOID;
    if (isTaggedPointer(types, type)) tagged.add(id);
  }
  const names = new NamedTypes(types);
  const isSpecial = Object.keys(SPECIAL_STRUCTS).some((name) => names.struct(name) !== undefined);
  if (!isSpecial && tagged.size === 0) return {};
  const structs = parseStructs(types, names, tagged);
  for (const record of structs.values()) checkOwners(record, structs);
  const finder = new FieldFinder(types, VALUE_FIELDS);
  const found: Record<number, ValueFields> = {};
  for (let id = 1; id < types.count; id++) {
    const type = types.type(id) ?? VOID;
    if (type.kind !== KIND.STRUCT && type.kind !== KIND.DATASEC) continue;
    const fields = valueFields(() => parseFields(finder, names, type), structs);
    if (fields !== undefined) found[id] = fields;
  }
  return found;
}
