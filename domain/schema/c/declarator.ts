/** The words of a basic type, and what stands beside a name: "*" before it, lengths behind it. */

import { MAX_SIZE } from "../limits.ts";
import { arrayOf } from "../type_builders.ts";
import { count } from "./constant.ts";
import type { Aligned } from "./layout.ts";
import { builtinType, isWord, POINTER } from "./names.ts";
import type { CToken, CTokens } from "./tokens.ts";

const QUALIFIERS = new Set(["const", "volatile", "restrict", "__restrict"]);
/** "unsigned long long int" has four. */
const MAX_WORDS = 4;

/** `aligned` is missing where a type is only named: enough to point at, not to have one. */
export interface Base {
  readonly token: CToken;
  readonly aligned: Aligned | undefined;
  readonly missing?: string;
  /** A record without a tag: as a member it needs no name. */
  readonly anonymous?: boolean;
}

export interface Declared extends Aligned {
  readonly name: string;
}

export function complete(tokens: CTokens, base: Base): Aligned {
  if (base.aligned) return base.aligned;
  throw tokens.fault(base.token, base.missing ?? "no type");
}

/** Whether there are any. */
export function qualifiers(tokens: CTokens): boolean {
  let any = false;
  for (; QUALIFIERS.has(tokens.next.text); any = true) tokens.take();
  return any;
}

export function basicType(tokens: CTokens): Base {
  const token = tokens.next;
  const words: string[] = [];
  while (isWord(tokens.next.text) && words.length < MAX_WORDS) {
    words.push(tokens.take().text);
    qualifiers(tokens);
  }
  if (words.length === 0) throw tokens.unexpected("a type");
  return { token, aligned: builtinType(words), missing: `no type is called ${words.join(" ")}` };
}

function lengths(tokens: CTokens, constants: ReadonlyMap<string, bigint>): number[] {
  const found: number[] = [];
  while (tokens.accept("[")) {
    found.push(count(tokens, constants, [0, MAX_SIZE]));
    tokens.expect("]");
  }
  return found;
}

export function declarator(
  tokens: CTokens,
  constants: ReadonlyMap<string, bigint>,
  base: Base,
): Declared {
  let pointer = false;
  while (tokens.accept("*")) {
    pointer = true;
    qualifiers(tokens);
  }
  const token = tokens.next;
  const name = tokens.acceptName()?.text ?? "";
  const { type, align } = pointer ? POINTER : complete(tokens, base);
  const counts = lengths(tokens, constants);
  if (counts.length > 0 && type.size % align !== 0) {
    throw tokens.fault(token, "an element's size is no multiple of its alignment");
  }
  const build = () => counts.reduceRight((element, each) => arrayOf(element, each), type);
  return { name, align, type: tokens.blame(token, build) };
}
