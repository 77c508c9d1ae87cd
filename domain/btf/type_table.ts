/** The types of a BTF by id. During the first pass it has only the types already read. */

/** struct btf_type */
export interface BtfTypeRecord {
  readonly id: number;
  readonly kind: number;
  readonly vlen: number;
  readonly kindFlag: boolean;
  /** Offset of the name in the strings. */
  readonly name: number;
  /** The size, or the id of another type where the kind has none. */
  readonly size: number;
  /** Offset in the blob of what follows struct btf_type. */
  readonly at: number;
}

/** struct btf_member, btf_param or btf_var_secinfo: three words, of which a parameter has two. */
export interface BtfPart {
  readonly first: number;
  readonly second: number;
  readonly third: number;
}

export const TYPE_BYTES = 12;
export const MEMBER_BYTES = 12;
export const PARAM_BYTES = 8;
/** More bytes of a name are never looked at: names end anywhere, also in the middle of a long string. */
const SHOWN_BYTES = 1024;
/** BTF_MAX_TYPE */
export const MAX_TYPE_ID = 0xf_ffff;

export const VOID: BtfTypeRecord = {
  ...{ id: 0, kind: 0, vlen: 0, kindFlag: false, name: 0, size: 0, at: 0 },
};

export class TypeTable {
  readonly blob: Buffer;
  /** Offsets of the types in the blob, by id. */
  readonly #places: number[] = [0];
  readonly #strings: number;
  readonly #stringBytes: number;

  constructor(blob: Buffer, strings: number, stringBytes: number) {
    this.blob = blob;
    this.#strings = strings;
    this.#stringBytes = stringBytes;
  }

  /** Number of the types, and of void. */
  get count(): number {
    return this.#places.length;
  }

  get stringBytes(): number {
    return this.#stringBytes;
  }

  add(place: number): void {
    this.#places.push(place);
  }

  /** btf_type_by_id() */
  type(id: number): BtfTypeRecord | undefined {
    if (id === 0) return VOID;
    const place = this.#places[id];
    return place === undefined ? undefined : this.read(place, id);
  }

  read(place: number, id: number): BtfTypeRecord {
    const info = this.blob.readUInt32LE(place + 4);
    return {
      id,
      kind: (info >>> 24) & 0x1f,
      vlen: info & 0xffff,
      kindFlag: info >>> 31 === 1,
      name: this.blob.readUInt32LE(place),
      size: this.blob.readUInt32LE(place + 8),
      at: place + TYPE_BYTES,
    };
  }

  u32(at: number): number {
    return this.blob.readUInt32LE(at);
  }

  /** The i-th member, parameter or variable of a type. */
  part({ at }: BtfTypeRecord, i: number, bytes: number): BtfPart {
    const place = at + i * bytes;
    return {
      first: this.u32(place),
      second: this.u32(place + 4),
      third: bytes > PARAM_BYTES ? this.u32(place + 8) : 0,
    };
  }

  parts(type: BtfTypeRecord, bytes: number): BtfPart[] {
    return Array.from({ length: type.vlen }, (_, i) => this.part(type, i, bytes));
  }

  /** btf_name_offset_valid() */
  hasString(offset: number): boolean {
    return offset < this.#stringBytes;
  }

  /** The bytes of a string up to its NUL, at most `limit`; undefined past the strings. */
  bytes(offset: number, limit = SHOWN_BYTES): Buffer | undefined {
    if (!this.hasString(offset)) return undefined;
    const start = this.#strings + offset;
    const bytes = this.blob.subarray(start, start + limit);
    const end = bytes.indexOf(0);
    return end < 0 ? bytes : bytes.subarray(0, end);
  }

  /** The string as one character a byte, as `__btf_name_by_offset()` shows it. */
  name(offset: number): string {
    if (offset === 0) return "(anon)";
    return this.bytes(offset)?.toString("latin1") ?? "(invalid-name-offset)";
  }

  /** The string as it is, "" for none. */
  string(offset: number): string {
    return this.bytes(offset)?.toString("latin1") ?? "";
  }
}
