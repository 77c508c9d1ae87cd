import { checkLimits, checkNodes, SchemaError, typeCost } from "./limits.ts";
import { opaqueAlias, recordLockOffsets } from "./spin_lock.ts";
import {
  type ArrayType,
  type Enum,
  type Integer,
  isRecord,
  jsonInteger,
  memberNames,
  type RecordMember,
  type RecordType,
  type Type,
} from "./type.ts";

/** Builds types, from C or from BTF. Invariant: no type that is built exceeds the limits. */

export function makeInt(size: number, signed: boolean): Integer {
  return { kind: "int", size, signed };
}

export function makeArray(element: Type, count: number): ArrayType {
  return checkLimits({ kind: "array", size: element.size * count, count, element });
}

export function makeRecord(
  kind: RecordType["kind"],
  size: number,
  members: readonly RecordMember[],
): RecordType {
  const type = checkLimits<RecordType>({ kind, size, members });
  if (kind === "struct") recordLockOffsets(type);
  return type;
}

export const LOCK = "struct bpf_spin_lock";

export const markAsLock = (type: RecordType): RecordType => ({ ...type, lock: true });

export function makeEnum(
  size: number,
  signed: boolean,
  constants: readonly (readonly [string, bigint])[],
): Enum {
  checkNodes(constants.length);
  const names = new Set<string>();
  for (const [name] of constants) {
    if (names.has(name)) throw new SchemaError(`duplicate constant ${name}`);
    names.add(name);
  }
  const jsonConstants = constants.map(([name, value]) => [name, jsonInteger(value)] as const);
  return { kind: "enum", size, signed, constants: jsonConstants };
}

/** A typedef's name is the only information on byte order in C and BTF. */
export function applyTypedef(typedef: string, type: Type): Type {
  const networkOrder = /^(?:__)?be(16|32|64)$/.exec(typedef);
  if (!networkOrder || type.kind !== "int" || type.size * 8 !== Number(networkOrder[1]))
    return opaqueAlias(type);
  return { ...type, order: "network" };
}

/** The names that a member adds to its record. */
const namesIn = (name: string, type: Type): Iterable<string> =>
  name === "" && isRecord(type) ? memberNames(type) : [name];

/** Checks each member before it is added, so that a hostile record costs no more than the limits. */
export class MemberCheck {
  readonly #names = new Set<string>();
  /** How often each repeated name was added. */
  readonly #repeated = new Map<string, number>();
  #nodes = 1;

  addMember(name: string, type: Type): void {
    this.#addNodes(type);
    for (const each of namesIn(name, type)) {
      if (this.#names.has(each)) throw new SchemaError(`duplicate member ${each}`);
      this.#names.add(each);
    }
  }

  /** Adds a member of BTF, which may repeat names: returns its name, with a number if it has to. */
  addRepeatable(name: string, type: Type): string {
    this.#addNodes(type);
    const isFree = [...namesIn(name, type)].every((each) => !this.#names.has(each));
    const free = isFree ? name : this.#numbered(name);
    for (const each of namesIn(free, type)) this.#names.add(each);
    return free;
  }

  /** No name of C has the sign, so that no other member has this name. */
  #numbered(name: string): string {
    const number = (this.#repeated.get(name) ?? 1) + 1;
    this.#repeated.set(name, number);
    return `${name}#${number}`;
  }

  #addNodes(type: Type): void {
    this.#nodes += typeCost(type).nodes;
    checkNodes(this.#nodes);
  }
}
