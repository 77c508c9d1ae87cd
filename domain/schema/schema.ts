import { Errno, einval, type FieldPath, fieldPath } from "../errno.ts";
import { Btf } from "./btf.ts";
import { declareC, parseC } from "./c/parser.ts";
import { Scope } from "./c/scope.ts";
import { SchemaError } from "./limits.ts";
import { valueLockOffsets } from "./spin_lock.ts";
import type { Type } from "./type.ts";

/**
 * The schema of a map: the types of its keys and values, given at creation and stored with the
 * map.
 */

/** `key` and `value` are C-like types, or names of types in `btf`. */
export interface SchemaAttr {
  key?: string;
  value?: string;
  declarations?: string;
  /** Base64 of a raw .BTF section. */
  btf?: string;
  btf_key_type_id?: number;
  btf_value_type_id?: number;
}

/** The types of one element; in a per-CPU map, of the value on one CPU. */
export interface Schema {
  readonly key?: Type;
  readonly value?: Type;
}

const MAX_STORED = 64 << 10;

/** Adds the field of the text or the blob to an error. */
function withField<T>(field: FieldPath, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof SchemaError ? new Errno(error.code, error.message, { field }) : error;
  }
}

function readBtf(text: string): Btf {
  const blob = Buffer.from(text, "base64");
  if (blob.toString("base64") !== text)
    throw new SchemaError("must be canonical base64 with padding");
  return new Btf(blob);
}

class SchemaSources {
  readonly #attr: SchemaAttr;
  readonly #field: FieldPath;
  readonly #scope = new Scope();
  readonly #btf: Btf | undefined;

  constructor(attr: SchemaAttr, field: FieldPath) {
    const { declarations, btf } = attr;
    this.#attr = attr;
    this.#field = field;
    if (declarations !== undefined) {
      withField(fieldPath(field, "declarations"), () => declareC(declarations, this.#scope));
    }
    this.#btf =
      btf === undefined ? undefined : withField(fieldPath(field, "btf"), () => readBtf(btf));
  }

  /** The id 0 means none, as in union bpf_attr. */
  type(part: "key" | "value", size: number): Type | undefined {
    const text = this.#attr[part];
    const byId = `btf_${part}_type_id` as const;
    const id = this.#attr[byId] || undefined;
    if (text === undefined && id === undefined) return undefined;
    const field = fieldPath(this.#field, id === undefined ? part : byId);
    if (text !== undefined && id !== undefined)
      throw einval(`must not be given together with ${part}`, field);
    const type = withField(field, () =>
      text === undefined ? this.#byId(id ?? 0) : this.#byText(text),
    );
    if (type.size === size) return type;
    throw einval(
      `the type must have the ${size} bytes of ${part}_size, got ${type.size} bytes`,
      field,
    );
  }

  #byId(id: number): Type {
    if (!this.#btf) throw new SchemaError("needs `btf`, which is missing");
    return this.#btf.type(id);
  }

  #byText(text: string): Type {
    return this.#btf?.findType(text.trim()) ?? parseC(text, this.#scope);
  }
}

export interface CompiledSchema {
  /** The stored form, for parseSchema(). */
  readonly stored: string;
  /** Offsets of the locks in a value; programs use the last one. */
  readonly locks: readonly number[];
}

/**
 * @param field the argument that `attr` is
 * @throws EINVAL with line and column, or the BTF's type id; E2BIG; EFAULT
 */
export function compileSchema(
  attr: SchemaAttr,
  key_size: number,
  value_size: number,
  field: FieldPath = "schema",
): CompiledSchema {
  const sources = new SchemaSources(attr, field);
  const key = sources.type("key", key_size);
  const value = sources.type("value", value_size);
  if (!key && !value) throw einval("must describe the key, the value or both", field);
  const stored = JSON.stringify({ key, value });
  const locks = value ? valueLockOffsets(value) : [];
  const bytes = Buffer.byteLength(stored);
  if (bytes <= MAX_STORED) return { stored, locks };
  throw new Errno(
    "E2BIG",
    `the schema must take at most ${MAX_STORED} bytes when stored, got ${bytes}`,
    {
      field,
    },
  );
}

/** @param stored the stored form of compileSchema(). */
export function parseSchema(stored: string): Schema {
  return JSON.parse(stored);
}
