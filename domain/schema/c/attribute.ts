/** packed and aligned(n), as gcc and clang spell them and as the kernel's headers do. */

import { count } from "./constant.ts";
import type { FieldAttributes } from "./layout.ts";
import type { CTokens } from "./tokens.ts";

const MAX_ALIGN = 4096;
/** What every struct of vmlinux.h carries says nothing about the layout. */
const HARMLESS = "preserve_access_index";

type EnumConstants = ReadonlyMap<string, bigint>;

function alignment(tokens: CTokens, constants: EnumConstants): number {
  tokens.expect("(");
  const token = tokens.next;
  const align = count(tokens, constants, [1, MAX_ALIGN]);
  if (!Number.isInteger(Math.log2(align))) throw tokens.fault(token, "not a power of two");
  tokens.expect(")");
  return align;
}

function list(tokens: CTokens, constants: EnumConstants, found: FieldAttributes): void {
  tokens.expect("(");
  tokens.expect("(");
  do {
    const name = tokens.next.text.replace(/^__(\w+)__$/, "$1");
    if (!["packed", "aligned", HARMLESS].includes(name)) {
      throw tokens.unexpected("packed or aligned");
    }
    tokens.take();
    if (name === "packed") found.packed = true;
    if (name === "aligned") found.align = alignment(tokens, constants);
  } while (tokens.accept(","));
  tokens.expect(")");
  tokens.expect(")");
}

/** Adds to `found` those that come next, if any do. */
export function attributes(
  tokens: CTokens,
  constants: EnumConstants,
  found: FieldAttributes,
): FieldAttributes {
  for (;;) {
    if (tokens.accept("__packed")) found.packed = true;
    else if (tokens.accept("__aligned")) found.align = alignment(tokens, constants);
    else if (tokens.accept("__attribute__")) list(tokens, constants, found);
    else return found;
  }
}
