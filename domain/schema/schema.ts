/** The schema of a map: what its keys and values mean, given at creation and stored beside it. */

import { Errno, einval } from "../errno.ts";
import { Btf } from "./btf.ts";
import { declareC, parseC } from "./c/parser.ts";
import { Scope } from "./c/scope.ts";
import { SchemaError } from "./limits.ts";
import { locksOf } from "./spin_lock.ts";
import type { Type } from "./type.ts";

/** Texts are C-like types; with `btf` they may be names of its types instead. */
export interface SchemaAttr {
  key?: string;
  value?: string;
  declarations?: string;
  /** Base64 of a raw .BTF section. */
  btf?: string;
  btf_key_type_id?: number;
  btf_value_type_id?: number;
}

/** Each describes the bytes of one element; of a per-CPU map, those of one CPU. */
export interface Schema {
  readonly key?: Type;
  readonly value?: Type;
}

const MAX_STORED = 64 << 10;

/** A text or a blob is at fault at its own field. */
function blame<T>(pointer: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof SchemaError ? new Errno(error.code, error.message, { pointer }) : error;
  }
}

function readBtf(text: string): Btf {
  const blob = Buffer.from(text, "base64");
  if (blob.toString("base64") !== text) throw new SchemaError("not canonical base64 with padding");
  return new Btf(blob);
}

class Sources {
  readonly #given: SchemaAttr;
  readonly #pointer: string;
  readonly #scope = new Scope();
  readonly #btf: Btf | undefined;

  constructor(given: SchemaAttr, pointer: string) {
    const { declarations, btf } = given;
    this.#given = given;
    this.#pointer = pointer;
    if (declarations !== undefined) {
      blame(`${pointer}/declarations`, () => declareC(declarations, this.#scope));
    }
    this.#btf = btf === undefined ? undefined : blame(`${pointer}/btf`, () => readBtf(btf));
  }

  /** The id 0 is none, as in union bpf_attr. */
  type(part: "key" | "value", size: number): Type | undefined {
    const text = this.#given[part];
    const field = `btf_${part}_type_id` as const;
    const id = this.#given[field] || undefined;
    if (text === undefined && id === undefined) return undefined;
    const pointer = `${this.#pointer}/${id === undefined ? part : field}`;
    if (text !== undefined && id !== undefined) throw einval(`given beside ${part}`, pointer);
    const type = blame(pointer, () =>
      text === undefined ? this.#byId(id ?? 0) : this.#byText(text),
    );
    if (type.size === size) return type;
    throw einval(`a type of ${type.size} bytes for a ${part}_size of ${size}`, pointer);
  }

  #byId(id: number): Type {
    if (!this.#btf) throw new SchemaError("a type id without btf");
    return this.#btf.type(id);
  }

  #byText(text: string): Type {
    return this.#btf?.find(text.trim()) ?? parseC(text, this.#scope);
  }
}

export interface CompiledSchema {
  /** In its stored form, for parseSchema. */
  readonly stored: string;
  /** Offsets of the locks in a value; programs take the last one. */
  readonly locks: readonly number[];
}

/**
 * @param pointer where `given` stands in the request
 * @throws EINVAL with line and column, or the BTF's type id; E2BIG; EFAULT
 */
export function compileSchema(
  given: SchemaAttr,
  key_size: number,
  value_size: number,
  pointer = "/body/schema",
): CompiledSchema {
  const sources = new Sources(given, pointer);
  const key = sources.type("key", key_size);
  const value = sources.type("value", value_size);
  if (!key && !value) throw einval("neither the key nor the value is described", pointer);
  const stored = JSON.stringify({ key, value });
  const locks = value ? locksOf(value) : [];
  if (Buffer.byteLength(stored) <= MAX_STORED) return { stored, locks };
  throw new Errno("E2BIG", `the schema takes more than ${MAX_STORED} bytes`, { pointer });
}

/** @param stored what compileSchema gave. */
export function parseSchema(stored: string): Schema {
  return JSON.parse(stored);
}
