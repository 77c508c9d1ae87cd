import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planObject } from "../../domain/elf/object.ts";
import type { ProgPlan } from "../../domain/elf/plan.ts";
import { decode } from "../../domain/isa/insn.ts";
import type { MapFacts } from "../../domain/verifier/verifier.ts";
import { check, verify } from "../../domain/verifier/verifier.ts";

/** The types of functions that an object's BTF describes, and what Linux 6.18 says of calls by them. */

const FILE = readFileSync(join(import.meta.dirname, "objects/globals.o"));
const PROGRAMS: MapFacts = {
  ...{ map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 1, map_flags: 0 },
};
const { progs } = planObject(FILE, { name: "globals", pin_root: "/", cpus: 2 });
const planOf = (name: string) => progs.find((prog) => prog.name === name) as ProgPlan;

function errnoOf({ insns, prog_type, func_types = [] }: ProgPlan): string | null {
  const prog = decode(insns);
  const options = {
    progType: prog_type,
    gplCompatible: true,
    funcInfo: true,
    funcTypes: func_types,
  };
  const { beforeMaps, refs, atMap } = check(prog, options);
  const facts = refs.map(() => PROGRAMS);
  return (beforeMaps ?? atMap ?? verify(prog, facts, options).refusal)?.errno ?? null;
}

describe("types of functions", () => {
  it("the plan has the types of all functions of a program, with their first instructions", () => {
    const { func_types = [] } = planOf("good");
    expect(func_types.map(({ name, isGlobal }) => [name, isGlobal])).toEqual([
      ["good", true],
      ["last", true],
      ["length", true],
    ]);
    expect(func_types[0]?.start).toBe(0);
    expect(func_types[1]?.args).toEqual([
      { kind: "pointer", target: "STRUCT big", typedef: "", size: 64, tags: [] },
    ]);
    expect(func_types[2]?.args[0]).toMatchObject({ target: "STRUCT __sk_buff", size: 192 });
  });

  it("a hidden function and one that is static are not global", () => {
    const isGlobal = (prog: string, func: string) =>
      planOf(prog).func_types?.find(({ name }) => name === func)?.isGlobal;
    expect(isGlobal("reads_hidden", "hidden")).toBe(false);
    expect(isGlobal("void_tail_call", "tail")).toBe(false);
  });

  it("a void function returns no integer", () => {
    const tail = planOf("void_tail_call").func_types?.find(({ name }) => name === "tail");
    expect(tail).toMatchObject({ returnsInteger: false, returnsSmallInteger: false });
  });
});

it.each([
  ["void_tail_call", "EINVAL"],
  ["good", null],
  ["small", "EINVAL"],
  ["reads_past", "EACCES"],
  ["reads_unchecked", "EACCES"],
  ["reads_hidden", null],
  ["no_context", "EINVAL"],
  ["deepest", "EACCES"],
])("the program %s of the object is judged as by Linux", (name, errno) => {
  expect(errnoOf(planOf(name))).toBe(errno);
});
