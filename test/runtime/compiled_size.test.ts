import { expect, it } from "vitest";
import { compiledSize } from "../../domain/runtime/pool/compiled_size.ts";

/** What a compiled program takes, beside what was measured. */

const INSN_BYTES = 8;

it.each([
  [100, 47_600],
  [10_000, 1.4e6],
  [100_000, 51e6],
])("a program of %i instructions takes what was measured, within a tenth", (insns, measured) => {
  const size = compiledSize(insns * INSN_BYTES);
  expect(Math.abs(size / measured - 1)).toBeLessThan(0.1);
});
