/** Maps that BTF defines: the variables of ".maps", whose types are their attributes (libbpf.c). */

import { type BtfType, KIND } from "../schema/btf_blob.ts";
import type { Section } from "./elf_file.ts";
import type { BtfMember, ObjectBtf } from "./object_btf.ts";
import { malformed, tooBig, unsupported } from "./object_errors.ts";
import { entriesOf, MAPS_OF_MAPS, MAX_MAPS, mapType, PROG_ARRAY } from "./plan.ts";

export interface BtfMapDef {
  map_type: string;
  key_size: number;
  value_size: number;
  max_entries: number;
  map_flags: number;
  map_extra: string;
  numa_node: number;
  /** Ids of BTF types; 0 is none. */
  key: number;
  value: number;
  pinned: boolean;
  inner: BtfMapDef | undefined;
  /** Where `values` begins in the variable. */
  values: number | undefined;
}

/** In the section ".maps". */
export interface BtfMap extends BtfMapDef {
  name: string;
  offset: number;
  size: number;
}

const PIN_BY_NAME = 1;
const SLOT = 4;
/** There are a dozen to know. */
const MAX_FIELDS = 32;

class Definition {
  readonly #btf: ObjectBtf;
  readonly #name: string;
  /** An inner map's may not have all fields. */
  readonly #inner: boolean;
  readonly def: BtfMapDef = {
    ...{ map_type: "unspec", key_size: 0, value_size: 0, max_entries: 0, map_flags: 0 },
    ...{ map_extra: "0", numa_node: 0, key: 0, value: 0, pinned: false },
    ...{ inner: undefined, values: undefined },
  };

  constructor(btf: ObjectBtf, name: string, inner: boolean) {
    this.#btf = btf;
    this.#name = name;
    this.#inner = inner;
  }

  read(struct: BtfType): BtfMapDef {
    if (struct.vlen > MAX_FIELDS) throw this.#fault(`${struct.vlen} fields`);
    const members = this.#btf.members(struct);
    for (const [i, member] of members.entries()) {
      this.#field(member, i === members.length - 1);
    }
    const { def } = this;
    if (def.map_type === "unspec") throw this.#fault("map type isn't specified");
    def.max_entries = entriesOf(def.map_type, def.max_entries);
    return def;
  }

  #fault(detail: string): Error {
    return malformed(`map '${this.#name}': ${detail}`);
  }

  #field(member: BtfMember, last: boolean): void {
    switch (member.name) {
      case "type":
        this.def.map_type = mapType(this.#number(member));
        return;
      case "max_entries":
      case "map_flags":
      case "numa_node":
        this.def[member.name] = this.#number(member);
        return;
      case "map_extra":
        this.def.map_extra = String(this.#long(member));
        return;
      case "key_size":
      case "value_size":
        this.#size(member.name, this.#number(member));
        return;
      case "key":
      case "value":
        this.#typed(member.name, member);
        return;
      case "pinning":
        this.#pinning(this.#number(member));
        return;
      case "values":
        this.#values(member, last);
        return;
      default:
        throw unsupported(`map '${this.#name}': unknown field '${member.name}'`);
    }
  }

  /** A number n is written int (*name)[n]. */
  #number({ name, type }: BtfMember): number {
    const [, pointer] = this.#btf.plain(type);
    const array = pointer.kind === KIND.PTR ? this.#btf.type(pointer.size) : pointer;
    if (pointer.kind === KIND.PTR && array.kind === KIND.ARRAY) return this.#btf.u32(array.at + 8);
    throw this.#fault(`attr '${name}': no pointer to an array`);
  }

  /** A bigger one is the only constant of an enum. */
  #long(member: BtfMember): bigint {
    const [, { kind, vlen, at }] = this.#btf.plain(member.type);
    if (vlen === 1 && kind === KIND.ENUM)
      return BigInt.asUintN(64, BigInt(this.#btf.u32(at + 4) | 0));
    if (vlen !== 1 || kind !== KIND.ENUM64) return BigInt(this.#number(member));
    return (BigInt(this.#btf.u32(at + 8)) << 32n) | BigInt(this.#btf.u32(at + 4));
  }

  #size(field: "key_size" | "value_size", size: number): void {
    const known = this.def[field];
    if (known > 0 && known !== size) {
      throw this.#fault(`conflicting ${field.replace("_", " ")} ${known} != ${size}`);
    }
    this.def[field] = size;
  }

  #typed(field: "key" | "value", { type }: BtfMember): void {
    const pointer = this.#btf.type(type);
    if (pointer.kind !== KIND.PTR) throw this.#fault(`${field} spec is not PTR`);
    this.#size(`${field}_size`, this.#btf.sizeOf(pointer.size));
    this.def[field] = pointer.size;
  }

  #pinning(how: number): void {
    if (this.#inner) throw this.#fault("inner def can't be pinned");
    if (how > PIN_BY_NAME) throw this.#fault(`invalid pinning value ${how}`);
    this.def.pinned = how === PIN_BY_NAME;
  }

  /** Of programs or maps: `__array(values, ...)`, to whose type pointers point. */
  #values(member: BtfMember, last: boolean): void {
    const { map_type } = this.def;
    const ofMaps = MAPS_OF_MAPS.includes(map_type);
    const about = `map '${this.#name}'`;
    if (this.#inner) throw unsupported(`${about}: multi-level inner maps not supported`);
    if (!last) throw this.#fault("'values' member should be last");
    if (!ofMaps && map_type !== PROG_ARRAY) {
      throw unsupported(`${about}: should be map-in-map or prog-array`);
    }
    this.#size("value_size", SLOT);
    this.def.values = member.bit / 8;
    const struct = this.#element(member);
    if (struct.kind !== (ofMaps ? KIND.STRUCT : KIND.FUNC_PROTO)) {
      throw this.#fault("its values are of unexpected kind");
    }
    if (ofMaps)
      this.def.inner = new Definition(this.#btf, `${this.#name}.inner`, true).read(struct);
  }

  #element({ type }: BtfMember): BtfType {
    const array = this.#btf.type(type);
    const open = array.kind === KIND.ARRAY && this.#btf.u32(array.at + 8) === 0;
    if (!open) throw this.#fault("values is not a zero-sized array");
    const [, pointer] = this.#btf.plain(this.#btf.u32(array.at));
    if (pointer.kind !== KIND.PTR) throw this.#fault("values is not an array of pointers");
    return this.#btf.plain(pointer.size)[1];
  }
}

/** In the order of the section. @throws EINVAL, EOPNOTSUPP, SchemaError */
export function btfMaps(btf: ObjectBtf, section: Section): BtfMap[] {
  const id = btf.datasec(section.name);
  if (id === undefined) throw malformed(`DATASEC '${section.name}' not found`);
  if (btf.type(id).vlen > MAX_MAPS) throw tooBig(`more than ${MAX_MAPS} maps`);
  return btf.variables(id, section).map(({ name, type, offset, size, global }) => {
    if (!global) throw unsupported(`map '${name}': unsupported map linkage static`);
    const [, struct] = btf.plain(type);
    if (struct.kind !== KIND.STRUCT || struct.size > size) {
      throw malformed(`map '${name}': unexpected def`);
    }
    return { name, offset, size, ...new Definition(btf, name, false).read(struct) };
  });
}
