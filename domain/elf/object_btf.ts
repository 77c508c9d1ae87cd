import { BtfBlob, type BtfType, KIND, MODIFIERS } from "../schema/btf_blob.ts";
import type { ElfFile, ElfSymbol, Section } from "./elf_file.ts";
import { HIDDEN, STB, STT } from "./elf_file.ts";
import { malformed } from "./object_errors.ts";
import { StringTable } from "./string_table.ts";

/** The parts of the .BTF section of an object that a loader needs: sizes, members, variables. */

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly bit: number;
}

/** A variable of a DATASEC. */
export interface Variable {
  readonly name: string;
  readonly type: number;
  /** Offset in its section. */
  readonly offset: number;
  readonly size: number;
  /** Visible outside of the object. */
  readonly isGlobal: boolean;
}

const SIZED: readonly number[] = [
  ...[KIND.INT, KIND.STRUCT, KIND.UNION, KIND.ENUM, KIND.ENUM64, KIND.FLOAT, KIND.DATASEC],
];
const POINTER_BYTES = 8;
/** MAX_RESOLVE_DEPTH of libbpf. */
const MAX_STEPS = 32;
const EXTERN = 2;
const ARG_TAG = "arg:";
/** Longer names are truncated, except those of sections. */
const MAX_NAME = 255;

export class ObjectBtf {
  readonly #blob: BtfBlob;
  readonly #strings: Buffer;
  readonly #sectionNames: StringTable;
  readonly #symbols: ReadonlyMap<string, ElfSymbol>;
  readonly #datasecs = new Map<string, number>();
  readonly #structs = new Map<string, number>();
  readonly #variables = new Map<number, Variable[]>();
  /** By the id of a function, tags of its arguments. */
  readonly #argTags = new Map<number, Map<number, string[]>>();

  /** @throws SchemaError */
  constructor(section: Buffer, elf: ElfFile) {
    this.#blob = new BtfBlob(section);
    const start = section.readUInt32LE(4) + section.readUInt32LE(16);
    this.#strings = section.subarray(start, start + section.readUInt32LE(20));
    this.#sectionNames = new StringTable(this.#strings, ".BTF");
    const variables = elf.symbols.filter(
      ({ bind, type }) => bind !== STB.LOCAL && type === STT.OBJECT,
    );
    this.#symbols = new Map(variables.map((symbol) => [symbol.name, symbol]));
    for (let id = this.#blob.count - 1; id > 0; id--) {
      const { kind, name } = this.#blob.type(id);
      if (kind === KIND.DATASEC) this.#datasecs.set(this.sectionName(name), id);
      if (kind === KIND.DECL_TAG) this.#addTag(id);
      if (kind === KIND.STRUCT && name > 0) this.#structs.set(this.string(name), id);
    }
  }

  /** Any characters are allowed: names of static variables and of sections have dots. */
  string(offset: number): string {
    if (offset >= this.#strings.length) throw malformed(`.BTF: invalid string offset ${offset}`);
    const text = this.#strings.subarray(offset, offset + MAX_NAME);
    const end = text.indexOf(0);
    return text.toString("latin1", 0, end < 0 ? MAX_NAME : end);
  }

  /** Returns the whole name of a section. */
  sectionName(offset: number): string {
    return this.#sectionNames.at(offset);
  }

  /** @throws SchemaError */
  type(id: number): BtfType {
    return this.#blob.type(id);
  }

  u32(at: number): number {
    return this.#blob.u32(at);
  }

  /** Skips modifiers and typedefs; returns the id and the type. */
  skipModifiers(id: number): [number, BtfType] {
    let [at, type] = [id, this.type(id)];
    for (let steps = 0; MODIFIERS.includes(type.kind); steps++) {
      if (steps === MAX_STEPS)
        throw malformed(`.BTF: type ${id} has more than ${MAX_STEPS} modifiers`);
      at = type.size;
      type = this.type(at);
    }
    return [at, type];
  }

  #addTag(id: number): void {
    const { name, size: of, at } = this.type(id);
    const text = this.string(name);
    if (!text.startsWith(ARG_TAG)) return;
    const tags = this.#argTags.get(of) ?? new Map<number, string[]>();
    const index = this.u32(at);
    tags.set(index, [text.slice(ARG_TAG.length), ...(tags.get(index) ?? [])]);
    this.#argTags.set(of, tags);
  }

  /** Returns the tags of a function's arguments, by index. */
  argTags(id: number): ReadonlyMap<number, readonly string[]> {
    return this.#argTags.get(id) ?? new Map();
  }

  /** btf__resolve_size() */
  resolveSize(id: number): number {
    let count = 1;
    let at = id;
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const [, type] = this.skipModifiers(at);
      const size = SIZED.includes(type.kind) ? type.size : POINTER_BYTES;
      if (SIZED.includes(type.kind) || type.kind === KIND.PTR)
        return this.#checkSize(id, size * count);
      if (type.kind !== KIND.ARRAY) break;
      count = this.#checkSize(id, count * this.u32(type.at + 8));
      at = this.u32(type.at);
    }
    throw malformed(`.BTF: type ${id} has no size`);
  }

  #checkSize(id: number, size: number): number {
    if (size <= 0xffff_ffff) return size;
    throw malformed(`.BTF: type ${id} is larger than 4 GiB`);
  }

  members({ at, vlen, flag }: BtfType): BtfMember[] {
    return Array.from({ length: vlen }, (_, i) => {
      const place = this.u32(at + i * 12 + 8);
      const name = this.string(this.u32(at + i * 12));
      return { name, type: this.u32(at + i * 12 + 4), bit: flag ? place & 0xffffff : place };
    });
  }

  struct(name: string): BtfType | undefined {
    const id = this.#structs.get(name);
    return id === undefined ? undefined : this.type(id);
  }

  /** Returns the id of a DATASEC. */
  datasec(name: string): number | undefined {
    return this.#datasecs.get(name);
  }

  /**
   * Returns the variables of a DATASEC, by offset. The compiler leaves the size and the offsets of
   * global variables zero; they come from the symbols then.
   */
  variables(id: number, section: Section): readonly Variable[] {
    const cached = this.#variables.get(id);
    const all = cached ?? this.#readVariables(id);
    if (!cached) this.#variables.set(id, all);
    const beyond = all.find((each) => each.offset + each.size > section.size);
    if (beyond) throw malformed(`.BTF: ${beyond.name} ends past the section ${section.name}`);
    return all;
  }

  #readVariables(id: number): Variable[] {
    const { at, vlen, size } = this.type(id);
    return Array.from({ length: vlen }, (_, i) => this.#variable(at + i * 12, size === 0)).sort(
      (a, b) => a.offset - b.offset,
    );
  }

  #variable(at: number, unplaced: boolean): Variable {
    const id = this.u32(at);
    const variable = this.type(id);
    if (variable.kind !== KIND.VAR) throw malformed(`.BTF: type ${id} must be a variable`);
    const name = this.string(variable.name);
    const linkage = this.u32(variable.at);
    const placed = { name, type: variable.size, offset: this.u32(at + 4), size: this.u32(at + 8) };
    if (linkage === 0 || linkage === EXTERN) return { ...placed, isGlobal: linkage === EXTERN };
    const symbol = this.#symbols.get(name);
    if (!symbol) throw malformed(`.BTF: the variable ${name} has no symbol`);
    const isGlobal = !HIDDEN.includes(symbol.visibility);
    return { ...placed, ...(unplaced ? { offset: symbol.value } : {}), isGlobal };
  }
}
