import { KIND } from "../schema/btf_blob.ts";
import { MAX_NAME } from "../schema/limits.ts";
import type { SchemaAttr } from "../schema/schema.ts";
import type { Section } from "./elf_file.ts";
import type { ObjectBtf } from "./object_btf.ts";
import { tooBig } from "./object_errors.ts";

/**
 * Extracts the types of one map's key and value into a BTF blob of their own, so that a schema
 * costs what it needs and not what the whole object has. A section of variables becomes a struct.
 */

const HEADER = 24;
/** For one map, about the limit of a stored schema. */
const MAX_BYTES = 1 << 16;
/** Members or constants of one type. */
const MAX_VLEN = 4096;
const FOLLOWED: readonly number[] = [
  ...[KIND.TYPEDEF, KIND.VOLATILE, KIND.CONST, KIND.RESTRICT, KIND.TYPE_TAG],
];

/** A word of an encoded type: a number, or an id or a name that is not renumbered yet. */
type Word = number | { type: number } | { name: string };

function encodeType(btf: ObjectBtf, id: number, section: Section | undefined): [number, Word[]] {
  const { kind, flag, vlen, name, size, at } = btf.type(id);
  const info = ((flag ? 1 << 31 : 0) | (kind << 24) | vlen) >>> 0;
  const u32 = (n: number) => btf.u32(at + 4 * n);
  const named = { name: btf.string(name) };
  const mapEach = (step: number, word: (n: number) => Word[]) =>
    Array.from({ length: vlen }, (_, i) => word(i * step)).flat();
  const label = (n: number) => ({ name: btf.string(u32(n)) });
  if (FOLLOWED.includes(kind)) return [info, [named, { type: size }]];
  switch (kind) {
    case KIND.INT:
      return [info, [named, size, u32(0)]];
    case KIND.FLOAT:
      return [info, [named, size]];
    case KIND.PTR:
      return [info, [named, 0]];
    case KIND.ARRAY:
      return [info, [named, 0, { type: u32(0) }, 0, u32(2)]];
    case KIND.STRUCT:
    case KIND.UNION:
      return [
        info,
        [named, size, ...mapEach(3, (n) => [label(n), { type: u32(n + 1) }, u32(n + 2)])],
      ];
    case KIND.ENUM:
      return [info, [named, size, ...mapEach(2, (n) => [label(n), u32(n + 1)])]];
    case KIND.ENUM64:
      return [info, [named, size, ...mapEach(3, (n) => [label(n), u32(n + 1), u32(n + 2)])]];
    case KIND.DATASEC:
      if (section) return variables(btf, id, section);
  }
  throw tooBig(`.BTF: type ${id} of kind ${kind} has no values`);
}

function variables(btf: ObjectBtf, id: number, section: Section): [number, Word[]] {
  const all = btf
    .variables(id, section)
    .map(({ name, type, offset }): Word[] => [{ name }, { type }, offset * 8]);
  const info = ((KIND.STRUCT << 24) | all.length) >>> 0;
  return [info, [{ name: section.name }, section.size, ...all.flat()]];
}

/** Bytes of types for all maps of an object. */
export interface Budget {
  left: number;
}

class Excerpt {
  readonly #btf: ObjectBtf;
  readonly #budget: Budget;
  /** The old ids, at the index of the new id less 1. */
  readonly #ids: number[] = [];
  readonly #newIds = new Map<number, number>();
  readonly #names = new Map<string, number>([["", 0]]);
  #nameBytes = 1;
  #bytes = 0;

  constructor(btf: ObjectBtf, budget: Budget) {
    this.#btf = btf;
    this.#budget = budget;
  }

  /** Adds a type and returns its new id. */
  add(id: number): number {
    if (id === 0) return 0;
    const existing = this.#newIds.get(id);
    if (existing !== undefined) return existing;
    const newId = this.#ids.push(id);
    this.#newIds.set(id, newId);
    return newId;
  }

  #name(text: string): number {
    const name = text.replace(/\W/g, "_").slice(0, MAX_NAME);
    const existing = this.#names.get(name);
    if (existing !== undefined) return existing;
    const at = this.#nameBytes;
    this.#names.set(name, at);
    this.#nameBytes += name.length + 1;
    return at;
  }

  #spend(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.left -= bytes;
    if (this.#bytes > MAX_BYTES || this.#budget.left < 0)
      throw tooBig(".BTF: the types of a map must take at most 64 KiB");
  }

  /** The name is the first word, the info the second. */
  #type(id: number, section: Section | undefined): Uint32Array {
    if (this.#btf.type(id).vlen > MAX_VLEN)
      throw tooBig(`.BTF: type ${id} must have at most ${MAX_VLEN} members`);
    const [info, [name = 0, ...rest]] = encodeType(this.#btf, id, section);
    this.#spend(4 * (rest.length + 2));
    const resolveWord = (word: Word) => {
      if (typeof word === "number") return word;
      return "name" in word ? this.#name(word.name) : this.add(word.type);
    };
    return Uint32Array.from([resolveWord(name), info, ...rest.map(resolveWord)]);
  }

  /** @param section the section that the DATASEC describes. */
  blob(section: Section | undefined): Buffer {
    const types: Buffer[] = [];
    // The loop appends to #ids while it runs.
    for (const id of this.#ids) types.push(Buffer.from(this.#type(id, section).buffer));
    const names = Buffer.from(`${[...this.#names.keys()].join("\0")}\0`, "latin1");
    const header = Buffer.alloc(HEADER);
    const typeBytes = this.#bytes;
    header.writeUInt32LE(0x1eb9f, 0);
    for (const [i, word] of [HEADER, 0, typeBytes, typeBytes, names.length].entries()) {
      header.writeUInt32LE(word, 4 + 4 * i);
    }
    return Buffer.concat([header, ...types, names]);
  }
}

/** Returns undefined without types or budget. @throws Errno, SchemaError */
export function extractTypes(
  btf: ObjectBtf,
  key: number,
  value: number,
  budget: Budget,
  section?: Section,
): SchemaAttr | undefined {
  if ((key === 0 && value === 0) || budget.left <= 0) return undefined;
  const types = new Excerpt(btf, budget);
  const [btf_key_type_id, btf_value_type_id] = [types.add(key), types.add(value)];
  const blob = types.blob(section).toString("base64");
  return { btf: blob, btf_key_type_id, btf_value_type_id };
}
