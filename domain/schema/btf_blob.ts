import { MAX_NAME, SchemaError } from "./limits.ts";

/**
 * The sections of a raw .BTF blob: the position and the name of each type.
 * Invariant: no size or offset of the blob is trusted.
 */

export const KIND = {
  ...{ INT: 1, PTR: 2, ARRAY: 3, STRUCT: 4, UNION: 5, ENUM: 6, FWD: 7, TYPEDEF: 8, VOLATILE: 9 },
  ...{ CONST: 10, RESTRICT: 11, FUNC: 12, FUNC_PROTO: 13, VAR: 14, DATASEC: 15, FLOAT: 16 },
  ...{ DECL_TAG: 17, TYPE_TAG: 18, ENUM64: 19 },
} as const;

const KIND_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(KIND).map(([name, kind]) => [kind, name]),
);

/** btf_kind_str[] */
export const kindName = (kind: number): string => KIND_NAMES[kind] ?? "UNKNOWN";

/** btf_type_is_modifier() */
export const MODIFIERS: readonly number[] = [
  ...[KIND.TYPEDEF, KIND.VOLATILE, KIND.CONST, KIND.RESTRICT, KIND.TYPE_TAG],
];

/** Bytes after the 12 of struct btf_type, by kind: once, and for each of vlen. */
const BYTES_ONCE = [0, 4, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 4, 0, 0];
const BYTES_EACH = [0, 0, 0, 0, 12, 12, 8, 0, 0, 0, 0, 0, 0, 8, 0, 12, 0, 0, 0, 12];

const MAGIC = 0xeb9f;
const HEADER = 24;
const TYPE = 12;
export const MAX_BLOB = 1 << 20;

/** struct btf_type; `size` is the id of another type where the kind has no size. */
export interface BtfType {
  readonly kind: number;
  readonly flag: boolean;
  readonly vlen: number;
  readonly name: number;
  readonly size: number;
  /** Offset of the bytes after struct btf_type. */
  readonly at: number;
}

function readSection(blob: Buffer, header: number, field: number, what: string): Buffer {
  const [offset, length] = [blob.readUInt32LE(field), blob.readUInt32LE(field + 4)];
  const start = header + offset;
  if (start + length > blob.length) {
    throw new SchemaError(
      `BTF: the ${what} section ends at byte ${start + length} of a blob of ${blob.length}`,
    );
  }
  return blob.subarray(start, start + length);
}

function checkHeader(blob: Buffer): number {
  const requires = (requirement: string, value: number | string) =>
    new SchemaError(`BTF: ${requirement}, got ${value}`);
  if (blob.length > MAX_BLOB) throw requires(`must have at most ${MAX_BLOB} bytes`, blob.length);
  if (blob.length < HEADER) throw requires(`must have at least ${HEADER} bytes`, blob.length);
  const magic = blob.readUInt16LE(0);
  if (blob.readUInt16BE(0) === MAGIC) throw requires("must be little-endian", "big-endian");
  if (magic !== MAGIC) throw requires("the magic must be 0xeb9f", `0x${magic.toString(16)}`);
  const version = blob.readUInt8(2);
  if (version !== 1) throw requires("the version must be 1", version);
  const length = blob.readUInt32LE(4);
  if (length < HEADER) throw requires(`the header's length must be at least ${HEADER}`, length);
  return length;
}

export class BtfBlob {
  readonly #types: Buffer;
  readonly #strings: Buffer;
  /** Offsets of types, by id; 0 is void. */
  readonly #starts: number[] = [-1];

  /** @throws SchemaError */
  constructor(blob: Buffer) {
    const header = checkHeader(blob);
    this.#types = readSection(blob, header, 8, "type");
    this.#strings = readSection(blob, header, 16, "string");
    if (this.#strings.at(0) !== 0 || this.#strings.at(-1) !== 0) {
      throw new SchemaError("BTF: the string section must begin and end with a NUL");
    }
    this.#indexTypes();
  }

  get count(): number {
    return this.#starts.length;
  }

  type(id: number): BtfType {
    const start = this.#starts[id];
    if (start === undefined) {
      throw new SchemaError(`the id of a type must be from 1 to ${this.count - 1}, got ${id}`);
    }
    if (start < 0) throw new SchemaError("void has no size");
    return this.#read(start);
  }

  u32(at: number): number {
    return this.#types.readUInt32LE(at);
  }

  /** Returns an identifier, or "" for none. */
  name(offset: number): string {
    const name = this.#text(offset);
    if (!/^(?:[A-Za-z_]\w*)?$/.test(name))
      throw new SchemaError(`a name must be a C identifier, got ${JSON.stringify(name)}`);
    return name;
  }

  /** Returns the name of a variable as an identifier: those of static variables have dots. */
  label(offset: number): string {
    return this.#text(offset).replace(/\W/g, "_");
  }

  #text(offset: number): string {
    if (offset >= this.#strings.length) {
      const last = this.#strings.length - 1;
      throw new SchemaError(`the offset of a name must be at most ${last}, got ${offset}`);
    }
    const length = this.#strings.subarray(offset, offset + MAX_NAME + 1).indexOf(0);
    if (length < 0) {
      throw new SchemaError(`a name must have at most ${MAX_NAME} characters`);
    }
    return this.#strings.toString("latin1", offset, offset + length);
  }

  /** Equals `name(offset) === name`, but decodes no name. */
  isNamed(offset: number, name: Buffer): boolean {
    const end = offset + name.length;
    return this.#strings.subarray(offset, end).equals(name) && this.#strings.at(end) === 0;
  }

  #read(start: number): BtfType {
    const info = this.u32(start + 4);
    return {
      kind: (info >>> 24) & 0x1f,
      flag: info >>> 31 === 1,
      vlen: info & 0xffff,
      name: this.u32(start),
      size: this.u32(start + 8),
      at: start + TYPE,
    };
  }

  #indexTypes(): void {
    let at = 0;
    while (at < this.#types.length) {
      const id = this.#starts.push(at) - 1;
      const hasHeader = at + TYPE <= this.#types.length;
      const type = hasHeader ? this.#read(at) : undefined;
      if (type && (type.kind === 0 || type.kind >= BYTES_ONCE.length)) {
        throw new SchemaError(
          `type ${id}: the kind must be from 1 to ${BYTES_ONCE.length - 1}, got ${type.kind}`,
        );
      }
      at +=
        TYPE + (type ? (BYTES_ONCE[type.kind] ?? 0) + (BYTES_EACH[type.kind] ?? 0) * type.vlen : 0);
      if (at > this.#types.length) {
        throw new SchemaError(`type ${id}: ends past the type section`);
      }
    }
  }
}
