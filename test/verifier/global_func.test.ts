import { describe, expect, it } from "vitest";
import { assemble } from "../../domain/asm/assembler.ts";
import type { FuncParam, FuncType } from "../../domain/isa/func_type.ts";
import { decode } from "../../domain/isa/insn.ts";
import type { MapFacts } from "../../domain/verifier/verifier.ts";
import { check, verify } from "../support/verify_bytes.ts";

/** Global functions, which Linux 6.18 verifies by themselves with the types of their BTF. */

const INTEGER: FuncParam = { kind: "integer" };
const pointer = (target: string, size: number | null, tags: readonly string[] = []): FuncParam => ({
  ...{ kind: "pointer", target, typedef: "", size, tags },
});
const CONTEXT = pointer("STRUCT __sk_buff", 192);
const BIG = pointer("STRUCT big", 64);
const ARRAY: MapFacts = {
  ...{ map_type: "array", key_size: 4, value_size: 64, max_entries: 1, map_flags: 0 },
};

const func = (
  start: number,
  args: readonly FuncParam[],
  more: Partial<FuncType> = {},
): FuncType => ({
  ...{ start, name: `f${start}`, isGlobal: true, args, argCount: args.length },
  ...{ returnsInteger: true, returnsSmallInteger: true, ...more },
});
const MAIN = func(0, [CONTEXT]);

/** The errno and the last line of the log, or null for an accepted program. */
async function judged(
  text: string,
  funcTypes: readonly FuncType[],
  progType = "sched_cls",
): Promise<string | null> {
  const { insns } = await assemble(text.replaceAll("; ", "\n"), "");
  const options = { progType, gplCompatible: true, funcInfo: true, funcTypes };
  const { beforeMaps, refs, atMap } = check(insns, options);
  const facts = refs.map(() => ARRAY);
  const refusal = beforeMaps ?? atMap ?? verify(insns, facts, options).refusal;
  return refusal && `${refusal.errno} ${refusal.log.split("\n").at(-1)}`;
}

const END = "r0 = 0; exit";
const INVALID = "EINVAL Caller passes invalid args into func#1 ('f2')";

describe("the arguments of a call", () => {
  it.each<[string, string, readonly FuncParam[], string | null]>([
    ["a number for a number", "r1 = 5; call f", [INTEGER], null],
    ["a pointer for a number", "r1 = r10; call f", [INTEGER], INVALID],
    ["the context for the context", "r2 = 1; call f", [CONTEXT], null],
    ["the stack for the context", "r1 = r10; call f", [CONTEXT], INVALID],
    ["a number for the context", "r1 = 7; call f", [CONTEXT], INVALID],
    ["a moved context", "r1 += 4; call f", [CONTEXT], INVALID.replace("EINVAL", "EACCES")],
    ["too little of the stack", "r1 = r10; r1 += -4; call f", [BIG], INVALID],
    ["the context for memory", "r2 = 1; call f", [BIG], INVALID],
    ["a number for memory", "r1 = 7; call f", [BIG], INVALID],
    ["NULL for memory", "r1 = 0; call f", [BIG], null],
    [
      "NULL where the tag forbids it",
      "r1 = 0; call f",
      [pointer("STRUCT big", 64, ["nonnull"])],
      null,
    ],
    ["a pointer to what has no size", "r1 = 0; call f", [pointer("FWD s", null)], INVALID],
    ["a pointer to void", "r1 = 0; call f", [pointer("UNKNOWN ", null)], INVALID],
    [
      "a tag that Linux does not know",
      "r1 = 0; call f",
      [pointer("STRUCT big", 64, ["x"])],
      "EOPNOTSUPP Caller passes invalid args into func#1 ('f2')",
    ],
    ["a struct by value", "r1 = 0; call f", [{ kind: "other", target: "STRUCT big" }], INVALID],
  ])("a global function with %s is judged as by Linux", async (_, code, args, expected) => {
    const text = `${code}; exit; f: ${END}`;
    const start = code.split("; ").length + 1;
    expect(await judged(text, [MAIN, func(start, args, { name: "f2" })])).toBe(expected);
  });

  it("a global function takes memory of the stack that is long enough", async () => {
    const text = `r1 = r10; r1 += -64; call f; exit; f: ${END}`;
    expect(await judged(text, [MAIN, func(4, [BIG])])).toBeNull();
  });

  it("a global function with a result that is no integer is refused when it is called", async () => {
    const types = [MAIN, func(3, [INTEGER], { name: "f2", returnsInteger: false })];
    expect(await judged(`r1 = 1; call f; exit; f: ${END}`, types)).toBe(INVALID);
    expect(await judged(`r1 = 1; r0 = 0; exit; f: ${END}`, types)).toMatch(/^EINVAL unreachable/);
  });

  it("a global function with more arguments than registers is refused", async () => {
    const types = [MAIN, func(3, [INTEGER], { name: "f2", argCount: 6 })];
    expect(await judged(`r1 = 1; call f; exit; f: ${END}`, types)).toBe(INVALID);
  });
});

describe("the body of a global function", () => {
  it.each<[string, string, readonly FuncParam[], string | null]>([
    ["reads memory after a check", "if r1 == 0 goto e; r0 = *(u32 *)(r1 +60); e:", [BIG], null],
    [
      "reads memory without a check",
      "r0 = *(u32 *)(r1 +0)",
      [BIG],
      "EACCES R1 invalid mem access 'mem_or_null'",
    ],
    ["reads past the memory", "if r1 == 0 goto e; r0 = *(u32 *)(r1 +64); e:", [BIG], "EACCES"],
    [
      "reads memory that the tag promises",
      "r0 = *(u32 *)(r1 +0)",
      [pointer("STRUCT big", 64, ["nonnull"])],
      null,
    ],
    ["reads the context", "r0 = *(u32 *)(r1 +0)", [CONTEXT], null],
    [
      "reads a context that the tag names",
      "r0 = *(u32 *)(r1 +0)",
      [pointer("UNKNOWN ", null, ["ctx"])],
      null,
    ],
    [
      "reads through a number",
      "r0 = *(u32 *)(r1 +0)",
      [INTEGER],
      "EACCES R1 invalid mem access 'scalar'",
    ],
    ["reads an argument that it does not have", "r0 = r2", [INTEGER], "EACCES R2 !read_ok"],
    ["may return any number", "r0 = r1", [INTEGER], null],
    [
      "returns a pointer",
      "r0 = r10; exit",
      [INTEGER],
      "EINVAL At subprogram exit the register R0 is not a scalar value (fp)",
    ],
  ])("a global function that %s is judged as by Linux", async (_, body, args, expected) => {
    const [first] = args;
    const given = first?.kind === "pointer" && first.target !== "STRUCT big" ? "r2 = 1" : "r1 = 0";
    const isNonnull = first?.kind === "pointer" && first.tags.includes("nonnull");
    const call = isNonnull ? "r1 = r10; r1 += -64; call f; exit" : `${given}; call f; exit`;
    const end = body.endsWith("exit") ? "" : "; exit";
    const text = `${call}; f: r0 = 0; ${body}${end}`.replace("e:; exit", "e: exit");
    const start = isNonnull ? 4 : 3;
    const found = await judged(text, [MAIN, func(start, args)]);
    if (expected === "EACCES") expect(found).toMatch(/^EACCES/);
    else expect(found).toBe(expected);
  });

  it("the caller knows nothing of the result", async () => {
    const text = "r1 = 0; call f; if r0 == 0 goto e; r10 = 0; e: r0 = 0; exit; f: r0 = 0; exit";
    expect(await judged(text, [MAIN, func(6, [INTEGER])])).toMatch(/^EACCES frame pointer/);
    const isStatic = { isGlobal: false };
    expect(await judged(text, [MAIN, func(6, [INTEGER], isStatic)])).toBeNull();
  });

  it("a function that a global function calls is verified, too", async () => {
    const text = "r1 = 0; call f; exit; f: r1 = 1; call g; exit; g: r0 = *(u32 *)(r1 +0); exit";
    const types = [MAIN, func(3, [INTEGER]), func(6, [INTEGER])];
    expect(await judged(text, types)).toBe("EACCES R1 invalid mem access 'scalar'");
  });

  it("a function that moves the packet invalidates the packet of its caller", async () => {
    const packet = "r6 = *(u32 *)(r1 +76); r7 = *(u32 *)(r1 +80); r8 = r6; r8 += 4";
    const text = (body: string) =>
      `${packet}; if r8 > r7 goto e; call f; r0 = *(u8 *)(r6 +0); e: r0 = 0; exit; f: ${body}; exit`;
    const types = [MAIN, func(9, [CONTEXT])];
    expect(await judged(text("r0 = 0"), types)).toBeNull();
    expect(await judged(text("r2 = 0; call skb_pull_data; r0 = 0"), types)).toBe(
      "EACCES R6 invalid mem access 'scalar'",
    );
  });

  it("the stacks of all frames count together", async () => {
    const frame = (bytes: number) => `*(u64 *)(r10 -${bytes}) = 0`;
    const text = (a: number, b: number) =>
      `r1 = 0; call f; exit; f: ${frame(a)}; r1 = 0; call g; exit; g: ${frame(b)}; ${END}`;
    const types = [MAIN, func(3, [INTEGER]), func(7, [INTEGER])];
    expect(await judged(text(256, 256), types)).toBeNull();
    expect(await judged(text(256, 264), types)).toMatch(/^EACCES combined stack size of 3 calls/);
  });
});

describe("functions that return no integer", () => {
  const VOID = { returnsInteger: false, returnsSmallInteger: false, isGlobal: false };
  const TAIL_CALL = "r2 = 0; r3 = 0; call tail_call";

  it.each([
    [
      "tail call",
      TAIL_CALL,
      VOID,
      "EINVAL tail_call is only allowed in functions that return 'int'.",
    ],
    [
      "packet load",
      "r6 = r1; r0 = *(u8 *)skb[0]",
      VOID,
      "EINVAL LD_ABS is only allowed in functions that return 'int'.",
    ],
    [
      "tail call of a 16-byte result",
      TAIL_CALL,
      { ...VOID, returnsInteger: true },
      "EINVAL tail_call is only allowed in functions that return 'int'.",
    ],
  ])("a %s in a void function is EINVAL", async (_, body, more, expected) => {
    const text = `call f; ${END}; f: ${body}; ${END}`;
    expect(await judged(text, [MAIN, func(3, [CONTEXT], more)])).toBe(expected);
  });

  it("a void function may do anything else", async () => {
    const text = `call f; ${END}; f: r1 = 0; ${END}`;
    expect(await judged(text, [MAIN, func(3, [CONTEXT], VOID)])).toBeNull();
  });
});

it("accesses through an argument are proven, because each caller is checked", async () => {
  const text =
    "r1 = r10; r1 += -64; call f; exit; f: if r1 == 0 goto e; r0 = *(u32 *)(r1 +60); exit; e: r0 = 0; exit";
  const { insns } = await assemble(text.replaceAll("; ", "\n"), "");
  const funcTypes = [MAIN, func(4, [BIG])];
  const options = { progType: "sched_cls", funcInfo: true, funcTypes };
  const { provenAccesses } = verify(insns, [], options);
  const loads = decode(insns).flatMap(({ code }, at) => (code === 0x61 ? [at] : []));
  expect(loads.map((at) => provenAccesses[at])).toEqual([1]);
});
