import { parseCount } from "./constant.ts";
import type { FieldAttributes } from "./layout.ts";
import type { CTokens } from "./tokens.ts";

/** Parses packed and aligned(n), in the spellings of gcc, clang and the kernel's headers. */

const MAX_ALIGN = 4096;
/** Every struct of vmlinux.h has it; it does not change the layout. */
const IGNORED = "preserve_access_index";

type EnumConstants = ReadonlyMap<string, bigint>;

function parseAlignment(tokens: CTokens, constants: EnumConstants): number {
  tokens.expect("(");
  const token = tokens.next;
  const align = parseCount(tokens, constants, [1, MAX_ALIGN]);
  if (!Number.isInteger(Math.log2(align))) {
    throw tokens.errorAt(token, `an alignment must be a power of two, got ${align}`);
  }
  tokens.expect(")");
  return align;
}

function parseAttributeList(
  tokens: CTokens,
  constants: EnumConstants,
  found: FieldAttributes,
): void {
  tokens.expect("(");
  tokens.expect("(");
  do {
    const name = tokens.next.text.replace(/^__(\w+)__$/, "$1");
    if (!["packed", "aligned", IGNORED].includes(name)) {
      throw tokens.unexpectedToken("packed or aligned");
    }
    tokens.take();
    if (name === "packed") found.packed = true;
    if (name === "aligned") found.align = parseAlignment(tokens, constants);
  } while (tokens.accept(","));
  tokens.expect(")");
  tokens.expect(")");
}

/** Adds the attributes that come next, if any, to `found`. */
export function parseAttributes(
  tokens: CTokens,
  constants: EnumConstants,
  found: FieldAttributes,
): FieldAttributes {
  for (;;) {
    if (tokens.accept("__packed")) found.packed = true;
    else if (tokens.accept("__aligned")) found.align = parseAlignment(tokens, constants);
    else if (tokens.accept("__attribute__")) parseAttributeList(tokens, constants, found);
    else return found;
  }
}
