import { malformed, unsupported } from "./object_errors.ts";
import { StringTable } from "./string_table.ts";

/**
 * An ELF object file as clang writes it for BPF: sections, symbols, relocations.
 * Invariant: no size or offset of the file is trusted.
 */

export interface Section {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** In memory: a section of type SHT_NOBITS has no bytes in the file. */
  readonly size: number;
  readonly data: Buffer;
  readonly link: number;
  readonly info: number;
}

export interface ElfSymbol {
  readonly name: string;
  readonly bind: number;
  readonly type: number;
  readonly visibility: number;
  /** Index of its section, SHN_UNDEF, or a reserved number from 0xff00 on. */
  readonly section: number;
  readonly value: number;
  readonly size: number;
}

export interface Relocation {
  /** Offset in the relocated section. */
  readonly offset: number;
  readonly symbol: ElfSymbol;
}

export const SHT = { PROGBITS: 1, SYMTAB: 2, STRTAB: 3, NOBITS: 8, REL: 9 } as const;
export const SHF_EXECINSTR = 4;
export const STB = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;
export const STT = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3 } as const;
/** STV_INTERNAL and STV_HIDDEN: libbpf treats them as static. */
export const HIDDEN: readonly number[] = [1, 2];

const HEADER = 64;
const SECTION = 64;
const SYMBOL = 24;
const REL = 16;
const LITTLE_ENDIAN = 1;
const ET_REL = 1;
const EM_BPF = 247;
const NONE = Buffer.alloc(0);

/** Exact below 2^53; a larger number still exceeds every file. */
const u64 = (bytes: Buffer, at: number) => Number(bytes.readBigUInt64LE(at));

function checkHeader(file: Buffer): void {
  if (file.length < HEADER || file.readUInt32BE(0) !== 0x7f454c46)
    throw malformed("not an ELF file");
  if (file[4] !== 2) throw malformed("ELF: class must be ELFCLASS64");
  if (file[5] !== LITTLE_ENDIAN) throw unsupported("ELF: big-endian objects are not supported");
  const [type, machine] = [file.readUInt16LE(16), file.readUInt16LE(18)];
  if (type !== ET_REL) throw malformed(`ELF: type must be ET_REL (1), got ${type}`);
  if (machine !== 0 && machine !== EM_BPF)
    throw malformed(`ELF: machine must be EM_BPF (247), got ${machine}`);
}

export function groupBy<T>(list: readonly T[], key: (item: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of list) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

export class ElfFile {
  readonly sections: readonly Section[];
  readonly symbols: readonly ElfSymbol[];
  /** Relocation sections, by the section that they relocate. */
  readonly #tables: ReadonlyMap<number, readonly Section[]>;

  /** @throws EINVAL, EOPNOTSUPP */
  constructor(file: Buffer) {
    checkHeader(file);
    this.sections = readSections(file);
    this.symbols = this.#readSymbols();
    const tables = this.sections.filter(({ type }) => type === SHT.REL);
    this.#tables = groupBy(tables, ({ info }) => info);
  }

  /** Returns the first section with that name. */
  section(name: string): Section | undefined {
    return this.sections.find((section) => section.name === name);
  }

  /** Yields the relocations of a section in file order. */
  *relocations(target: Section): Generator<Relocation> {
    for (const { name, data } of this.#tables.get(target.index) ?? []) {
      if (data.length % REL > 0) throw malformed(`section ${name}: truncated`);
      for (let at = 0; at < data.length; at += REL) {
        const offset = u64(data, at);
        const symbol = this.symbols[data.readUInt32LE(at + 12)];
        if (!symbol) throw malformed(`section ${name}: a relocation has an invalid symbol index`);
        if (offset % 8 > 0 || offset >= target.size) {
          throw malformed(`section ${name}: invalid relocation offset ${offset}`);
        }
        yield { offset, symbol };
      }
    }
  }

  #readSymbols(): ElfSymbol[] {
    const tables = this.sections.filter(({ type }) => type === SHT.SYMTAB);
    const [table, more] = tables;
    if (!table || more)
      throw malformed(`ELF: must have exactly one symbol table, got ${tables.length}`);
    const strings = this.sections[table.link];
    if (strings?.type !== SHT.STRTAB) throw malformed("ELF: the symbol table has no string table");
    const names = new StringTable(strings.data, "ELF");
    const { data } = table;
    if (data.length % SYMBOL > 0) throw malformed("ELF: the symbol table is truncated");
    return Array.from({ length: data.length / SYMBOL }, (_, i) => {
      const at = i * SYMBOL;
      const info = data.readUInt8(at + 4);
      return {
        name: names.at(data.readUInt32LE(at)),
        bind: info >> 4,
        type: info & 0xf,
        visibility: data.readUInt8(at + 5) & 3,
        section: data.readUInt16LE(at + 6),
        value: u64(data, at + 8),
        size: u64(data, at + 16),
      };
    });
  }
}

function readSections(file: Buffer): Section[] {
  const start = u64(file, 40);
  const [size, count, names] = [58, 60, 62].map((at) => file.readUInt16LE(at)) as [
    number,
    number,
    number,
  ];
  if (size !== SECTION)
    throw malformed(`ELF: section headers must have ${SECTION} bytes, got ${size}`);
  if (start + count * SECTION > file.length) {
    throw malformed("ELF: the section headers end past the file");
  }
  const at = (i: number) => start + i * SECTION;
  if (names >= count) throw malformed("ELF: the section name table is missing");
  const table = new StringTable(contents(file, at(names), "of names"), "ELF");
  return Array.from({ length: count }, (_, index) => {
    const header = at(index);
    const name = table.at(file.readUInt32LE(header));
    return {
      index,
      name,
      type: file.readUInt32LE(header + 4),
      flags: u64(file, header + 8),
      size: u64(file, header + 32),
      data: contents(file, header, name),
      link: file.readUInt32LE(header + 40),
      info: file.readUInt32LE(header + 44),
    };
  });
}

/** SHT_NULL and SHT_NOBITS have no contents. */
function contents(file: Buffer, header: number, name: string): Buffer {
  const type = file.readUInt32LE(header + 4);
  if (type === 0 || type === SHT.NOBITS) return NONE;
  const [offset, size] = [u64(file, header + 24), u64(file, header + 32)];
  if (offset + size > file.length) throw malformed(`section ${name} ends past the file`);
  return file.subarray(offset, offset + size);
}
