import type { ArrayType, RecordType, Type } from "./type.ts";

/**
 * Limits the cost of a type, so that no schema makes requests slow: checked wherever a type is
 * built.
 */

/** A text or a blob does not describe a type; the message says where. */
export class SchemaError extends Error {
  /** The errno of BPF_BTF_LOAD. */
  readonly code: "EINVAL" | "E2BIG" | "EFAULT";

  constructor(message: string, code: SchemaError["code"] = "EINVAL") {
    super(message);
    this.code = code;
  }
}

export const MAX_SIZE = 4 << 20;
export const MAX_DEPTH = 32;
/** Members, constants and arrays, counted at each use. */
export const MAX_NODES = 4096;
/** Characters of one value as JSON: unions and long names make it longer than its bytes. */
export const MAX_JSON = 4 << 20;
export const MAX_NAME = 128;

interface TypeCost {
  readonly nodes: number;
  readonly depth: number;
  readonly json: number;
}

/** Types share parts while they are built, so the cost of each is computed once. */
const costs = new WeakMap<Type, TypeCost>();
const DIGITS: Readonly<Record<number, number>> = { 1: 6, 2: 6, 4: 11, 8: 22, 16: 42 };
const FLOAT_DIGITS = 26;

/** A byte of a string takes up to six characters, as in \u0001. */
const elementJson = (type: ArrayType): number =>
  type.element.kind === "char" ? 6 : typeCost(type.element).json + 1;

function recordCost(type: RecordType): TypeCost {
  let [nodes, depth, json] = [1, 0, 2];
  for (const member of type.members) {
    const inner = typeCost(member.type);
    nodes += inner.nodes;
    depth = Math.max(depth, inner.depth);
    json += member.name.length + 4 + inner.json;
  }
  return { nodes, depth: depth + 1, json };
}

function computeCost(type: Type): TypeCost {
  switch (type.kind) {
    case "struct":
    case "union":
      return recordCost(type);
    case "array": {
      const inner = typeCost(type.element);
      const json = 2 + type.count * elementJson(type);
      return { nodes: inner.nodes + 1, depth: inner.depth + 1, json };
    }
    case "enum": {
      const longest = type.constants.reduce((max, [name]) => Math.max(max, name.length + 2), 22);
      return { nodes: type.constants.length + 1, depth: 1, json: longest };
    }
    case "float":
      return { nodes: 1, depth: 1, json: FLOAT_DIGITS };
    default: {
      const byteDigits =
        type.size === 1 && type.kind === "int" ? 3 + Number(type.signed) : undefined;
      return { nodes: 1, depth: 1, json: byteDigits ?? DIGITS[type.size] ?? 0 };
    }
  }
}

export function typeCost(type: Type): TypeCost {
  const cached = costs.get(type);
  if (cached) return cached;
  const cost = computeCost(type);
  costs.set(type, cost);
  return cost;
}

/** The most characters that a value of this type can take as JSON. */
export function maxJsonLength(type: Type): number {
  return typeCost(type).json;
}

export function checkNodes(nodes: number): void {
  if (nodes > MAX_NODES) {
    throw new SchemaError(`a type must have at most ${MAX_NODES} members and constants`);
  }
}

export function checkLimits<T extends Type>(type: T): T {
  const { nodes, depth, json } = typeCost(type);
  checkNodes(nodes);
  if (depth > MAX_DEPTH) throw new SchemaError(`must be nested at most ${MAX_DEPTH} deep`);
  if (type.size > MAX_SIZE) {
    throw new SchemaError(`must have at most ${MAX_SIZE} bytes, got ${type.size}`);
  }
  if (json > MAX_JSON) {
    throw new SchemaError(`a value must take at most ${MAX_JSON} characters of JSON, got ${json}`);
  }
  return type;
}
