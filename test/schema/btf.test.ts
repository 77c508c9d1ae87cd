import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Btf } from "../../domain/schema/btf.ts";
import { declareC, parseC } from "../../domain/schema/c/parser.ts";
import { Scope } from "../../domain/schema/c/scope.ts";
import { decode } from "../../domain/schema/decode.ts";
import { MAX_JSON, MAX_SIZE, maxJsonLength, SchemaError } from "../../domain/schema/limits.ts";
import type { Type } from "../../domain/schema/type.ts";
import { makeInt } from "../../domain/schema/type_builders.ts";

/** BTF of a compiler gives the types of its C source; hostile BTF gives an error. */

const FLOW_C = `
typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32; typedef unsigned long long __u64;
typedef __u16 __be16; typedef __u32 __be32;
enum verdict { PASS, DROP = 2 };
struct unknown;
struct flow {
  __be32 saddr; const __be32 daddr; __be16 ports[2];
  __u8 proto : 4, dir : 4; _Bool seen; char name[6];
  union { __u64 cookie; struct { __u32 low, high; }; };
};
struct stats {
  volatile __u64 packets; __u64 bytes; enum verdict last; float rate;
  struct stats *next; struct unknown *u; __u16 hist[2][3];
};
`;
/**
 * FLOW_C and
 *   struct flow key; struct stats value;
 *   int touch(struct flow *f) { return f->proto; }
 * by clang 14: clang -g -O1 -target bpf -c flow.c && llvm-objcopy --dump-section .BTF=flow.btf flow.o
 */
const FLOW = [
  "n+sBABgAAAAAAAAAEAMAABADAABsAQAAAAAAAAAAAAICAAAAAQAAAAgAAIQgAAAABgAAAAMAAAAAAAAADAAAAAYAAAAg",
  "AAAAEgAAAAoAAABAAAAAGAAAAAwAAABgAAAEHgAAAAwAAABkAAAEIgAAAA4AAABoAAAAJwAAABAAAABwAAAAAAAAABEA",
  "AADAAAAALAAAAAAAAAgEAAAAMwAAAAAAAAgFAAAAOQAAAAAAAAEEAAAAIAAAAAAAAAAAAAAKAwAAAEYAAAAAAAAICAAA",
  "AE0AAAAAAAAICQAAAFMAAAAAAAABAgAAABAAAAAAAAAAAAAAAwAAAAAHAAAACwAAAAIAAABiAAAAAAAAAQQAAAAgAAAA",
  "dgAAAAAAAAgNAAAAewAAAAAAAAEBAAAACAAAAIkAAAAAAAABAQAAAAgAAASPAAAAAAAAAQEAAAAIAAABAAAAAAAAAAMA",
  "AAAADwAAAAsAAAAGAAAAAAAAAAIAAAUIAAAAlAAAABIAAAAAAAAAAAAAABQAAAAAAAAAmwAAAAAAAAgTAAAAoQAAAAAA",
  "AAEIAAAAQAAAAAAAAAACAAAECAAAALQAAAAEAAAAAAAAALgAAAAEAAAAIAAAAAAAAAABAAANFgAAAL0AAAABAAAAvwAA",
  "AAAAAAEEAAAAIAAAAcMAAAABAAAMFQAAABMBAAAAAAAOAgAAAAEAAAAXAQAABwAABDgAAAAdAQAAGgAAAAAAAAAlAQAA",
  "EgAAAEAAAAArAQAAGwAAAIAAAAAwAQAAHAAAAKAAAAA1AQAAHQAAAMAAAAA6AQAAHgAAAAABAAA8AQAAIQAAAEABAAAA",
  "AAAAAAAACRIAAABBAQAAAgAABgQAAABJAQAAAAAAAE4BAAACAAAAUwEAAAAAABAEAAAAAAAAAAAAAAIZAAAAAAAAAAAA",
  "AAIfAAAAWQEAAAAAAAcAAAAAAAAAAAAAAAMAAAAACAAAAAsAAAADAAAAAAAAAAAAAAMAAAAAIAAAAAsAAAACAAAAYQEA",
  "AAAAAA4ZAAAAAQAAAGcBAAACAAAPAAAAABgAAAAAAAAAIAAAACIAAAAAAAAAOAAAAABmbG93AHNhZGRyAGRhZGRyAHBv",
  "cnRzAHByb3RvAGRpcgBzZWVuAG5hbWUAX19iZTMyAF9fdTMyAHVuc2lnbmVkIGludABfX2JlMTYAX191MTYAdW5zaWdu",
  "ZWQgc2hvcnQAX19BUlJBWV9TSVpFX1RZUEVfXwBfX3U4AHVuc2lnbmVkIGNoYXIAX0Jvb2wAY2hhcgBjb29raWUAX191",
  "NjQAdW5zaWduZWQgbG9uZyBsb25nAGxvdwBoaWdoAGYAaW50AHRvdWNoAC50ZXh0AC90bXAvdy9zY2hlbWEvZmxvdy5j",
  "AGludCB0b3VjaChzdHJ1Y3QgZmxvdyAqZikgeyByZXR1cm4gZi0+cHJvdG87IH0Aa2V5AHN0YXRzAHBhY2tldHMAYnl0",
  "ZXMAbGFzdAByYXRlAG5leHQAdQBoaXN0AHZlcmRpY3QAUEFTUwBEUk9QAGZsb2F0AHVua25vd24AdmFsdWUALmJzcwA=",
];

const ENUMS_C = `
enum verdict { PASS, DROP = 2, LAST = -1 };
enum wide { HUGE_ONE = 1ull << 60, BIGGER };
enum low { LOW = -1099511627776 };
struct all { enum verdict v : 3; enum wide w; enum low l[2]; };
`;
/** ENUMS_C with a variable of struct all: gcc -g -c enums.c && pahole -J enums.o (1.24), then its .BTF. */
const ENUMS = [
  "n+sBABgAAAAAAAAA2AAAANgAAABeAAAAAQAAAAMAAIYEAAAACQAAAAAAAAAOAAAAAgAAABMAAAD/////GAAAAAAAAAEE",
  "AAAAIAAAARwAAAACAAATCAAAACEAAAAAAAAAAAAAECoAAAABAAAAAAAAEDEAAAAAAAABCAAAAEAAAABDAAAAAQAAkwgA",
  "AABHAAAAAAAAAAD///9LAAAAAAAAAQgAAABAAAABVAAAAAMAAIQgAAAAWAAAAAEAAAAAAAADWgAAAAMAAABAAAAAXAAA",
  "AAgAAACAAAAAAAAAAAAAAAMAAAAABQAAAAIAAAACAAAAAHZlcmRpY3QAUEFTUwBEUk9QAExBU1QAaW50AHdpZGUASFVH",
  "RV9PTkUAQklHR0VSAGxvbmcgdW5zaWduZWQgaW50AGxvdwBMT1cAbG9uZyBpbnQAYWxsAHYAdwBsAA==",
];

const blob = (lines: readonly string[]): Buffer => Buffer.from(lines.join(""), "base64");

function inC(source: string, name: string): Type {
  const scope = new Scope();
  declareC(source, scope);
  return parseC(name, scope);
}

describe("BTF of compilers", () => {
  const flow = new Btf(blob(FLOW));
  const enums = new Btf(blob(ENUMS));

  it.each(["struct flow", "struct stats", "enum verdict", "__be32", "__u64", "float"])(
    "clang's BTF names %s as its C source does",
    (name) => {
      expect(flow.findType(name)).toEqual(inC(FLOW_C, name));
    },
  );

  it.each(["struct all", "enum verdict", "enum wide", "enum low", "long unsigned int"])(
    "pahole's BTF names %s as its C source does",
    (name) => {
      expect(enums.findType(name)).toEqual(inC(ENUMS_C, name));
    },
  );

  it("a type id is the one that bpftool btf dump shows", () => {
    expect(flow.type(2)).toEqual(inC(FLOW_C, "struct flow"));
    expect(flow.type(25)).toEqual(inC(FLOW_C, "struct stats"));
    expect(flow.type(1)).toEqual(makeInt(8, false));
  });

  it("an absent name and a name of another kind give undefined", () => {
    const names = [
      "struct stats2",
      "struct flo",
      "flow",
      "union flow",
      "verdict",
      "touch",
      "",
      "struct ",
    ];
    expect(names.map((name) => flow.findType(name))).toEqual(names.map(() => undefined));
  });

  it.each([
    [0, "type 0: void has no size"],
    [21, "type 21: the kind must be one that describes data, got 13"],
    [23, "type 23: the kind must be one that describes data, got 12"],
    [24, "type 24: the kind must be one that describes data, got 14"],
    [31, "type 31: unknown is declared, but not defined"],
    [35, "type 35: a variable ends past the 0 bytes"],
    [36, "type 36: the id of a type must be from 1 to 35, got 36"],
    [-1, "type -1: the id of a type must be from 1 to 35, got -1"],
    [1.5, "type 1.5: the id of a type must be from 1 to 35, got 1.5"],
  ])("the type id %i is rejected", (id, message) => {
    expect(() => flow.type(id)).toThrow(new SchemaError(message));
  });
});

/** A blob written by hand, as no compiler would. Every type is named by its kind and its id. */
class BlobDraft {
  readonly #types: Buffer[] = [];
  #strings = "\0";

  name(text: string): number {
    this.#strings += `${text}\0`;
    return this.#strings.length - text.length - 1;
  }

  add(kind: number, size: number, more: { vlen?: number; flag?: boolean; words?: number[] } = {}) {
    const { vlen = 0, flag = false, words = [] } = more;
    const info = (kind << 24) | vlen | (flag ? 2 ** 31 : 0);
    const all = [this.name(`k${kind}_${this.#types.length + 1}`), info >>> 0, size, ...words];
    const bytes = Buffer.alloc(all.length * 4);
    for (const [i, word] of all.entries()) bytes.writeUInt32LE(word, i * 4);
    return this.#types.push(bytes);
  }

  /** A struct (4) or union (5) of [name, type, place] each. */
  record(kind: number, size: number, members: [string, number, number][], flag = false): number {
    const words = members.flatMap(([name, type, place]) => [this.name(name), type, place]);
    return this.add(kind, size, { vlen: members.length, flag, words });
  }

  int(size = 4, data = size * 8): number {
    return this.add(1, size, { words: [data] });
  }

  build(): Buffer {
    const types = Buffer.concat(this.#types);
    const strings = Buffer.from(this.#strings, "latin1");
    const header = Buffer.alloc(24);
    header.writeUInt32LE(0x0001eb9f);
    header.writeUInt32LE(24, 4);
    header.writeUInt32LE(types.length, 12);
    header.writeUInt32LE(types.length, 16);
    header.writeUInt32LE(strings.length, 20);
    return Buffer.concat([header, types, strings]);
  }
}

function refusal(draft: (draft: BlobDraft) => number): string {
  const d = new BlobDraft();
  const id = draft(d);
  try {
    new Btf(d.build()).type(id);
  } catch (error) {
    if (error instanceof SchemaError) return error.message;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("BTF that C text cannot express", () => {
  const namesOf = (type: Type): string[] =>
    "members" in type ? type.members.map(({ name }) => name) : [];
  const typeOf = (draft: (d: BlobDraft) => number): Type => {
    const d = new BlobDraft();
    const id = draft(d);
    return new Btf(d.build()).type(id);
  };

  it("members of one name get numbers, so that JSON has each of them", () => {
    const type = typeOf((d) =>
      d.record(4, 12, [
        ["a", d.int(), 0],
        ["a", 1, 32],
        ["a", 1, 64],
      ]),
    );
    expect(namesOf(type)).toEqual(["a", "a#2", "a#3"]);
    expect(decode(type, Buffer.from("010000000200000003000000", "hex"))).toEqual({
      ...{ a: 1, "a#2": 2, "a#3": 3 },
    });
  });

  it("members of one name in a union get numbers", () => {
    const type = typeOf((d) =>
      d.record(5, 4, [
        ["a", d.int(), 0],
        ["a", d.int(2), 0],
      ]),
    );
    expect(namesOf(type)).toEqual(["a", "a#2"]);
  });

  it("a record without a name gets one where its members repeat others", () => {
    const type = typeOf((d) => {
      const inner = d.record(4, 4, [["a", d.int(), 0]]);
      return d.record(4, 8, [
        ["a", 1, 0],
        ["", inner, 32],
      ]);
    });
    expect(namesOf(type)).toEqual(["a", "#2"]);
  });

  it("a section of variables is a struct with a member for each", () => {
    const type = typeOf((d) => {
      const variable = d.add(14, d.int(), { words: [1] });
      return d.add(15, 8, { vlen: 2, words: [variable, 0, 4, variable, 4, 4] });
    });
    expect(type.size).toBe(8);
    expect(namesOf(type)).toEqual(["k14_2", "k14_2#2"]);
    expect(decode(type, Buffer.from("0700000009000000", "hex"))).toEqual({
      ...{ k14_2: 7, "k14_2#2": 9 },
    });
  });
});

describe("hostile BTF", () => {
  it("well-formed BTF made by hand is read", () => {
    const d = new BlobDraft();
    const tagged = d.add(18, d.int());
    d.add(17, tagged, { words: [0] });
    d.add(13, 0, { vlen: 2, words: [0, 0, 0, tagged] });
    d.add(15, 0, { vlen: 1, words: [0, 0, 4] });
    const id = d.record(
      4,
      8,
      [
        ["a", tagged, 0],
        ["", tagged, 32 | (3 << 24)],
        ["b", tagged, 35 | (5 << 24)],
      ],
      true,
    );
    const u32 = makeInt(4, false);
    const bits = { shift: 3, width: 5 };
    const members = [
      { name: "a", offset: 0, type: u32 },
      { name: "b", offset: 4, bits, type: u32 },
    ];
    expect(new Btf(d.build()).type(id)).toEqual({ kind: "struct", size: 8, members });
  });

  it.each<[string, (d: BlobDraft) => number, string]>([
    ["itself as a member", (d) => d.record(4, 4, [["a", 1, 0]]), "holds itself"],
    ["a typedef of itself", (d) => d.add(8, 1), "holds itself"],
    ["an array of itself", (d) => d.add(3, 0, { words: [1, 1, 1] }), "holds itself"],
    ["two consts of each other", (d) => d.add(10, d.add(10, 2)), "holds itself"],
    [
      "a huge array",
      (d) => d.add(3, 0, { words: [d.int(), 1, 2 ** 32 - 1] }),
      "must have at most 4194304 bytes, got",
    ],
    [
      "a huge array of nothing",
      (d) => d.add(3, 0, { words: [d.record(4, 0, []), 1, 2 ** 32 - 1] }),
      "characters",
    ],
    ["a huge struct", (d) => d.record(4, 2 ** 32 - 1, []), "must have at most 4194304 bytes, got"],
    [
      "a member past the end",
      (d) => d.record(4, 4, [["a", d.int(), 8]]),
      'member "a": must end within the 4 bytes',
    ],
    [
      "members over each other",
      (d) =>
        d.record(4, 8, [
          ["a", d.int(), 0],
          ["b", 1, 16],
        ]),
      'member "b": the bit offset must be at least 32, got 16',
    ],
    [
      "an offset in a union",
      (d) => d.record(5, 8, [["a", d.int(), 32]]),
      'member "a": the bit offset must be 0, got 32',
    ],
    [
      "a member within a byte",
      (d) => d.record(4, 8, [["a", d.int(), 3]]),
      "must begin at a byte, got bit 3",
    ],
    [
      "a bitfield too wide",
      (d) => d.record(4, 8, [["a", d.int(), 33 << 24]], true),
      "must have at most 32 bits",
    ],
    [
      "bits of a float",
      (d) => d.record(4, 8, [["a", d.add(16, 4), 3 << 24]], true),
      "the type of a bitfield must be an integer",
    ],
    [
      "a name that is none",
      (d) => d.record(4, 4, [["a b", d.int(), 0]]),
      'a name must be a C identifier, got "a b"',
    ],
    [
      "a long name",
      (d) => d.record(4, 4, [["a".repeat(129), d.int(), 0]]),
      "at most 128 characters",
    ],
    [
      "a name nowhere",
      (d) => d.add(4, 4, { vlen: 1, words: [9999, d.int(), 0] }),
      "the offset of a name must be at most",
    ],
    ["an integer of 3 bytes", (d) => d.int(3), "the size must be one of 1, 2, 4, 8, 16, got 3"],
    ["an integer of 3 bits", (d) => d.int(4, 3), "an integer must have offset 0 and 32 bits"],
    ["an enum of 16 bytes", (d) => d.add(6, 16), "the size must be one of 1, 2, 4, 8, got 16"],
    ["a long double", (d) => d.add(16, 16), "the size must be one of 4, 8, got 16"],
    [
      "a type that is not there",
      (d) => d.add(8, 99),
      "type 99: the id of a type must be from 1 to",
    ],
    [
      "a kind that is not there",
      (d) => d.add(20, 0),
      "type 1: the kind must be from 1 to 19, got 20",
    ],
    ["kind 0", (d) => d.add(0, 0), "type 1: the kind must be from 1 to 19, got 0"],
    [
      "a vlen past the end",
      (d) => d.add(4, 4, { vlen: 65_535 }),
      "type 1: ends past the type section",
    ],
    [
      "an enum of more",
      (d) => d.add(6, 4, { vlen: 4097, words: new Array(8194).fill(0) }),
      "at most 4096 constants, got",
    ],
    [
      "two constants of a name",
      (d) => d.add(6, 4, { vlen: 2, words: [1, 0, 1, 1] }),
      "duplicate constant",
    ],
  ])("hostile BTF with %s is rejected", (_, draft, message) => {
    expect(refusal(draft)).toContain(message);
  });

  it("structs that double at each level cost no more than the limit", () => {
    const doubling = (d: BlobDraft): number => {
      let id = d.int(1);
      for (let size = 2; size <= 2 ** 20; size *= 2) {
        id = d.record(4, size, [
          ["a", id, 0],
          ["b", id, size * 4],
        ]);
      }
      return id;
    };
    expect(refusal(doubling)).toContain("at most 4096 members");
  });

  it.each<[string, (bytes: Buffer) => unknown, string]>([
    ["no bytes", (b) => b.fill(0), "the magic must be 0xeb9f, got 0x0"],
    ["big-endian", (b) => b.writeUInt16BE(0xeb9f), "must be little-endian, got big-endian"],
    ["another version", (b) => b.writeUInt8(2, 2), "the version must be 1, got 2"],
    [
      "a short header",
      (b) => b.writeUInt32LE(8, 4),
      "the header's length must be at least 24, got 8",
    ],
    ["a header past the end", (b) => b.writeUInt32LE(2 ** 32 - 1, 4), "section ends at byte"],
    [
      "types past the end",
      (b) => b.writeUInt32LE(2 ** 32 - 1, 12),
      "the type section ends at byte",
    ],
    [
      "strings past the end",
      (b) => b.writeUInt32LE(2 ** 32 - 1, 16),
      "the string section ends at byte",
    ],
    ["no strings", (b) => b.writeUInt32LE(0, 20), "must begin and end with a NUL"],
    ["an open string", (b) => b.writeUInt8(65, b.length - 1), "must begin and end with a NUL"],
    ["half a type", (b) => b.writeUInt32LE(13, 12), "type 2: ends past the type section"],
  ])("a BTF header with %s is rejected", (_, spoil, message) => {
    const bytes = Buffer.from(blob(FLOW));
    spoil(bytes);
    expect(() => new Btf(bytes)).toThrow(message);
  });

  it("a truncated blob and one over a megabyte are rejected", () => {
    const whole = blob(FLOW);
    for (let n = 0; n < whole.length; n++) {
      expect(() => new Btf(whole.subarray(0, n))).toThrow(SchemaError);
    }
    expect(() => new Btf(Buffer.alloc((1 << 20) + 1))).toThrow(
      "must have at most 1048576 bytes, got 1048577",
    );
  });

  it("BTF with any changed bytes gives a type within the limits or is rejected", () => {
    const spoil = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
    const tally = { types: 0, refused: 0 };
    fc.assert(
      fc.property(fc.constantFrom(FLOW, ENUMS), spoil, (lines, spoils) => {
        const bytes = blob(lines);
        for (const [at, byte] of spoils) bytes.writeUInt8(byte, at % bytes.length);
        for (let id = 1; id < 40; id++) {
          try {
            const type = new Btf(bytes).type(id);
            tally.types++;
            expect(type.size).toBeLessThanOrEqual(MAX_SIZE);
            expect(maxJsonLength(type)).toBeLessThanOrEqual(MAX_JSON);
            if (type.size > 4096) continue;
            const json = JSON.stringify(decode(type, Buffer.alloc(type.size, 0xa5)));
            expect(json.length).toBeLessThanOrEqual(maxJsonLength(type));
          } catch (error) {
            expect(error).toBeInstanceOf(SchemaError);
            tally.refused++;
          }
        }
      }),
      { numRuns: 1000 },
    );
    expect(Math.min(tally.types, tally.refused)).toBeGreaterThan(1000);
  });
});
