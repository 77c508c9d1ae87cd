import { MAX_NODES, SchemaError } from "../limits.ts";
import { makeEnum } from "../type_builders.ts";
import { parseConstant } from "./constant.ts";
import { type Aligned, withNaturalAlign } from "./layout.ts";
import type { CTokens } from "./tokens.ts";

/** Parses the body of an enum, after its "{". */

const countBits = (value: bigint, signed: boolean): number =>
  value < 0n ? (-value - 1n).toString(2).length + 1 : value.toString(2).length + Number(signed);

/** As in gcc: an int, unless a constant needs more or the enum is packed. */
function chooseEnumSize(values: readonly bigint[], signed: boolean, packed: boolean): number {
  const width = values.reduce((most, value) => Math.max(most, countBits(value, signed)), 1);
  const size = (packed ? [1, 2, 4, 8] : [4, 8]).find((each) => width <= each * 8);
  if (size === undefined) {
    throw new SchemaError("the constants of an enum must fit into 64 bits");
  }
  return size;
}

/** Declares the constants; the result builds the enum after the attributes that follow its "}". */
export function parseEnumBody(
  tokens: CTokens,
  constants: Map<string, bigint>,
): (packed: boolean) => Aligned {
  const declared: (readonly [string, bigint])[] = [];
  let value = -1n;
  do {
    if (declared.length > 0 && tokens.next.text === "}") break;
    const token = tokens.next;
    const name = tokens.acceptName()?.text;
    if (name === undefined) throw tokens.unexpectedToken("a constant's name");
    if (constants.has(name)) throw tokens.errorAt(token, `duplicate declaration of ${name}`);
    value = tokens.accept("=") ? parseConstant(tokens, constants) : value + 1n;
    constants.set(name, value);
    if (declared.push([name, value]) > MAX_NODES) {
      throw tokens.errorAt(token, `an enum must have at most ${MAX_NODES} constants`);
    }
  } while (tokens.accept(","));
  tokens.expect("}");
  return (packed) => {
    const signed = declared.some(([, each]) => each < 0n);
    const values = declared.map(([, each]) => each);
    return withNaturalAlign(makeEnum(chooseEnumSize(values, signed, packed), signed, declared));
  };
}
