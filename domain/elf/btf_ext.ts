import { INSN_SIZE } from "../isa/insn.ts";
import type { Func } from "./functions.ts";
import type { ObjectBtf } from "./object_btf.ts";
import { malformed, unsupported } from "./object_errors.ts";

/** The .BTF.ext section: the types of functions, and CO-RE relocations. */

const MAGIC = 0xeb9f;
const RECORD = 8;
const MIN_HEADER = 24;
/** clang before version 10 writes a header without relocations. */
const CORE_HEADER = 32;

/** Yields the records of a part, each with the name of its section. */
function* records(part: Buffer, btf: ObjectBtf): Generator<[section: string, record: Buffer]> {
  if (part.length === 0) return;
  if (part.length < 4) throw malformed(".BTF.ext: the record size is missing");
  const size = part.readUInt32LE(0);
  if (size < RECORD) {
    throw malformed(`.BTF.ext: the record size must be at least ${RECORD}, got ${size}`);
  }
  for (let at = 4; at < part.length; ) {
    if (at + 8 > part.length) throw malformed(".BTF.ext: truncated");
    const name = btf.sectionName(part.readUInt32LE(at));
    const end = at + 8 + part.readUInt32LE(at + 4) * size;
    if (end > part.length) throw malformed(".BTF.ext: records end past their section");
    for (at += 8; at < end; at += size) yield [name, part.subarray(at, at + size)];
  }
}

export class BtfExt {
  /** Ids of the types of functions, by "section instruction". */
  readonly #types = new Map<string, number>();

  /** @throws EINVAL; EOPNOTSUPP for CO-RE relocations */
  constructor(section: Buffer, btf: ObjectBtf) {
    if (section.length < MIN_HEADER) {
      throw malformed(`.BTF.ext: must have at least ${MIN_HEADER} bytes, got ${section.length}`);
    }
    const magic = section.readUInt16LE(0);
    if (magic !== MAGIC) {
      throw malformed(`.BTF.ext: the magic must be 0xeb9f, got 0x${magic.toString(16)}`);
    }
    const header = section.readUInt32LE(4);
    const part = (field: number) => {
      const start = header + section.readUInt32LE(field);
      const end = start + section.readUInt32LE(field + 4);
      if (end > section.length) throw malformed(".BTF.ext: a part ends past the section");
      return section.subarray(start, end);
    };
    for (const [name, record] of records(part(8), btf)) {
      this.#types.set(`${name} ${record.readUInt32LE(0) / INSN_SIZE}`, record.readUInt32LE(4));
    }
    if (header < CORE_HEADER || section.length < CORE_HEADER) return;
    for (const [name, record] of records(part(24), btf)) {
      const target = btf.string(btf.type(record.readUInt32LE(4)).name);
      throw unsupported(
        `section '${name}': CO-RE relocation against '${target}', but there is no kernel BTF`,
      );
    }
  }

  /** Returns the id of the type of a function, or undefined without type information. */
  funcTypeId({ section, start }: Func): number | undefined {
    return this.#types.get(`${section.name} ${start}`);
  }
}
