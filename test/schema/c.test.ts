import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { declareC, parseC } from "../../domain/schema/c/parser.ts";
import { Scope } from "../../domain/schema/c/scope.ts";
import { MAX_JSON, MAX_SIZE, maxJsonLength, SchemaError } from "../../domain/schema/limits.ts";
import type { Type } from "../../domain/schema/type.ts";
import { applyTypedef, makeInt } from "../../domain/schema/type_builders.ts";
import { withShortTitle } from "../support/titles.ts";

/** C-like declarations: the types they name, and where a text goes wrong. */

function refusal(text: string): string {
  try {
    parseC(text);
  } catch (error) {
    if (error instanceof SchemaError) return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}

const CHAR: Type = { kind: "char", size: 1, signed: true };
const BOOL: Type = { kind: "bool", size: 1, signed: false };
const array = (element: Type, count: number): Type => ({
  ...{ kind: "array", size: element.size * count },
  ...{ count, element },
});
const be = (size: number) => applyTypedef(`be${size * 8}`, makeInt(size, false));

describe("types that a C text names", () => {
  it.each<[string, Type]>([
    ["u8", makeInt(1, false)],
    ["__u32", makeInt(4, false)],
    ["uint8_t", makeInt(1, false)],
    ["int64_t", makeInt(8, true)],
    ["size_t", makeInt(8, false)],
    ["unsigned", makeInt(4, false)],
    ["signed", makeInt(4, true)],
    ["long", makeInt(8, true)],
    ["long unsigned int", makeInt(8, false)],
    ["int long unsigned long", makeInt(8, false)],
    ["short int", makeInt(2, true)],
    ["unsigned __int128", makeInt(16, false)],
    ["char", CHAR],
    ["signed char", makeInt(1, true)],
    ["unsigned char", makeInt(1, false)],
    ["_Bool", BOOL],
    ["bool", BOOL],
    ["double", { kind: "float", size: 8 }],
    ["__be16", { ...makeInt(2, false), order: "network" }],
    ["__be32", be(4)],
    ["be64", be(8)],
    ["__le32", makeInt(4, false)],
    ["void *", makeInt(8, false)],
    ["struct unknown **", makeInt(8, false)],
    ["char[16]", array(CHAR, 16)],
    ["const volatile u32 x[2][3];", array(array(makeInt(4, false), 3), 2)],
    ["u8 a, *b, c[0x10]", array(makeInt(1, false), 16)],
    ["u8 x[010]", array(makeInt(1, false), 8)],
    ["u8 x[3ul]", array(makeInt(1, false), 3)],
    ["u8 x[(1 << 4)]", array(makeInt(1, false), 16)],
    ["enum { N = 4, M }; u16 x[M];", array(makeInt(2, false), 5)],
    ["typedef unsigned int u32; u32", makeInt(4, false)],
    ["typedef __u16 __be16; __be16", be(2)],
    ["typedef u8 mac[6]; mac pair[2]", array(array(makeInt(1, false), 6), 2)],
    ["/* one */ u8 // two\n", makeInt(1, false)],
    ["typedef struct { u8 a; } one, *two; two", makeInt(8, false)],
    ["typedef struct { u8 a; } one;", parseC("struct { u8 a; }")],
    ["struct a { u8 x; }; struct b { struct a y; }; struct a;", parseC("struct { u8 x; }")],
    ["struct { u32 u32; }", parseC("struct { unsigned u32; }")],
  ])("the C text %j names a type", (text, type) => {
    expect(parseC(text)).toEqual(type);
  });

  it.each<[string, number, boolean, (string | number)[][]]>([
    [
      "enum { A, B = 5, C, }",
      4,
      false,
      [
        ["A", 0],
        ["B", 5],
        ["C", 6],
      ],
    ],
    [
      "enum e { LOW = -1, HIGH = 0x7f }",
      4,
      true,
      [
        ["LOW", -1],
        ["HIGH", 127],
      ],
    ],
    [
      "enum { F = 1 << 3, G = F }",
      4,
      false,
      [
        ["F", 8],
        ["G", 8],
      ],
    ],
    ["enum { TOP = 0xffffffff }", 4, false, [["TOP", 4294967295]]],
    [
      "enum { TOP = 0xffffffff, LOW = -1 }",
      8,
      true,
      [
        ["TOP", 4294967295],
        ["LOW", -1],
      ],
    ],
    ["enum { W = 18446744073709551615ull }", 8, false, [["W", "18446744073709551615"]]],
    ["enum __attribute__((__packed__)) { P = 255 }", 1, false, [["P", 255]]],
  ])("the C text %j names an enum with its constants", (text, size, signed, constants) => {
    expect(parseC(text)).toEqual({ kind: "enum", size, signed, constants });
  });

  it("a text knows earlier declarations and keeps its own to itself", () => {
    const scope = new Scope();
    declareC("struct flow { __be32 saddr; }; struct later; typedef u64 counter;", scope);
    expect(parseC("struct flow", scope).size).toBe(4);
    expect(parseC("struct own { counter a; }", scope).size).toBe(8);
    expect(() => parseC("struct own", scope)).toThrow("struct own is not declared");
  });
});

describe("errors of a C text and their places", () => {
  it.each(
    withShortTitle([
      ["", "line 1, column 1: expected a type, found the end"],
      ["flow", 'line 1, column 1: expected a type, found "flow"'],
      ["struct flow", "line 1, column 8: struct flow is not declared"],
      ["struct {\n  u32 a\n  u32 b;\n}", 'line 3, column 3: expected ";", found "u32"'],
      ["struct {\n  u32 a;\n  u64;\n}", 'line 3, column 6: expected a member\'s name, found ";"'],
      ["struct { u32 a; u8 a; }", "line 1, column 20: duplicate member a"],
      ["struct { u8 a; union { u8 b; u16 a; }; }", "line 1, column 38: duplicate member a"],
      ["struct a { struct a b; }", "line 1, column 19: struct a is not declared"],
      [
        "struct a { u8 x; }; struct a { u8 y; }",
        "line 1, column 28: duplicate declaration of struct a",
      ],
      ["typedef u8 a; typedef u16 a;", "line 1, column 27: duplicate declaration of a"],
      ["enum { A, B, A }", "line 1, column 14: duplicate declaration of A"],
      ["enum { A = -1, B = 0xffffffffffffffff }", "the constants of an enum must fit into 64 bits"],
      ["void", "line 1, column 1: void has no size"],
      ["struct { void a; }", "line 1, column 10: void has no size"],
      ["long double", "line 1, column 1: unknown type long double"],
      ["short char", "line 1, column 1: unknown type short char"],
      ["u8 x[]", 'line 1, column 6: expected an integer or a constant of an enum, found "]"'],
      ["u8 x[-1]", "line 1, column 6: must be an integer from 0 to 4194304, got -1"],
      ["u8 x[09]", 'line 1, column 6: expected an integer or a constant of an enum, found "09"'],
      ["u8 x[1 << 64]", "line 1, column 11: a shift must be from 0 to 63, got 64"],
      ["u8 x[1 << 63 ", "column 6: must be an integer from 0 to 4194304, got 9223372036854775808"],
      [
        "u8 x[0x1ffffffffffffffff]",
        "line 1, column 6: must be an integer from -9223372036854775808 to",
      ],
      [
        "struct { u32 a : 33; }",
        "line 1, column 16: a bitfield of its type must have at most 32 bits, got 33",
      ],
      ["struct { u32 a : 0; }", "line 1, column 18: must be an integer from 1 to 64, got 0"],
      ["struct { float a : 3; }", "line 1, column 18: the type of a bitfield must be an integer"],
      ["struct { int (*f)(int); }", 'line 1, column 14: expected a member\'s name, found "("'],
      ["u8 /* open", "line 1, column 4: unterminated comment"],
      ["#define N 3", 'line 1, column 1: unexpected character "#"'],
      ["u8 \u{1f600}", 'line 1, column 4: unexpected character "\u{1f600}"'],
      ["struct { u8 a; } __attribute__((noreturn))", "expected packed or aligned, found"],
      [
        "struct { u8 a; } __attribute__((aligned(3)))",
        "line 1, column 41: an alignment must be a power of two, got 3",
      ],
      ["typedef struct { u8 a; } x __attribute__((packed));", "packed must stand after the"],
      [
        `u8 ${"a".repeat(129)}`,
        "line 1, column 4: a word must have at most 128 characters, got 129",
      ],
      [
        "typedef u32 odd __attribute__((aligned(8))); odd x[2];",
        "must be a multiple of its alignment 8, got 4",
      ],
    ]),
  )("the wrong C text %s is rejected at its place", (_title, text, message) => {
    expect(refusal(text)).toContain(message);
  });
});

describe("limits on the size of a C text", () => {
  const members = (n: number) => Array.from({ length: n }, (_, i) => `u8 m${i};`).join("");
  const doubled = Array.from(
    { length: 20 },
    (_, i) => `struct s${i + 1} { struct s${i} a; struct s${i} b; };`,
  );

  it.each([
    ["a text", " ".repeat(65_537), "must have at most 65536 bytes"],
    ["a size", `u8 x[${MAX_SIZE}][2]`, "must have at most 4194304 bytes"],
    [
      "a struct's size",
      "struct { struct { u8 b; } __aligned(4096) a[600], c[600]; }",
      "must have at most 4194304 bytes",
    ],
    [
      "members that double",
      `struct s0 { u8 a; }; ${doubled.join("")}`,
      "must have at most 4096 members",
    ],
    ["structs in structs", "struct {".repeat(33), "must be nested at most 32 deep"],
    ["dimensions", `u8 x${"[1]".repeat(33)}`, "must be nested at most 32 deep"],
    ["nothing, often", "struct { } x[4000000][4000000]", "must take at most 4194304 characters"],
    [
      "a union's JSON",
      `union { ${"m".repeat(9)}; u8 b; } x[4194304]`.replace("mm", "u8 mm"),
      "must take at most 4194304 characters",
    ],
    [
      "long names",
      `struct { u8 ${"a".repeat(128)}; } x[1000000]`,
      "must take at most 4194304 characters",
    ],
  ])("the cost of %s is bounded", (_, text, message) => {
    expect(refusal(text)).toContain(message);
  });

  it("the first member beyond the limit is rejected", () => {
    const text = `struct { ${members(5000)} }`;
    const column = text.indexOf("m4095") + 1;
    expect(refusal(text)).toBe(
      `line 1, column ${column}: a type must have at most 4096 members and constants`,
    );
  });

  it.each([
    ..."( [ { * - 1 a < struct{ struct{u8 /* + [1] (( 1<< typedef enum{ u8:1; const long".split(
      " ",
    ),
  ])("a text of 64 KiB of %j is rejected", (word) => {
    for (const start of ["", "u8 x", "struct { u8 ", "enum { A = ", "u8 x["]) {
      const text = start + word.repeat((65_536 - start.length) / word.length);
      expect(() => parseC(text)).toThrow(SchemaError);
    }
  });

  it("any mix of C words is a type within the limits or rejected at a place", () => {
    const words =
      `struct union enum typedef { } ; , [ ] : = * ( ) << u8 u32 long unsigned char __be16
      a b c 1 3 40 packed __packed __aligned __attribute__((packed)) const void`.split(/\s+/);
    const good = "struct a { u8 b : 3 ; union { u32 c [ 3 ] ; char d ; } ; enum { A = 1 } e ; } ;";
    const edit = fc.tuple(fc.nat(40), fc.nat(2), fc.constantFrom(...words));
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 6 }), (edits) => {
        const tokens = good.split(" ");
        for (const [at, gone, word] of edits) tokens.splice(at, gone, word);
        try {
          const type = parseC(tokens.join(" "));
          expect(type.size).toBeLessThanOrEqual(MAX_SIZE);
          expect(maxJsonLength(type)).toBeLessThanOrEqual(MAX_JSON);
        } catch (error) {
          expect(error).toBeInstanceOf(SchemaError);
          expect((error as Error).message).toMatch(/^line 1, column \d+: [^:]/);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
