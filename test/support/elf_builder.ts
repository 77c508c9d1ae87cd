/** Builds object files by hand for cases that no compiler produces. */

export interface BuiltSection {
  name: string;
  type?: number;
  flags?: number;
  data: Buffer;
  /** The index of a section; the given sections are numbered from 1. */
  info?: number;
}

export interface BuiltSymbol {
  name: string;
  section: number;
  value?: number;
  size?: number;
  /** The default is STB_GLOBAL and STT_FUNC. */
  info?: number;
}

const PROGBITS = 1;
const SYMTAB = 2;
const STRTAB = 3;
const GLOBAL_FUNC = 0x12;

export const CODE = 6;

class Strings {
  readonly #places = new Map<string, number>([["", 0]]);
  #size = 1;

  at(text: string): number {
    const known = this.#places.get(text);
    if (known !== undefined) return known;
    const at = this.#size;
    this.#places.set(text, at);
    this.#size += text.length + 1;
    return at;
  }

  get bytes(): Buffer {
    return Buffer.from(`${[...this.#places.keys()].join("\0")}\0`, "latin1");
  }
}

function words(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}

function symbolBytes({ name, section, value = 0, size = 0, info }: BuiltSymbol, strings: Strings) {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32LE(strings.at(name), 0);
  bytes.writeUInt8(info ?? GLOBAL_FUNC, 4);
  bytes.writeUInt16LE(section, 6);
  bytes.writeBigUInt64LE(BigInt(value), 8);
  bytes.writeBigUInt64LE(BigInt(size), 16);
  return bytes;
}

/**
 * Writes the header, the contents of all sections, then the section headers; symbols and names come
 * last.
 */
export function buildElf(sections: BuiltSection[], symbols: BuiltSymbol[]): Buffer {
  const strings = new Strings();
  const table = symbols.map((symbol) => symbolBytes(symbol, strings));
  const link = sections.length + 2;
  const symtab = Buffer.concat([Buffer.alloc(24), ...table]);
  const all = [
    { name: "", type: 0, data: Buffer.alloc(0) },
    ...sections,
    { name: ".symtab", type: SYMTAB, data: symtab, link },
    { name: ".strtab", type: STRTAB, data: Buffer.alloc(0) },
  ];
  for (const { name } of all) strings.at(name);
  all[link] = { name: ".strtab", type: STRTAB, data: strings.bytes };
  let offset = 64;
  const headers = all.map((section) => {
    const { name, type = PROGBITS, data } = section;
    const { flags = 0, info = 0 } = section as BuiltSection;
    const at = offset;
    offset += data.length;
    const to = "link" in section ? link : 0;
    const head = words(strings.at(name), type, flags, 0, 0, 0, at, 0, data.length, 0, to, info);
    return Buffer.concat([head, words(8, 0, 0, 0)]);
  });
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  for (const [at, value] of [
    [16, 1],
    [18, 247],
    [58, 64],
    [60, all.length],
    [62, link],
  ] as const) {
    header.writeUInt16LE(value, at);
  }
  header.writeUInt32LE(offset, 40);
  return Buffer.concat([header, ...all.map(({ data }) => data), ...headers]);
}

export interface BuiltType {
  name?: string;
  kind: number;
  vlen?: number;
  /** The size of the type, or the id of another type. */
  size?: number;
  /** The 32-bit words after the type; a string is replaced by the offset of that name. */
  rest?: (number | string)[];
}

/** Builds a .BTF section whose first type has the id 1. */
export function buildBtf(types: BuiltType[]): Buffer {
  const strings = new Strings();
  const bytes = Buffer.concat(
    types.map(({ name = "", kind, vlen = 0, size = 0, rest = [] }) => {
      const more = rest.map((word) => (typeof word === "string" ? strings.at(word) : word));
      return words(strings.at(name), kind * 2 ** 24 + vlen, size, ...more);
    }),
  );
  const header = words(0x1eb9f, 24, 0, bytes.length, bytes.length, strings.bytes.length);
  return Buffer.concat([header, bytes, strings.bytes]);
}
