/**
 * The types of keys and values. A type is plain data: it is stored with its map as JSON and
 * compared as text.
 * Invariant: every node has its size in bytes; offsets are those of the compiler or of the BTF.
 */

export interface Integer {
  readonly kind: "int" | "bool" | "char";
  readonly size: number;
  readonly signed: boolean;
  readonly order?: "network";
}

export interface Float {
  readonly kind: "float";
  readonly size: number;
}

/** A constant beyond 2^53 is a decimal string. */
export interface Enum {
  readonly kind: "enum";
  readonly size: number;
  readonly signed: boolean;
  readonly constants: readonly (readonly [name: string, value: number | string])[];
}

export interface ArrayType {
  readonly kind: "array";
  readonly size: number;
  readonly count: number;
  readonly element: Type;
}

/** `shift` counts from the lowest bit of the byte at `offset`. */
export interface RecordMember {
  readonly name: string;
  readonly offset: number;
  readonly bits?: { readonly shift: number; readonly width: number };
  readonly type: Type;
}

/** A member without a name is a record whose members count as this one's. */
export interface RecordType {
  readonly kind: "struct" | "union";
  readonly size: number;
  readonly members: readonly RecordMember[];
  /** struct bpf_spin_lock. */
  readonly lock?: true;
}

export type Type = Integer | Float | Enum | ArrayType | RecordType;

/** A number where JSON has it exactly, else a decimal string. */
export function jsonInteger(value: number | bigint): number | string {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : String(value);
}

/** Yields the JSON names of members, including those of unnamed records. */
export function* memberNames(type: RecordType): Generator<string> {
  for (const member of type.members) {
    if (member.name !== "") yield member.name;
    else if (isRecord(member.type)) yield* memberNames(member.type);
  }
}

export function isRecord(type: Type): type is RecordType {
  return type.kind === "struct" || type.kind === "union";
}

export function isInteger(type: Type): type is Integer | Enum {
  return "signed" in type;
}
