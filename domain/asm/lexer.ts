// A line of assembly as tokens.

export type TokenKind = "r" | "w" | "number" | "place" | "literal" | "end";

export interface AsmToken {
  /** A 64-bit or 32-bit register, a number, `pc+N`, a word or sign that stands for itself, or what ends the line. */
  readonly kind: TokenKind;
  readonly text: string;
  /** Where in the line, from 0. */
  readonly at: number;
  readonly end: number;
}

/** What is wrong with a line, and where in it, from 0. */
export class SyntaxFault extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/**
 * One pattern a kind, in the order in which they are tried. None begins with what may be blank, so that
 * none is tried twice at a place.
 */
const PATTERNS: readonly [TokenKind, RegExp][] = [
  ["r", /r(?:10|\d)(?!\w)/],
  ["w", /w(?:10|\d)(?!\w)/],
  // With its sign; that of skb[r1 + -5] has a plus before it.
  ["number", /(?:\+[ \t]*(?=[+-]))?(?:[+-][ \t]*)?(?:0x[\da-fA-F]+|\d+)(?!\w)/],
  ["place", /pc[ \t]*[+-][ \t]*\d+(?!\w)/],
  ["end", /(?:;|\/\/|#)[\s\S]*|$/],
  // A # inside a name begins no comment.
  ["literal", /s?(?:>>=|<<=|>=|<=|>|<|\/=|%=)|[-+*&|^!=]=|[-=*&()[\],:]|[A-Za-z_][\w.]*(?:#\d+)?/],
];
const KINDS = PATTERNS.map(([kind]) => kind);
const TOKEN = new RegExp(
  `[ \\t\\r]*(?:${PATTERNS.map(([, pattern]) => `(${pattern.source})`).join("|")})`,
  "y",
);

/** The next token from `from` on, blanks and comments skipped. @throws Fault */
export function readToken(line: string, from: number): AsmToken {
  TOKEN.lastIndex = from;
  const found = TOKEN.exec(line);
  if (found === null) {
    const at = from + line.slice(from).search(/[^ \t\r]/);
    throw new SyntaxFault(at, `${quote(line[at])} is no part of an instruction`);
  }
  let group = 1;
  while (found[group] === undefined) group++;
  const text = found[group] as string;
  const end = TOKEN.lastIndex;
  return { kind: KINDS[group - 1] as TokenKind, text, at: end - text.length, end };
}

const QUOTE_MAX = 40;

/** Of the caller's text no more than a line's worth goes back. */
export function quote(text: string | undefined): string {
  return JSON.stringify(text?.slice(0, QUOTE_MAX) ?? "");
}

const NUMBER = /^(?:pc[ \t]*)?(?:\+[ \t]*(?=[+-]))?([+-]?)[ \t]*(0x[\da-fA-F]+|\d+)$/;

/** Of a number or a place; inexact above 2^53. */
export function parseNumber({ text }: AsmToken): number {
  const [, sign, digits] = NUMBER.exec(text) ?? [];
  return sign === "-" ? -Number(digits) : Number(digits);
}

const DIGITS64 = 20;

/** All bits of a number; undefined when it has more than 64. */
export function parseBigInt({ text }: AsmToken): bigint | undefined {
  const [, sign, digits = ""] = NUMBER.exec(text) ?? [];
  if (digits.length > DIGITS64) return undefined;
  return sign === "-" ? -BigInt(digits) : BigInt(digits);
}
