import type { CToken, CTokens } from "./tokens.ts";

/** Parses the constants in array lengths, bit widths and enums. */

const INTEGER = /^(?:0x([0-9a-f]+)|0b([01]+)|(0[0-7]*)|([1-9]\d*))(?:u|l|ul|lu|ll|ull|llu)?$/i;
const LOW = -(1n << 63n);
const HIGH = (1n << 64n) - 1n;

function parseLiteral(text: string): bigint | undefined {
  const [, hex, binary, octal, decimal] = INTEGER.exec(text) ?? [];
  if (hex) return BigInt(`0x${hex}`);
  if (binary) return BigInt(`0b${binary}`);
  if (octal) return BigInt(`0o${octal}`);
  return decimal ? BigInt(decimal) : undefined;
}

function parseTerm(tokens: CTokens, constants: ReadonlyMap<string, bigint>): bigint {
  const sign = tokens.accept("-") ? -1n : 1n;
  const { kind, text } = tokens.next;
  const value = kind === "number" ? parseLiteral(text) : constants.get(text);
  if (value === undefined) throw tokens.unexpectedToken("an integer or a constant of an enum");
  tokens.take();
  return sign * value;
}

function checkRange(tokens: CTokens, at: CToken, value: bigint): bigint {
  if (value < LOW || value > HIGH) {
    throw tokens.errorAt(at, `must be an integer from ${LOW} to ${HIGH}`);
  }
  return value;
}

/** Parses a number or a constant, optionally shifted by another, optionally in parentheses. */
export function parseConstant(tokens: CTokens, constants: ReadonlyMap<string, bigint>): bigint {
  const first = tokens.next;
  const hasParenthesis = tokens.accept("(");
  let value = checkRange(tokens, first, parseTerm(tokens, constants));
  if (tokens.accept("<<")) {
    const at = tokens.next;
    const shift = parseTerm(tokens, constants);
    if (shift < 0n || shift > 63n) {
      throw tokens.errorAt(at, `a shift must be from 0 to 63, got ${shift}`);
    }
    value = checkRange(tokens, first, value << shift);
  }
  if (hasParenthesis) tokens.expect(")");
  return value;
}

/** Parses a constant between `low` and `high`. */
export function parseCount(
  tokens: CTokens,
  constants: ReadonlyMap<string, bigint>,
  [low, high]: readonly [number, number],
): number {
  const at = tokens.next;
  const value = parseConstant(tokens, constants);
  if (value < low || value > high) {
    throw tokens.errorAt(at, `must be an integer from ${low} to ${high}, got ${value}`);
  }
  return Number(value);
}
