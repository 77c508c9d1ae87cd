/** Splits a line of assembly into tokens. */

export type TokenKind = "r" | "w" | "number" | "place" | "literal" | "end";

export interface AsmToken {
  /** A 64-bit or 32-bit register, a number, `pc+N`, a word or sign that stands for itself, or what ends the line. */
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset in the line, from 0. */
  readonly at: number;
  readonly end: number;
}

/** A syntax error in a line; `at` is the offset in the line, from 0. */
export class SyntaxFault extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/**
 * One pattern a kind, in the order of trial. No pattern can begin with a blank, so that no pattern
 * is tried twice at an offset.
 */
const PATTERNS: readonly [TokenKind, RegExp][] = [
  ["r", /r(?:10|\d)(?!\w)/],
  ["w", /w(?:10|\d)(?!\w)/],
  // A number includes its sign; in skb[r1 + -5] a plus precedes the sign.
  ["number", /(?:\+[ \t]*(?=[+-]))?(?:[+-][ \t]*)?(?:0x[\da-fA-F]+|\d+)(?!\w)/],
  ["place", /pc[ \t]*[+-][ \t]*\d+(?!\w)/],
  ["end", /(?:;|\/\/|#)[\s\S]*|$/],
  // A # inside a name does not begin a comment.
  ["literal", /s?(?:>>=|<<=|>=|<=|>|<|\/=|%=)|[-+*&|^!=]=|[-=*&()[\],:]|[A-Za-z_][\w.]*(?:#\d+)?/],
];
const KINDS = PATTERNS.map(([kind]) => kind);
const TOKEN = new RegExp(
  `[ \\t\\r]*(?:${PATTERNS.map(([, pattern]) => `(${pattern.source})`).join("|")})`,
  "y",
);

/** Reads the next token from `from` on and skips blanks and comments. @throws SyntaxFault */
export function readToken(line: string, from: number): AsmToken {
  TOKEN.lastIndex = from;
  const found = TOKEN.exec(line);
  if (found === null) {
    const at = from + line.slice(from).search(/[^ \t\r]/);
    throw new SyntaxFault(at, `unexpected character ${quote(line[at])}`);
  }
  let group = 1;
  while (found[group] === undefined) group++;
  const text = found[group] as string;
  const end = TOKEN.lastIndex;
  return { kind: KINDS[group - 1] as TokenKind, text, at: end - text.length, end };
}

const QUOTE_MAX = 40;

/** Quotes at most QUOTE_MAX characters, so that a long text cannot make a long error. */
export function quote(text: string | undefined): string {
  return JSON.stringify(text?.slice(0, QUOTE_MAX) ?? "");
}

const NUMBER = /^(?:pc[ \t]*)?(?:\+[ \t]*(?=[+-]))?([+-]?)[ \t]*(0x[\da-fA-F]+|\d+)$/;

/** Parses a number or a branch target; inexact above 2^53. */
export function parseNumber({ text }: AsmToken): number {
  const [, sign, digits] = NUMBER.exec(text) ?? [];
  return sign === "-" ? -Number(digits) : Number(digits);
}

const DIGITS64 = 20;

/** Parses all bits of a number; undefined when it has more digits than 64 bits can need. */
export function parseBigInt({ text }: AsmToken): bigint | undefined {
  const [, sign, digits = ""] = NUMBER.exec(text) ?? [];
  if (digits.length > DIGITS64) return undefined;
  return sign === "-" ? -BigInt(digits) : BigInt(digits);
}
