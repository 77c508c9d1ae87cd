import { MAX_SIZE } from "../limits.ts";
import { makeArray } from "../type_builders.ts";
import { parseCount } from "./constant.ts";
import type { Aligned } from "./layout.ts";
import { builtinType, isTypeWord, POINTER } from "./names.ts";
import type { CToken, CTokens } from "./tokens.ts";

/**
 * Parses the words of a basic type, and the declarator beside a name: "*" before it, lengths after
 * it.
 */

const QUALIFIERS = new Set(["const", "volatile", "restrict", "__restrict"]);
/** "unsigned long long int" has four. */
const MAX_WORDS = 4;

/** `aligned` is missing for an incomplete type, which only a pointer may refer to. */
export interface Base {
  readonly token: CToken;
  readonly aligned: Aligned | undefined;
  readonly missing?: string;
  /** A record without a tag needs no name as a member. */
  readonly anonymous?: boolean;
}

export interface Declared extends Aligned {
  readonly name: string;
}

export function requireComplete(tokens: CTokens, base: Base): Aligned {
  if (base.aligned) return base.aligned;
  throw tokens.errorAt(base.token, base.missing ?? "a type is missing");
}

/** Returns whether the text has qualifiers here. */
export function skipQualifiers(tokens: CTokens): boolean {
  let hasQualifier = false;
  for (; QUALIFIERS.has(tokens.next.text); hasQualifier = true) tokens.take();
  return hasQualifier;
}

export function parseBasicType(tokens: CTokens): Base {
  const token = tokens.next;
  const words: string[] = [];
  while (isTypeWord(tokens.next.text) && words.length < MAX_WORDS) {
    words.push(tokens.take().text);
    skipQualifiers(tokens);
  }
  if (words.length === 0) throw tokens.unexpectedToken("a type");
  return { token, aligned: builtinType(words), missing: `unknown type ${words.join(" ")}` };
}

function parseLengths(tokens: CTokens, constants: ReadonlyMap<string, bigint>): number[] {
  const lengths: number[] = [];
  while (tokens.accept("[")) {
    lengths.push(parseCount(tokens, constants, [0, MAX_SIZE]));
    tokens.expect("]");
  }
  return lengths;
}

export function parseDeclarator(
  tokens: CTokens,
  constants: ReadonlyMap<string, bigint>,
  base: Base,
): Declared {
  let isPointer = false;
  while (tokens.accept("*")) {
    isPointer = true;
    skipQualifiers(tokens);
  }
  const token = tokens.next;
  const name = tokens.acceptName()?.text ?? "";
  const { type, align } = isPointer ? POINTER : requireComplete(tokens, base);
  const counts = parseLengths(tokens, constants);
  if (counts.length > 0 && type.size % align !== 0) {
    const detail = `the size of an element must be a multiple of its alignment ${align}`;
    throw tokens.errorAt(token, `${detail}, got ${type.size}`);
  }
  const build = () => counts.reduceRight((element, each) => makeArray(element, each), type);
  return { name, align, type: tokens.locateErrors(token, build) };
}
