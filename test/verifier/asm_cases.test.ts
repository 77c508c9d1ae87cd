import { describe, expect, it } from "vitest";
import { assemble } from "../../domain/asm/assembler.ts";
import type { MapFacts } from "../../domain/verifier/verifier.ts";
import { check, verify } from "../support/verify_bytes.ts";
import {
  ARGUMENTS,
  type AsmCase,
  CONTEXTS,
  DYNPTRS,
  NULLS,
  RANGES,
  REFERENCES,
  RETVALS,
  SOCKETS,
  TRACING,
} from "./asm_cases.ts";

/** The verifier gives each program of asm_cases.ts the errno of Linux. */

const SHAPE = { key_size: 4, value_size: 64, max_entries: 1, map_flags: 0 };
const MAPS: readonly MapFacts[] = [
  { ...SHAPE, map_type: "array" },
  { ...SHAPE, map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 },
];

async function errnoOf({ text, progType, attach }: AsmCase): Promise<string | null> {
  const { insns } = await assemble(text.replaceAll("; ", "\n"), "");
  const options = { progType, expectedAttachType: attach ?? 0, gplCompatible: true };
  const { beforeMaps, refs, atMap } = check(insns, options);
  const facts = refs.map(({ value }) => MAPS[value] as MapFacts);
  return (beforeMaps ?? atMap ?? verify(insns, facts, options).refusal)?.errno ?? null;
}

describe.each([
  ["32-bit ranges", RANGES],
  ["NULL for memory", NULLS],
  ["results of cgroup programs", RETVALS],
  ["fields of contexts", CONTEXTS],
  ["sockets", SOCKETS],
  ["references", REFERENCES],
  ["dynptrs", DYNPTRS],
  ["contexts of tracing", TRACING],
  ["arguments of helpers", ARGUMENTS],
] as const)("programs about %s", (_, cases) => {
  it.each(cases.map((one) => [one.progType, one.title, one] as const))(
    "the verifier judges a %s program with %s as Linux does",
    async (_type, _title, one) => {
      expect(await errnoOf(one)).toBe(one.errno);
    },
  );
});
