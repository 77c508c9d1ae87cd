import { BtfBlob, type BtfType, KIND } from "./btf_blob.ts";
import { findWidthError, makeBitfield } from "./c/layout.ts";
import { POINTER } from "./c/names.ts";
import { MAX_NODES, SchemaError } from "./limits.ts";
import { opaqueAlias } from "./spin_lock.ts";
import { isRecord, type RecordMember, type Type } from "./type.ts";
import {
  applyTypedef,
  LOCK,
  MemberCheck,
  makeArray,
  makeEnum,
  makeRecord,
  markAsLock,
} from "./type_builders.ts";

/** Reads the types of a BTF blob, by id or by name (Documentation/bpf/btf.rst). */

const SIGNED = 1;
const BOOL = 4;
const CHAR = Buffer.from("char");
const LOCK_TAG = Buffer.from(LOCK.slice("struct ".length));
/** Includes modifiers and typedefs; a type that contains itself exceeds it. */
const MAX_STEPS = 64;
const MODIFIERS: readonly number[] = [KIND.VOLATILE, KIND.CONST, KIND.RESTRICT, KIND.TYPE_TAG];
const TAGGED: Readonly<Record<string, readonly number[]>> = {
  struct: [KIND.STRUCT],
  union: [KIND.UNION],
  enum: [KIND.ENUM, KIND.ENUM64],
};

function checkSize(size: number, sizes: readonly number[]): void {
  if (!sizes.includes(size)) {
    throw new SchemaError(`the size must be one of ${sizes.join(", ")}, got ${size}`);
  }
}

/** Adds the id of the type to an error. */
function withTypeId<T>(id: number, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof SchemaError) {
      throw new SchemaError(`type ${id}: ${error.message}`, error.code);
    }
    throw error;
  }
}

export class Btf {
  readonly #blob: BtfBlob;
  readonly #types = new Map<number, Type>();

  /** @throws SchemaError */
  constructor(blob: Buffer) {
    this.#blob = new BtfBlob(blob);
  }

  /** "struct flow", "u32", "long unsigned int". @throws SchemaError when the type has no values. */
  findType(name: string): Type | undefined {
    const [, keyword = "", tag = name] = /^(struct|union|enum) +(\w+)$/.exec(name) ?? [];
    const kinds = TAGGED[keyword] ?? [KIND.TYPEDEF, KIND.INT, KIND.FLOAT];
    const tagBytes = Buffer.from(tag);
    for (let id = 1; id < this.#blob.count; id++) {
      const btf = this.#blob.type(id);
      if (kinds.includes(btf.kind) && this.#blob.isNamed(btf.name, tagBytes)) return this.type(id);
    }
    return undefined;
  }

  /** @throws SchemaError with the id of the type at fault. */
  type(id: number, steps = 0): Type {
    const cached = this.#types.get(id);
    if (cached) return cached;
    const btf = withTypeId(id, () => this.#blob.type(id));
    if (steps > MAX_STEPS) {
      throw new SchemaError(
        `type ${id}: must be nested at most ${MAX_STEPS} deep, or holds itself`,
      );
    }
    const type = this.#buildType(id, btf, steps + 1);
    this.#types.set(id, type);
    return type;
  }

  #buildType(id: number, btf: BtfType, steps: number): Type {
    if (MODIFIERS.includes(btf.kind)) return opaqueAlias(this.type(btf.size, steps));
    if (btf.kind === KIND.STRUCT || btf.kind === KIND.UNION)
      return this.#buildRecord(id, btf, steps);
    if (btf.kind === KIND.DATASEC) return this.#buildSection(id, btf, steps);
    if (btf.kind === KIND.TYPEDEF) {
      const type = this.type(btf.size, steps);
      return withTypeId(id, () => applyTypedef(this.#blob.name(btf.name), type));
    }
    if (btf.kind === KIND.ARRAY) {
      const element = this.type(this.#blob.u32(btf.at), steps);
      return withTypeId(id, () => makeArray(element, this.#blob.u32(btf.at + 8)));
    }
    return withTypeId(id, () => this.#buildLeaf(btf));
  }

  #buildLeaf(btf: BtfType): Type {
    switch (btf.kind) {
      case KIND.INT:
        return this.#buildInteger(btf);
      case KIND.FLOAT:
        checkSize(btf.size, [4, 8]);
        return { kind: "float", size: btf.size };
      case KIND.PTR:
        return POINTER.type;
      case KIND.ENUM:
      case KIND.ENUM64:
        return this.#buildEnum(btf);
      case KIND.FWD:
        throw new SchemaError(`${this.#blob.name(btf.name)} is declared, but not defined`);
      default:
        throw new SchemaError(`the kind must be one that describes data, got ${btf.kind}`);
    }
  }

  #buildInteger(btf: BtfType): Type {
    checkSize(btf.size, [1, 2, 4, 8, 16]);
    const data = this.#blob.u32(btf.at);
    if ((data & 0xffffff) !== btf.size * 8) {
      throw new SchemaError(
        `an integer must have offset 0 and ${btf.size * 8} bits: members describe bitfields`,
      );
    }
    const encoding = data >>> 24;
    if (encoding & BOOL) return { kind: "bool", size: btf.size, signed: false };
    const isChar = btf.size === 1 && this.#blob.isNamed(btf.name, CHAR);
    return { kind: isChar ? "char" : "int", size: btf.size, signed: (encoding & SIGNED) !== 0 };
  }

  /** A constant has 32 or 64 bits, independent of the size of the enum. */
  #buildEnum(btf: BtfType): Type {
    checkSize(btf.size, [1, 2, 4, 8]);
    if (btf.vlen > MAX_NODES) {
      throw new SchemaError(`an enum must have at most ${MAX_NODES} constants, got ${btf.vlen}`);
    }
    const is64Bit = btf.kind === KIND.ENUM64;
    const constants = Array.from({ length: btf.vlen }, (_, i) => {
      const at = btf.at + i * (is64Bit ? 12 : 8);
      const high = is64Bit ? BigInt(this.#blob.u32(at + 8)) << 32n : 0n;
      const raw = BigInt(this.#blob.u32(at + 4)) | high;
      const bits = btf.size * 8;
      const value = btf.flag
        ? BigInt.asIntN(bits, BigInt.asIntN(is64Bit ? 64 : 32, raw))
        : BigInt.asUintN(bits, raw);
      return [this.#blob.name(this.#blob.u32(at)), value] as const;
    });
    return makeEnum(btf.size, btf.flag, constants);
  }

  #buildRecord(id: number, btf: BtfType, steps: number): Type {
    const check = new MemberCheck();
    const members: RecordMember[] = [];
    let end = 0;
    for (let i = 0; i < btf.vlen; i++) {
      const at = btf.at + i * 12;
      const type = this.type(this.#blob.u32(at + 4), steps);
      withTypeId(id, () => {
        const member = this.#buildMember(btf, at, type, end);
        if (member.name === "" && !isRecord(type)) return;
        members.push({ ...member, name: check.addRepeatable(member.name, type) });
        if (btf.kind === KIND.STRUCT) end = endBit(member);
      });
    }
    const kind = btf.kind === KIND.UNION ? "union" : "struct";
    const type = withTypeId(id, () => makeRecord(kind, btf.size, members));
    const isLock = kind === "struct" && this.#blob.isNamed(btf.name, LOCK_TAG);
    return isLock ? markAsLock(type) : type;
  }

  /** A section of variables is the only element of its map; the variables are its members. */
  #buildSection(id: number, btf: BtfType, steps: number): Type {
    const check = new MemberCheck();
    const members = Array.from({ length: btf.vlen }, (_, i): RecordMember => {
      const at = btf.at + i * 12;
      const variable = this.#blob.type(this.#blob.u32(at));
      if (variable.kind !== KIND.VAR)
        throw new SchemaError(`type ${id}: must have only variables, got kind ${variable.kind}`);
      const type = this.type(variable.size, steps);
      const offset = this.#blob.u32(at + 4);
      if (offset + type.size > btf.size)
        throw new SchemaError(`type ${id}: a variable ends past the ${btf.size} bytes`);
      const name = this.#blob.label(variable.name);
      return { name: check.addRepeatable(name, type), offset, type };
    });
    return withTypeId(id, () => makeRecord("struct", btf.size, members));
  }

  /** @param previousEnd the bit after the previous member. */
  #buildMember(btf: BtfType, at: number, type: Type, previousEnd: number): RecordMember {
    const name = this.#blob.name(this.#blob.u32(at));
    const bitOffset = this.#blob.u32(at + 8);
    const bit = btf.flag ? bitOffset & 0xffffff : bitOffset;
    const width = btf.flag ? bitOffset >>> 24 : 0;
    const error =
      width > 0
        ? findWidthError(type, width)
        : bit % 8 > 0 && `must begin at a byte, got bit ${bit}`;
    if (error) throw new SchemaError(`member "${name}": ${error}`);
    const member =
      width > 0 ? makeBitfield(name, bit, width, type) : { name, offset: bit / 8, type };
    const isInOrder = btf.kind === KIND.UNION ? bit === 0 : bit >= previousEnd;
    if (!isInOrder) {
      const allowed = btf.kind === KIND.UNION ? "must be 0" : `must be at least ${previousEnd}`;
      throw new SchemaError(`member "${name}": the bit offset ${allowed}, got ${bit}`);
    }
    if (endBit(member) > btf.size * 8) {
      throw new SchemaError(`member "${name}": must end within the ${btf.size} bytes of its type`);
    }
    return member;
  }
}

/** The bit after a member. */
function endBit({ offset, bits, type }: RecordMember): number {
  return offset * 8 + (bits ? bits.shift + bits.width : type.size * 8);
}
