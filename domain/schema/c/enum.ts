/** The body of an enum, from behind its "{". */

import { MAX_NODES, SchemaError } from "../limits.ts";
import { enumOf } from "../type_builders.ts";
import { constant } from "./constant.ts";
import { type Aligned, natural } from "./layout.ts";
import type { CTokens } from "./tokens.ts";

const bits = (value: bigint, signed: boolean): number =>
  value < 0n ? (-value - 1n).toString(2).length + 1 : value.toString(2).length + Number(signed);

/** gcc's: unsigned unless a constant is negative, an int unless it takes more or is packed. */
function sizeOf(values: readonly bigint[], signed: boolean, packed: boolean): number {
  const width = values.reduce((most, value) => Math.max(most, bits(value, signed)), 1);
  const size = (packed ? [1, 2, 4, 8] : [4, 8]).find((each) => width <= each * 8);
  if (size === undefined) throw new SchemaError("no integer has room for these constants");
  return size;
}

/** Declares the constants; the enum itself waits for the attributes behind its "}". */
export function enumerate(
  tokens: CTokens,
  constants: Map<string, bigint>,
): (packed: boolean) => Aligned {
  const own: (readonly [string, bigint])[] = [];
  let value = -1n;
  do {
    if (own.length > 0 && tokens.next.text === "}") break;
    const token = tokens.next;
    const name = tokens.acceptName()?.text;
    if (name === undefined) throw tokens.unexpected("a constant's name");
    if (constants.has(name)) throw tokens.fault(token, `${name} is declared twice`);
    value = tokens.accept("=") ? constant(tokens, constants) : value + 1n;
    constants.set(name, value);
    if (own.push([name, value]) > MAX_NODES) throw tokens.fault(token, "too many constants");
  } while (tokens.accept(","));
  tokens.expect("}");
  return (packed) => {
    const signed = own.some(([, each]) => each < 0n);
    const values = own.map(([, each]) => each);
    return natural(enumOf(sizeOf(values, signed, packed), signed, own));
  };
}
