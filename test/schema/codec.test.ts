import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Errno } from "../../domain/errno.ts";
import { findWidthError, type LaidOutField, layOutRecord } from "../../domain/schema/c/layout.ts";
import { parseC } from "../../domain/schema/c/parser.ts";
import { decode } from "../../domain/schema/decode.ts";
import { encode } from "../../domain/schema/encode.ts";
import { maxJsonLength } from "../../domain/schema/limits.ts";
import type { Json } from "../../domain/schema/scalar.ts";
import {
  isInteger,
  isRecord,
  jsonInteger,
  memberNames,
  type RecordType,
  type Type,
} from "../../domain/schema/type.ts";
import { applyTypedef, makeArray, makeEnum, makeInt } from "../../domain/schema/type_builders.ts";
import { withShortTitle } from "../support/titles.ts";

/** Bytes as JSON and back: exact bytes, nothing lost either way, or EINVAL and the place. */

const hex = (text: string, json: Json) => encode(parseC(text), json, "value").toString("hex");
const toJson = (text: string, bytes: string) =>
  JSON.stringify(decode(parseC(text), Buffer.from(bytes, "hex")));

const FLOW = `struct flow {
  __be32 saddr; __be16 port; char name[4]; u8 proto : 3, dir : 5; bool seen;
  enum verdict { PASS, DROP = 2 } verdict;
  union { u64 cookie; struct { u32 low, high; }; };
}`;
const flow = {
  ...{ saddr: 0x0a000001, port: 443, name: "tcp", proto: 6, dir: 1, seen: true },
  ...{ verdict: "DROP", cookie: "18446744073709551615" },
};

describe("encoding and decoding", () => {
  it.each(
    withShortTitle<[string, Json, string]>([
      ["u8", 255, "ff"],
      ["s8", -1, "ff"],
      ["u16", 513, "0102"],
      ["u32", "0xff", "ff000000"],
      ["s32", "-2", "feffffff"],
      ["u64", 9007199254740991, "ffffffffffff1f00"],
      ["u64", "9007199254740992", "0000000000002000"],
      ["u64", "18446744073709551615", "ffffffffffffffff"],
      ["s64", "-9223372036854775808", "0000000000000080"],
      ["s128", "-170141183460469231731687303715884105728", `${"00".repeat(15)}80`],
      ["u128", "0x0102030405060708090a0b0c0d0e0f10", "100f0e0d0c0b0a090807060504030201"],
      ["__be16", 443, "01bb"],
      ["__be32", 1, "00000001"],
      ["__be64", "72623859790382856", "0102030405060708"],
      ["void *", "0xffff888000000000", "000000008088ffff"],
      ["bool", true, "01"],
      ["bool", 2, "02"],
      ["char", -1, "ff"],
      ["float", 1.5, "0000c03f"],
      ["float", "0x7fc00001", "0100c07f"],
      ["double", -0.1, "9a9999999999b9bf"],
      ["double", "0x8000000000000000", "0000000000000080"],
      ["enum { A, B = 5 }", "B", "05000000"],
      ["enum { A, B = 5 }", 7, "07000000"],
      ["enum { A = -1 }", "A", "ffffffff"],
      [
        "u16[2][2]",
        [
          [1, 2],
          [3, 4],
        ],
        "0100020003000400",
      ],
      ["char[4]", "", "00000000"],
      ["char[4]", "abcd", "61626364"],
      ["char[4]", "\u{1f600}", "f09f9880"],
      ["char[4]", [97, 0, 98, -1], "610062ff"],
      ["char[2][2]", ["a", "bc"], "61006263"],
      ["unsigned char[2]", [97, 0], "6100"],
      ["struct { u8 a; u32 b; }", { b: 1, a: 2 }, "0200000001000000"],
      ["struct { s32 a : 3, b : 29; }", { a: -1, b: -2 }, "f7ffffff"],
      [
        "struct { u64 a : 3; u64 b : 60; } __packed",
        { a: 5, b: "0xfffffffffffffff" },
        "fdffffffffffff7f",
      ],
      [
        "struct { u64 a : 7, b : 64; } __packed",
        { a: 1, b: "18446744073709551615" },
        "81ffffffffffffff7f",
      ],
      ["struct { __be16 a : 4; }", { a: 1 }, "0100"],
      ["struct { bool a : 1, b : 1; }", { a: false, b: true }, "02"],
      ["union { u8 a; u32 b; }", { a: 7 }, "07000000"],
      ["struct { u8 none[0]; union { } empty; }", { none: [], empty: {} }, ""],
      [
        "struct { u32 __proto__; u32 constructor; }",
        JSON.parse('{"__proto__":1,"constructor":2}'),
        "0100000002000000",
      ],
      [FLOW, flow, "0a00000101bb746370000e0102000000ffffffffffffffff"],
    ]),
  )("the type %s encodes a value to its bytes, case %#", (_title, text, json, bytes) => {
    expect(hex(text, json)).toBe(bytes);
  });

  it.each(
    withShortTitle<[string, string, string]>([
      ["u64", "ffffffffffff1f00", "9007199254740991"],
      ["u64", "0000000000002000", '"9007199254740992"'],
      ["s64", "0100000000000080", '"-9223372036854775807"'],
      ["bool", "00", "false"],
      ["bool", "ff", "255"],
      ["enum { A, ALSO = 0, B = 5 }", "00000000", '"A"'],
      ["enum { A }", "09000000", "9"],
      ["char[4]", "61620000", '"ab"'],
      ["char[4]", "61626364", '"abcd"'],
      ["char[4]", "61006200", "[97,0,98,0]"],
      ["char[4]", "ff000000", "[-1,0,0,0]"],
      ["char[4]", "efbbbf61", '"\ufeffa"'],
      ["char[0]", "", '""'],
      ["float", "0000807f", '"0x7f800000"'],
      ["double", "0000000000000080", '"0x8000000000000000"'],
      ["union { u8 a; u32 b; struct { u16 low; }; }", "01020000", '{"a":1,"b":513,"low":513}'],
      ["struct { u32 __proto__; }", "01000000", '{"__proto__":1}'],
    ]),
  )("the type %s decodes its bytes to JSON, case %#", (_title, text, bytes, json) => {
    expect(toJson(text, bytes)).toBe(json);
  });
});

function refusal(text: string, json: Json): Errno {
  try {
    hex(text, json);
  } catch (error) {
    if (error instanceof Errno) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

const without = (name: string) =>
  Object.fromEntries(Object.entries(flow).filter(([n]) => n !== name));

describe("values that do not fit the type", () => {
  it.each(
    withShortTitle<[string, Json, (string | number)[], string]>([
      ["u8", 256, [], "must be an integer from 0 to 255"],
      ["u8", -1, [], "must be an integer from 0 to 255"],
      ["s8", "128", [], "must be an integer from -128 to 127"],
      ["s32", "0xffffffff", [], "must be an integer from -2147483648 to 2147483647"],
      ["u64", "18446744073709551616", [], "must be an integer from 0 to 18446744073709551615"],
      ["u64", 2 ** 53, [], "must be a string, because JSON has no exact numbers"],
      ["u64", 1e300, [], "must be a string, because JSON has no exact numbers"],
      ["u32", 1.5, [], "must be an integer, got 1.5"],
      ["u32", "1.0", [], 'must be a number, a decimal string or a 0x string, got "1.0"'],
      ["u32", "", [], "must be a number, a decimal string"],
      ["u32", "01", [], "must be a number, a decimal string"],
      ["u32", "9".repeat(41), [], "must be a number, a decimal string"],
      ["u32", null, [], "must be a number, a decimal string"],
      ["u32", true, [], "must be a number, a decimal string"],
      ["u32", [1], [], "must be a number, a decimal string"],
      ["bool", 256, [], "must be an integer from 0 to 255"],
      ["bool", "true", [], "must be a number, a decimal string"],
      ["float", 1e39, [], "must fit into a float, got 1e+39"],
      ["float", "0x100000000", [], "must be at most 8 hex digits"],
      ["double", "1", [], "must be a number or its bits as a 0x string"],
      ["enum { A }", "B", [], 'must be a constant of the enum (A), got "B"'],
      ["enum { A }", "toString", [], 'must be a constant of the enum (A), got "toString"'],
      ["enum { A }", -1, [], "must be an integer from 0 to 4294967295"],
      ["u8[2]", [1], [], "must have 2 elements, got 1"],
      ["u8[2]", "ab", [], 'must be an array, got "ab"'],
      ["u8[2]", [1, 256], [1], "must be an integer from 0 to 255"],
      [
        "u8[2][2]",
        [
          [0, 0],
          [0, "x"],
        ],
        [1, 1],
        "must be a number",
      ],
      ["char[2]", "abc", [], "must have at most 2 bytes, got 3"],
      ["char[2]", "\u00e9\u00e9", [], "must have at most 2 bytes, got 4"],
      ["char[2]", "a\0", [], "must have no NUL, which would end it"],
      ["char[4]", "\ud800", [], "got half a surrogate pair"],
      ["char[2]", {}, [], "must be a string or an array, got an object"],
      ["char[2]", [0, 128], [1], "must be an integer from -128 to 127"],
      ["struct { u8 a; }", null, [], "must be an object, got null"],
      ["struct { u8 a; }", [], [], "must be an object, got an array of 0"],
      ["struct { u8 a; }", { a: 1, "x/y~": 1 }, ["x/y~"], "unknown member, must be one of a"],
      ["struct { u8 a; }", JSON.parse('{"a":1,"__proto__":1}'), ["__proto__"], "unknown member"],
      ["struct { u8 toString; }", {}, [], "member toString is missing"],
      ["struct { struct { u8 a; } b[2]; }", { b: [{ a: 1 }, {}] }, ["b", 1], "member a is missing"],
      ["struct { u8 a : 3; }", { a: 8 }, ["a"], "must be an integer from 0 to 7"],
      ["struct { s8 a : 3; }", { a: 4 }, ["a"], "must be an integer from -4 to 3"],
      ["union { u8 a; u32 b; }", {}, [], "must have exactly one member of the union (a, b), got 0"],
      [
        "union { u8 a; u32 b; }",
        { a: 1, b: 1 },
        [],
        "must have exactly one member of the union (a, b), got 2",
      ],
      [FLOW, without("saddr"), [], "member saddr is missing"],
      [FLOW, { ...flow, proto: 8 }, ["proto"], "must be an integer from 0 to 7"],
      [
        FLOW,
        { ...flow, low: 1 },
        [],
        "must have exactly one member of the union (cookie, low, high), got 2",
      ],
      [FLOW, { ...without("cookie"), low: 1 }, [], "member high is missing"],
      [
        FLOW,
        without("cookie"),
        [],
        "must have exactly one member of the union (cookie, low, high), got 0",
      ],
    ]),
  )(
    "the type %s rejects a wrong value at its place, case %#",
    (_title, text, json, path, detail) => {
      const { code, message, field } = refusal(text, json);
      expect([code, field]).toEqual(["EINVAL", ["value", ...path]]);
      expect(message).toContain(detail);
    },
  );

  it("bytes of another length throw", () => {
    expect(() => decode(makeInt(4, false), Buffer.alloc(3))).toThrow(RangeError);
  });
});

const LEAVES: readonly Type[] = [
  ...[1, 2, 4, 8, 16].flatMap((size) => [makeInt(size, false), makeInt(size, true)]),
  ...[2, 4, 8].map((size) => applyTypedef(`be${size * 8}`, makeInt(size, false))),
  { kind: "bool", size: 1, signed: false },
  { kind: "char", size: 1, signed: true },
  { kind: "float", size: 4 },
  { kind: "float", size: 8 },
  makeEnum(4, true, [
    ["NONE", 0n],
    ["MINUS", -1n],
    ["AGAIN", 0n],
    ["TOP", 0x7fffffffn],
  ]),
];

/** A type before its members have names: those differ everywhere, so that unnamed records can be. */
type CodecShape =
  | { leaf: Type }
  | { element: CodecShape; count: number }
  | { kind: RecordType["kind"]; packed: boolean; members: MemberShape[] };
type MemberShape = { shape: CodecShape; unnamed: boolean; width: number };

function shapes(kinds: readonly RecordType["kind"][]): fc.Arbitrary<CodecShape> {
  return fc.letrec<{ shape: CodecShape; member: MemberShape }>((tie) => ({
    shape: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom(...LEAVES).map((leaf) => ({ leaf })),
      fc.record({ element: tie("shape"), count: fc.nat(4) }),
      fc.record({
        kind: fc.constantFrom(...kinds),
        packed: fc.boolean(),
        members: fc.array(tie("member"), { maxLength: 5 }),
      }),
    ),
    member: fc.record({
      shape: tie("shape"),
      unnamed: fc.boolean(),
      width: fc.integer({ min: 1, max: 99 }),
    }),
  })).shape;
}

function field({ shape, unnamed, width }: MemberShape, name: () => string): LaidOutField {
  const type = build(shape, name);
  const bare = unnamed && isRecord(type) && [...memberNames(type)].length > 0;
  const own = {
    type,
    align: isInteger(type) ? type.size : 1,
    attributes: {},
    name: bare ? "" : name(),
  };
  return findWidthError(type, width) === undefined ? { ...own, width } : own;
}

function build(shape: CodecShape, name: () => string): Type {
  if ("leaf" in shape) return shape.leaf;
  if ("element" in shape) return makeArray(build(shape.element, name), shape.count);
  const fields = shape.members.map((member) => field(member, name));
  return layOutRecord(shape.kind, fields, { packed: shape.packed }).type;
}

function types(...kinds: RecordType["kind"][]): fc.Arbitrary<Type> {
  return shapes(kinds).map((shape) => {
    let count = 0;
    return build(shape, () => `m${count++}`);
  });
}

/** Bytes among which there are texts, names of constants, and NaNs. */
const bytesOf = (size: number): fc.Arbitrary<Buffer> => {
  const byte = fc.oneof(fc.constantFrom(0, 1, 0x61, 0xc3, 0xa9, 0x7f, 0xff), fc.nat(255));
  const runs = fc.array(fc.tuple(byte, fc.integer({ min: 1, max: 9 })), { minLength: 1 });
  return runs.map((all) => {
    const run = Buffer.concat(all.map(([value, length]) => Buffer.alloc(length, value)));
    return Buffer.alloc(size, run);
  });
};

/** A one for every bit that belongs to a member. */
function mask(type: Type, bytes = Buffer.alloc(type.size), at = 0): Buffer {
  if (type.kind === "array") {
    for (let i = 0; i < type.count; i++) mask(type.element, bytes, at + i * type.element.size);
  } else if (!isRecord(type)) bytes.fill(0xff, at, at + type.size);
  else {
    for (const { type: inner, offset, bits } of type.members) {
      if (!bits) mask(inner, bytes, at + offset);
      const first = (at + offset) * 8 + (bits?.shift ?? 0);
      for (let i = first; i < first + (bits?.width ?? 0); i++) {
        bytes.writeUInt8(bytes.readUInt8(i >> 3) | (1 << (i & 7)), i >> 3);
      }
    }
  }
  return bytes;
}

/** What a client makes of a shown value: of each union one member, the `pick`th. */
function chosen(type: Type, json: Json, pick: number): Json {
  if (Array.isArray(json) && type.kind === "array") {
    return json.map((each) => chosen(type.element, each, pick));
  }
  if (!isRecord(type)) return json;
  const shownAll = json as { [name: string]: Json };
  const { length } = type.members;
  const members = type.members.filter((_, i) => type.kind === "struct" || i === pick % length);
  const parts = members.map(({ name, type: inner }) =>
    name === ""
      ? chosen(inner, json, pick)
      : { [name]: chosen(inner, shownAll[name] ?? null, pick) },
  );
  return Object.assign({}, ...parts);
}

const through = (json: Json): Json => JSON.parse(JSON.stringify(json));
const withBytes = (type: Type) => bytesOf(type.size).map((bytes) => ({ type, bytes }));

describe("round trips", () => {
  it("any bytes of any type survive a round trip with zeroed padding", () => {
    fc.assert(
      fc.property(types("struct").chain(withBytes), ({ type, bytes }) => {
        const json = through(decode(type, bytes));
        const back = encode(type, json, "");
        const kept = mask(type).map((bit, i) => bit & bytes.readUInt8(i));
        expect(back.toString("hex")).toBe(Buffer.from(kept).toString("hex"));
        expect(through(decode(type, back))).toEqual(json);
      }),
      { numRuns: 1000 },
    );
  });

  it("a union is encoded from the given member", () => {
    const any = fc.tuple(types("struct", "union").chain(withBytes), fc.nat(5));
    fc.assert(
      fc.property(any, ([{ type, bytes }, pick]) => {
        const json = chosen(type, through(decode(type, bytes)), pick);
        const back = through(decode(type, encode(type, json, "")));
        expect(chosen(type, back, pick)).toEqual(json);
      }),
      { numRuns: 1000 },
    );
  });

  it("no value takes more characters than jsonLength says", () => {
    fc.assert(
      fc.property(types("struct", "union").chain(withBytes), ({ type, bytes }) => {
        expect(JSON.stringify(decode(type, bytes)).length).toBeLessThanOrEqual(maxJsonLength(type));
      }),
      { numRuns: 1000 },
    );
  });

  it("jsonLength counts up to six characters for a byte of text", () => {
    const type = parseC("char[9]");
    expect(JSON.stringify(decode(type, Buffer.alloc(9, 1))).length).toBe(maxJsonLength(type));
  });

  it("an integer may be a number, decimal text or 0x text", () => {
    const sizes = fc.tuple(
      fc.constantFrom(1, 2, 4, 8, 16),
      fc.bigInt({ min: 0n, max: 2n ** 128n }),
    );
    fc.assert(
      fc.property(sizes, ([size, raw]) => {
        const value = BigInt.asUintN(size * 8, raw);
        const digits = value.toString(16).padStart(size * 2, "0");
        const bytes = Buffer.from(digits, "hex").reverse().toString("hex");
        expect(hex(`u${size * 8}`, String(value))).toBe(bytes);
        expect(hex(`u${size * 8}`, `0x${digits}`)).toBe(bytes);
        expect(hex(`u${size * 8}`, jsonInteger(value))).toBe(bytes);
        expect(hex(`s${size * 8}`, String(BigInt.asIntN(size * 8, raw)))).toBe(bytes);
      }),
    );
  });

  it("a text that fits decodes to itself", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (given) => {
        const text = given.replaceAll("\0", "");
        const type = parseC(`char[${Buffer.byteLength(text)}]`);
        expect(decode(type, encode(type, text, ""))).toBe(text);
      }),
    );
  });
});
