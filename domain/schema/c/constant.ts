/** The constants that array lengths, bit widths and enums are written with. */

import type { CToken, CTokens } from "./tokens.ts";

const INTEGER = /^(?:0x([0-9a-f]+)|0b([01]+)|(0[0-7]*)|([1-9]\d*))(?:u|l|ul|lu|ll|ull|llu)?$/i;
const LOW = -(1n << 63n);
const HIGH = (1n << 64n) - 1n;

function literal(text: string): bigint | undefined {
  const [, hex, binary, octal, decimal] = INTEGER.exec(text) ?? [];
  if (hex) return BigInt(`0x${hex}`);
  if (binary) return BigInt(`0b${binary}`);
  if (octal) return BigInt(`0o${octal}`);
  return decimal ? BigInt(decimal) : undefined;
}

function term(tokens: CTokens, constants: ReadonlyMap<string, bigint>): bigint {
  const sign = tokens.accept("-") ? -1n : 1n;
  const { kind, text } = tokens.next;
  const value = kind === "number" ? literal(text) : constants.get(text);
  if (value === undefined) throw tokens.unexpected("a whole number or an enum's constant");
  tokens.take();
  return sign * value;
}

function checked(tokens: CTokens, at: CToken, value: bigint): bigint {
  if (value < LOW || value > HIGH) throw tokens.fault(at, "not within 64 bits");
  return value;
}

/** A number or a constant, or one shifted by another; in parentheses or not. */
export function constant(tokens: CTokens, constants: ReadonlyMap<string, bigint>): bigint {
  const first = tokens.next;
  const open = tokens.accept("(");
  let value = checked(tokens, first, term(tokens, constants));
  if (tokens.accept("<<")) {
    const at = tokens.next;
    const by = term(tokens, constants);
    if (by < 0n || by > 63n) throw tokens.fault(at, "a shift is by 0 to 63 bits");
    value = checked(tokens, first, value << by);
  }
  if (open) tokens.expect(")");
  return value;
}

/** As `constant`, between `low` and `high`. */
export function count(
  tokens: CTokens,
  constants: ReadonlyMap<string, bigint>,
  [low, high]: readonly [number, number],
): number {
  const at = tokens.next;
  const value = constant(tokens, constants);
  if (value < low || value > high) throw tokens.fault(at, `not between ${low} and ${high}`);
  return Number(value);
}
