import fc from "fast-check";
import type { Dice } from "../random.ts";
import { follow } from "./examples.ts";

/** Makes values that fit a schema of the document, and values that do not. */

export interface ValueSchema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  examples?: unknown[];
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  "x-max-items"?: number;
  items?: ValueSchema;
  properties?: Record<string, ValueSchema>;
  required?: string[];
  additionalProperties?: boolean | ValueSchema;
  allOf?: ValueSchema[];
  oneOf?: ValueSchema[];
  anyOf?: ValueSchema[];
}

const WORDS = [
  ...["", "a", "/", "/counters", "/ingress", "/new", "01000000", "u32:1", "u64:42", "u32:7", "é"],
  ...["2a00000000000000", "00", "str:text", "b64:AQAAAA==", "GPL", "xdp", "sched_cls", "hash", "3"],
];

/** Strings that are valid JSON and that few services expect. */
const ODD_WORDS = [
  ...[
    "\ud800",
    "a\udfffb",
    "\u0000",
    "\u001b[31m",
    "\u202e",
    "\ufeff",
    "%00",
    "%ff",
    "../..",
    "//",
  ],
  ...["__proto__", "constructor", "NOSCRIPT", "MOVED 1 127.0.0.1:1", "-1", "1e400", "NaN", " 3"],
  ...["x".repeat(300), "💥".repeat(40)],
];
const ODD: unknown[] = [
  ...[null, true, false, -1, 0.5, 1e300, 4294967296, 2 ** 53, -0, [], {}, [[]], [null], ""],
  ...[{ __proto__: 1, constructor: 2 }, { value: { value: {} } }, ...ODD_WORDS],
];

/** Draws texts that match a pattern; several are made at once, because making them is slow. */
class Patterns {
  readonly #texts = new Map<string, readonly string[]>();

  of(pattern: string, seed: number): readonly string[] {
    const known = this.#texts.get(pattern);
    if (known) return known;
    const texts = fc.sample(fc.stringMatching(new RegExp(pattern)), { seed, numRuns: 50 });
    this.#texts.set(pattern, texts);
    return texts;
  }
}

const patterns = new Patterns();

function isPattern(text: string, { pattern, minLength = 0, maxLength = 2 ** 53 }: ValueSchema) {
  const fits = pattern === undefined || new RegExp(pattern).test(text);
  return fits && text.length >= minLength && text.length <= maxLength;
}

/** Values of earlier answers by the name of their property, such as `fd`, `id` or `cursor`. */
export interface Learned {
  recall(name: string): unknown;
}

export class ValueMaker {
  readonly #dice: Dice;
  readonly #learned: Learned;

  constructor(dice: Dice, learned: Learned) {
    this.#dice = dice;
    this.#learned = learned;
  }

  /** @returns a value that fits the schema, as far as the schema tells */
  right(given: ValueSchema, name = ""): unknown {
    const schema = this.#choose(given);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return this.#dice.from(schema.enum);
    const known = this.#dice.oneIn(2) ? this.#learned.recall(name) : undefined;
    if (known !== undefined && typeof known === typeOf(schema)) return known;
    if (schema.examples && this.#dice.oneIn(2)) return this.#dice.from(schema.examples);
    switch (typeOf(schema)) {
      case "number":
        return this.#integer(schema);
      case "boolean":
        return this.#dice.oneIn(2);
      case "string":
        return this.#string(schema);
      case "array":
        return this.#array(schema, name);
      default:
        return this.#object(schema);
    }
  }

  /** @returns a value that differs from the schema in one place, or that is of another kind */
  wrong(given: ValueSchema, name = ""): unknown {
    const schema = this.#choose(given);
    const type = typeOf(schema);
    if (type === "object" && !this.#dice.oneIn(6)) return this.#wrongObject(schema);
    if (type === "array" && !this.#dice.oneIn(4))
      return [...(this.#array(schema, name) as unknown[]), this.wrong(schema.items ?? {}, name)];
    if (type === "number" && this.#dice.oneIn(2))
      return this.#dice.oneIn(2) ? (schema.minimum ?? 0) - 1 : (schema.maximum ?? 2 ** 53) + 1;
    return this.#dice.from(type === "string" && this.#dice.oneIn(2) ? ODD_WORDS : ODD);
  }

  /** Follows references, takes one branch of a union, and merges what `allOf` lists. */
  #choose(given: ValueSchema): ValueSchema {
    const { oneOf, anyOf, allOf, ...schema } = follow(given);
    const branches = oneOf ?? anyOf;
    if (branches) return this.#choose(merge(schema, this.#dice.from(branches)));
    if (!allOf) return schema;
    return allOf.map((part) => this.#choose(part)).reduce(merge, schema);
  }

  #integer({ minimum = 0, maximum = 2 ** 53 - 1 }: ValueSchema): number {
    const low = [minimum, minimum + 1, minimum + this.#dice.below(9), minimum + 100];
    const all = [...low, ...low, ...low, maximum, minimum + this.#dice.u32()];
    return Math.min(maximum, this.#dice.from(all));
  }

  #string(schema: ValueSchema): string {
    const { pattern, format } = schema;
    if (format === "date-time") return "2026-11-22T16:29:00.000Z";
    const words = WORDS.filter((word) => isPattern(word, schema));
    const isWord = words.length > 0 && !this.#dice.oneIn(4);
    if (isWord || pattern === undefined) return this.#dice.from(words.length > 0 ? words : WORDS);
    return this.#dice.from(patterns.of(pattern, this.#dice.u32()));
  }

  #array({ items = {}, minItems = 0, "x-max-items": most = 3 }: ValueSchema, name: string) {
    const length = Math.min(most, Math.max(minItems, this.#dice.below(4)));
    return Array.from({ length }, () => this.right(items, name));
  }

  #object({ properties = {}, required = [], additionalProperties }: ValueSchema) {
    const made: Record<string, unknown> = {};
    for (const [name, schema] of Object.entries(properties)) {
      if (required.includes(name) || this.#dice.oneIn(3)) made[name] = this.right(schema, name);
    }
    if (typeof additionalProperties === "object" && this.#dice.oneIn(2))
      made[this.#dice.from(["counters", "a", "b"])] = this.right(additionalProperties);
    return made;
  }

  #wrongObject(schema: ValueSchema) {
    const made = this.#object(schema);
    const names = Object.keys(schema.properties ?? {});
    const name = this.#dice.from([...names, "unknown"]);
    if (this.#dice.oneIn(4)) return { ...made, unknown: this.#dice.from(ODD) };
    if (this.#dice.oneIn(4)) return { ...made, [name]: undefined };
    return { ...made, [name]: this.wrong(schema.properties?.[name] ?? {}, name) };
  }
}

function merge(a: ValueSchema, b: ValueSchema): ValueSchema {
  const merged = { ...a, ...follow(b) };
  if (a.properties) merged.properties = { ...a.properties, ...follow(b).properties };
  if (a.required) merged.required = [...a.required, ...(follow(b).required ?? [])];
  return merged;
}

function typeOf({ type, properties }: ValueSchema): string {
  const [first] = [type ?? (properties ? "object" : "string")].flat();
  return first === "integer" ? "number" : (first ?? "string");
}
