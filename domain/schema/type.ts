/**
 * What the bytes of a key or a value mean. A type is plain data: it is stored with its map as JSON and
 * compared as text. Every node knows its size in bytes; offsets are those of the compiler or of the BTF.
 */

import { bounded, checkNodes, SchemaError, weigh } from "./limits.ts";
import { keepLocks, veil } from "./spin_lock.ts";

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
export interface Member {
  readonly name: string;
  readonly offset: number;
  readonly bits?: { readonly shift: number; readonly width: number };
  readonly type: Type;
}

/** A member without a name is a record whose members count as this one's. */
export interface RecordType {
  readonly kind: "struct" | "union";
  readonly size: number;
  readonly members: readonly Member[];
  /** struct bpf_spin_lock. */
  readonly lock?: true;
}

export type Type = Integer | Float | Enum | ArrayType | RecordType;

export function int(size: number, signed: boolean): Integer {
  return { kind: "int", size, signed };
}

export function arrayOf(element: Type, count: number): ArrayType {
  return bounded({ kind: "array", size: element.size * count, count, element });
}

export function record(
  kind: RecordType["kind"],
  size: number,
  members: readonly Member[],
): RecordType {
  const type = bounded<RecordType>({ kind, size, members });
  if (kind === "struct") keepLocks(type);
  return type;
}

export const LOCK = "struct bpf_spin_lock";

export const asLock = (type: RecordType): RecordType => ({ ...type, lock: true });

/** A number where JSON has it exactly, else a decimal string. */
export function jsonInteger(value: number | bigint): number | string {
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : String(value);
}

export function enumOf(
  size: number,
  signed: boolean,
  constants: readonly (readonly [string, bigint])[],
): Enum {
  checkNodes(constants.length);
  const names = new Set<string>();
  for (const [name] of constants) {
    if (names.has(name)) throw new SchemaError(`two constants are named ${name}`);
    names.add(name);
  }
  const shown = constants.map(([name, value]) => [name, jsonInteger(value)] as const);
  return { kind: "enum", size, signed, constants: shown };
}

/** The one word about byte order that C and BTF have is the name of a typedef. */
export function named(typedef: string, type: Type): Type {
  const network = /^(?:__)?be(16|32|64)$/.exec(typedef);
  if (!network || type.kind !== "int" || type.size * 8 !== Number(network[1])) return veil(type);
  return { ...type, order: "network" };
}

/** What a member is called in JSON, those of unnamed records included. */
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

/** Asked before each member is kept, so that a hostile record costs no more than the limits. */
export class MemberCheck {
  readonly #names = new Set<string>();
  #nodes = 1;

  take(name: string, type: Type): void {
    this.#nodes += weigh(type).nodes;
    checkNodes(this.#nodes);
    for (const each of name === "" && isRecord(type) ? memberNames(type) : [name]) {
      if (this.#names.has(each)) throw new SchemaError(`two members are named ${each}`);
      this.#names.add(each);
    }
  }
}
