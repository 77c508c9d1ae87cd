import { type BtfType, KIND } from "../schema/btf_blob.ts";
import type { Section } from "./elf_file.ts";
import type { BtfMember, ObjectBtf } from "./object_btf.ts";
import { malformed, tooBig, unsupported } from "./object_errors.ts";
import { MAPS_OF_MAPS, MAX_MAPS, mapTypeName, PROG_ARRAY, roundEntries } from "./plan.ts";

/**
 * BTF-defined maps: the variables of ".maps", whose types are the attributes of the maps
 * (libbpf.c).
 */

export interface BtfMapDef {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_extra: string;
  numa_node: number;
  /** Ids of BTF types; 0 for none. */
  key: number;
  value: number;
  pinned: boolean;
  inner: BtfMapDef | undefined;
  /** Offset of `values` in the variable. */
  values: number | undefined;
}

/** A variable of the section ".maps". */
export interface BtfMap extends BtfMapDef {
  name: string;
  offset: number;
  size: number;
}

const PIN_BY_NAME = 1;
const SLOT = 4;
/** A definition has at most a dozen valid fields. */
const MAX_FIELDS = 32;

class Definition {
  readonly #btf: ObjectBtf;
  readonly #name: string;
  /** The definition of an inner map may not have all fields. */
  readonly #isInner: boolean;
  readonly def: BtfMapDef = {
    ...{ map_type: "unspec", key_size: 0, value_size: 0, max_entries: 0, map_flags: 0 },
    ...{ map_extra: "0", numa_node: 0, key: 0, value: 0, pinned: false },
    ...{ inner: undefined, values: undefined },
  };

  constructor(btf: ObjectBtf, name: string, isInner: boolean) {
    this.#btf = btf;
    this.#name = name;
    this.#isInner = isInner;
  }

  read(struct: BtfType): BtfMapDef {
    if (struct.vlen > MAX_FIELDS)
      throw this.#error(`must have at most ${MAX_FIELDS} fields, got ${struct.vlen}`);
    const members = this.#btf.members(struct);
    for (const [i, member] of members.entries()) {
      this.#readField(member, i === members.length - 1);
    }
    const { def } = this;
    if (def.map_type === "unspec") throw this.#error("map type isn't specified");
    def.max_entries = roundEntries(def.map_type, def.max_entries);
    return def;
  }

  #error(detail: string): Error {
    return malformed(`map '${this.#name}': ${detail}`);
  }

  #readField(member: BtfMember, isLast: boolean): void {
    switch (member.name) {
      case "type":
        this.def.map_type = mapTypeName(this.#readNumber(member));
        return;
      case "max_entries":
      case "map_flags":
      case "numa_node":
        this.def[member.name] = this.#readNumber(member);
        return;
      case "map_extra":
        this.def.map_extra = String(this.#readLong(member));
        return;
      case "key_size":
      case "value_size":
        this.#setSize(member.name, this.#readNumber(member));
        return;
      case "key":
      case "value":
        this.#setType(member.name, member);
        return;
      case "pinning":
        this.#setPinning(this.#readNumber(member));
        return;
      case "values":
        this.#readValues(member, isLast);
        return;
      default:
        throw unsupported(`map '${this.#name}': unknown field '${member.name}'`);
    }
  }

  /** A definition has the number n as int (*name)[n]. */
  #readNumber({ name, type }: BtfMember): number {
    const [, pointer] = this.#btf.skipModifiers(type);
    const array = pointer.kind === KIND.PTR ? this.#btf.type(pointer.size) : pointer;
    if (pointer.kind === KIND.PTR && array.kind === KIND.ARRAY) return this.#btf.u32(array.at + 8);
    throw this.#error(`attr '${name}': must be a pointer to an array`);
  }

  /** A 64-bit number is the only constant of an enum. */
  #readLong(member: BtfMember): bigint {
    const [, { kind, vlen, at }] = this.#btf.skipModifiers(member.type);
    if (vlen === 1 && kind === KIND.ENUM)
      return BigInt.asUintN(64, BigInt(this.#btf.u32(at + 4) | 0));
    if (vlen !== 1 || kind !== KIND.ENUM64) return BigInt(this.#readNumber(member));
    return (BigInt(this.#btf.u32(at + 8)) << 32n) | BigInt(this.#btf.u32(at + 4));
  }

  #setSize(field: "key_size" | "value_size", size: number): void {
    const previous = this.def[field];
    if (previous > 0 && previous !== size) {
      throw this.#error(`conflicting ${field.replace("_", " ")} ${previous} != ${size}`);
    }
    this.def[field] = size;
  }

  #setType(field: "key" | "value", { type }: BtfMember): void {
    const pointer = this.#btf.type(type);
    if (pointer.kind !== KIND.PTR) throw this.#error(`${field} spec is not PTR`);
    this.#setSize(`${field}_size`, this.#btf.resolveSize(pointer.size));
    this.def[field] = pointer.size;
  }

  #setPinning(pinning: number): void {
    if (this.#isInner) throw this.#error("inner def can't be pinned");
    if (pinning > PIN_BY_NAME) throw this.#error(`invalid pinning value ${pinning}`);
    this.def.pinned = pinning === PIN_BY_NAME;
  }

  /** `__array(values, ...)`: an array of pointers to programs or maps. */
  #readValues(member: BtfMember, isLast: boolean): void {
    const { map_type } = this.def;
    const holdsMaps = MAPS_OF_MAPS.includes(map_type);
    const prefix = `map '${this.#name}'`;
    if (this.#isInner) throw unsupported(`${prefix}: multi-level inner maps not supported`);
    if (!isLast) throw this.#error("'values' member should be last");
    if (!holdsMaps && map_type !== PROG_ARRAY) {
      throw unsupported(`${prefix}: should be map-in-map or prog-array`);
    }
    this.#setSize("value_size", SLOT);
    this.def.values = member.bit / 8;
    const struct = this.#elementType(member);
    if (struct.kind !== (holdsMaps ? KIND.STRUCT : KIND.FUNC_PROTO)) {
      throw this.#error("its values are of unexpected kind");
    }
    if (holdsMaps)
      this.def.inner = new Definition(this.#btf, `${this.#name}.inner`, true).read(struct);
  }

  #elementType({ type }: BtfMember): BtfType {
    const array = this.#btf.type(type);
    const isFlexible = array.kind === KIND.ARRAY && this.#btf.u32(array.at + 8) === 0;
    if (!isFlexible) throw this.#error("values is not a zero-sized array");
    const [, pointer] = this.#btf.skipModifiers(this.#btf.u32(array.at));
    if (pointer.kind !== KIND.PTR) throw this.#error("values is not an array of pointers");
    return this.#btf.skipModifiers(pointer.size)[1];
  }
}

/** Returns the maps in the order of the section. @throws EINVAL, EOPNOTSUPP, SchemaError */
export function readBtfMaps(btf: ObjectBtf, section: Section): BtfMap[] {
  const id = btf.datasec(section.name);
  if (id === undefined) throw malformed(`DATASEC '${section.name}' not found`);
  if (btf.type(id).vlen > MAX_MAPS) throw tooBig(`must have at most ${MAX_MAPS} maps`);
  return btf.variables(id, section).map(({ name, type, offset, size, isGlobal }) => {
    if (!isGlobal) throw unsupported(`map '${name}': unsupported map linkage static`);
    const [, struct] = btf.skipModifiers(type);
    if (struct.kind !== KIND.STRUCT || struct.size > size) {
      throw malformed(`map '${name}': unexpected def`);
    }
    return { name, offset, size, ...new Definition(btf, name, false).read(struct) };
  });
}
