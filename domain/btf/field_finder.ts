import { KIND } from "../schema/btf_blob.ts";
import { bitOffset, membersOf } from "./describe_type.ts";
import { BtfRefused } from "./refused.ts";
import { isModifier, MAX_DEPTH } from "./resolve_stack.ts";
import { POINTER, SPECIAL_POINTERS, SPECIAL_STRUCTS } from "./special_types.ts";
import { type BtfTypeRecord, MEMBER_BYTES, type TypeTable, VOID } from "./type_table.ts";

/** Finds the special fields of a struct or section, nested ones included (btf_find_field()). */

export interface SpecialField {
  /** The name of the struct, or the tag of the pointer. */
  readonly type: string;
  readonly offset: number;
  /** The member that it is, with the struct that has it, which a decl tag may describe. */
  readonly of: BtfTypeRecord;
  readonly member: number;
}

/** A type at a place in a struct or section. */
interface PlacedType {
  readonly id: number;
  readonly offset: number;
  /** Bytes of a variable; its type must fill them. */
  readonly bytes?: number;
  readonly of: BtfTypeRecord;
  readonly member: number;
}

/** BTF_FIELDS_MAX */
const MAX_FIELDS = 11;
const REPEATED: readonly string[] = [
  ...["kptr_untrusted", "kptr", "percpu_kptr", "bpf_list_head", "bpf_rb_root"],
];

const refuse = (errno: "EINVAL" | "E2BIG", detail: string) => new BtfRefused(errno, detail);

export class FieldFinder {
  readonly #types: TypeTable;
  readonly #wanted: ReadonlySet<string>;
  /** Structs without such a field, so that each is searched once. */
  readonly #empty = new Set<number>();

  constructor(types: TypeTable, wanted: ReadonlySet<string>) {
    this.#types = types;
    this.#wanted = wanted;
  }

  /** @throws BtfRefused when Linux finds the layout wrong. */
  find(type: BtfTypeRecord): SpecialField[] {
    const seen = new Set<string>();
    if (type.kind === KIND.STRUCT) return this.#inStruct(type, 0, seen);
    const fields: SpecialField[] = [];
    for (const { first, second, third } of this.#types.parts(type, MEMBER_BYTES)) {
      const variable = this.#types.type(first) ?? VOID;
      const place = { id: variable.size, offset: second, bytes: third, of: variable, member: -1 };
      this.#add(fields, this.#inPlace(place, 0, seen));
    }
    return fields;
  }

  #add(fields: SpecialField[], found: readonly SpecialField[]): void {
    fields.push(...found);
    if (fields.length > MAX_FIELDS) {
      throw refuse("E2BIG", `a type must have at most ${MAX_FIELDS} special fields`);
    }
  }

  /** btf_find_struct_field() */
  #inStruct(type: BtfTypeRecord, level: number, seen: Set<string>): SpecialField[] {
    if (this.#empty.has(type.id)) return [];
    const fields: SpecialField[] = [];
    for (const [member, part] of membersOf(this.#types, type).entries()) {
      const bit = bitOffset(type, part);
      if (bit % 8 !== 0) throw refuse("EINVAL", "a member beside a special field is not at a byte");
      const place = { id: part.second, offset: bit / 8, of: type, member };
      this.#add(fields, this.#inPlace(place, level, seen));
    }
    if (fields.length === 0) this.#empty.add(type.id);
    return fields;
  }

  /** The innermost element of nested arrays, and how many there are. */
  #flatten(id: number): [type: BtfTypeRecord, count: number] {
    let [type, count] = [this.#types.type(id) ?? VOID, 1];
    for (let steps = 0; type.kind === KIND.ARRAY; steps++) {
      if (steps === MAX_DEPTH) throw refuse("E2BIG", "an array is nested too deep");
      count *= this.#types.u32(type.at + 8);
      type = this.#types.type(this.#types.u32(type.at)) ?? VOID;
    }
    return [type, count];
  }

  /** btf_find_field_one() */
  #inPlace(place: PlacedType, level: number, seen: Set<string>): SpecialField[] {
    const [type, count] = this.#flatten(place.id);
    if (count === 0) return [];
    const name = this.#specialName(type, seen);
    if (name === undefined) return this.#nested(place, { type, count, level, seen });
    const { bytes, alignment } = SPECIAL_STRUCTS[name] ?? POINTER;
    if (place.bytes !== undefined && place.bytes !== bytes * count) return [];
    if (place.offset % alignment !== 0) return [];
    const found = name === "" ? this.#pointerTag(type) : name;
    const isWhole = name === "" || (type.kind === KIND.STRUCT && type.size === bytes);
    if (found === undefined || !isWhole) return [];
    const { offset, of, member } = place;
    return repeat([{ type: found, offset, of, member }], count, bytes);
  }

  #nested(
    { offset, bytes }: PlacedType,
    nested: { type: BtfTypeRecord; count: number; level: number; seen: Set<string> },
  ): SpecialField[] {
    const { type, count, level, seen } = nested;
    if (type.kind !== KIND.STRUCT) return [];
    if (bytes !== undefined && bytes !== type.size * count) return [];
    if (level + 1 >= MAX_DEPTH) throw refuse("E2BIG", "a struct is nested too deep");
    const fields = this.#inStruct(type, level + 1, seen);
    const shifted = fields.map((field) => ({ ...field, offset: field.offset + offset }));
    return repeat(shifted, count, type.size);
  }

  /** btf_get_field_type(): the name of a special struct; "" for a type that may be a tagged pointer. */
  #specialName(type: BtfTypeRecord, seen: Set<string>): string | undefined {
    const name = this.#types.string(type.name);
    const special = this.#wanted.has(name) ? SPECIAL_STRUCTS[name] : undefined;
    if (special === undefined) return type.kind === KIND.STRUCT ? undefined : "";
    if (special.isSingle && seen.has(name)) {
      throw refuse("E2BIG", `a type must have at most one ${name}`);
    }
    seen.add(name);
    return name;
  }

  #pointerTag(type: BtfTypeRecord): string | undefined {
    const tag = pointerTag(this.#types, type);
    return tag !== undefined && this.#wanted.has(tag) ? tag : undefined;
  }
}

/** btf_repeat_fields() @throws BtfRefused */
function repeat(fields: readonly SpecialField[], count: number, bytes: number): SpecialField[] {
  if (fields.length === 0 || count === 1) return [...fields];
  const alone = fields.find(({ type }) => !REPEATED.includes(type));
  if (alone) throw refuse("EINVAL", `an array must not hold a ${alone.type}`);
  if (fields.length * count > MAX_FIELDS) {
    throw refuse("E2BIG", `a type must have at most ${MAX_FIELDS} special fields`);
  }
  return Array.from({ length: count }, (_, i) =>
    fields.map((field) => ({ ...field, offset: field.offset + i * bytes })),
  ).flat();
}

/** btf_find_kptr(): the type tag of a pointer to a struct. @throws BtfRefused for another tag or target */
export function pointerTag(types: TypeTable, type: BtfTypeRecord): string | undefined {
  const behind = (of: BtfTypeRecord) => types.type(of.size) ?? VOID;
  const pointer = type.kind === KIND.VOLATILE ? behind(type) : type;
  if (pointer.kind !== KIND.PTR) return undefined;
  const tag = behind(pointer);
  if (tag.kind !== KIND.TYPE_TAG) return undefined;
  let target = behind(tag);
  const name = types.string(tag.name);
  if (target.kind === KIND.TYPE_TAG) throw refuse("EINVAL", "a pointer must have one type tag");
  if (!SPECIAL_POINTERS.includes(name)) throw refuse("EINVAL", `unknown type tag ${name}`);
  while (isModifier(target)) target = behind(target);
  if (target.kind !== KIND.STRUCT) throw refuse("EINVAL", `a ${name} must point to a struct`);
  return name;
}
