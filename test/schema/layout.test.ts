import { expect, it } from "vitest";
import { parseC } from "../../domain/schema/c/parser.ts";
import { isRecord, type RecordMember, type Type } from "../../domain/schema/type.ts";
import { withShortTitle } from "../support/titles.ts";

/**
 * Offsets of x86-64. The right column is gcc 12.2's, and clang 14 says the same: sizeof, offsetof, and
 * for a bitfield the first bit and the number of bits that are set after memset(&x, 0) and x.m = -1.
 */

const LAYOUTS = [
  ["struct t { u64 packets; u64 bytes; }", "16: packets@0 bytes@8"],
  [
    "struct t { u8 a; u16 b; u8 c; u32 d; u8 e; u64 f; u8 g; }",
    "32: a@0 b@2 c@4 d@8 e@12 f@16 g@24",
  ],
  [
    "struct t { u8 a; u16 b; u8 c; u32 d; u8 e; u64 f; u8 g; } __attribute__((packed))",
    "18: a@0 b@1 c@3 d@4 e@8 f@9 g@17",
  ],
  ["struct __attribute__((packed)) t { char c; long l; short s; }", "11: c@0 l@1 s@9"],
  ["struct t { char a; unsigned __int128 b; }", "32: a@0 b@16"],
  ["struct t { char a; double b; float c; }", "24: a@0 b@8 c@16"],
  ["struct t { _Bool a; long long b[3]; char c[5]; short d; }", "40: a@0 b@8 c@32 d@38"],
  ["struct t { u8 a[3][5]; u32 b[2][2]; u16 c; }", "36: a@0 b@16 c@32"],
  ["struct t { u8 a; void *b; u8 c; const char **d; }", "32: a@0 b@8 c@16 d@24"],
  ["struct t { u8 a; struct { u8 x; u32 y; } b; u8 c; }", "16: a@0 b@4 b.x@4 b.y@8 c@12"],
  [
    "struct t { u8 a; struct { u8 x; u32 y; } __attribute__((packed)) b; u8 c; }",
    "7: a@0 b@1 b.x@1 b.y@2 c@6",
  ],
  [
    "struct t { u8 a; struct { u8 x; u32 y; } b; u8 c; } __attribute__((packed))",
    "10: a@0 b@1 b.x@1 b.y@5 c@9",
  ],
  ["struct t { u8 a; union { u8 x; u64 y; }; u8 c; }", "24: a@0 x@8 y@8 c@16"],
  [
    "struct t { u16 a; union { struct { u8 x; u32 y; }; u8 z[7]; } b; u16 c; }",
    "16: a@0 b@4 b.x@4 b.y@8 b.z@4 c@12",
  ],
  ["union t { u8 a; u32 b; char c[6]; }", "8: a@0 b@0 c@0"],
  ["union t { u8 a; u32 b; char c[6]; } __attribute__((packed))", "6: a@0 b@0 c@0"],
  ["union t { u32 a:5; u8 b; u64 c:33; }", "8: a@0.0+5 b@0 c@0.0+33"],
  ["union t { u32 :17; u8 a; }", "3: a@0"],
  ["struct t { u32 a:3; u32 b:5; u32 c:24; u32 d:1; }", "8: a@0.0+3 b@0.3+5 c@1.0+24 d@4.0+1"],
  ["struct t { u32 a:30; u32 b:3; u8 c; }", "8: a@0.0+30 b@4.0+3 c@5"],
  ["struct t { u8 a; u32 b:8; u32 c:20; u8 d; }", "8: a@0 b@1.0+8 c@4.0+20 d@7"],
  ["struct t { u8 a; u64 b:40; u32 c:20; u8 d; }", "16: a@0 b@1.0+40 c@8.0+20 d@11"],
  [
    "struct t { u8 a; u64 b:40; u32 c:20; u8 d; } __attribute__((packed))",
    "10: a@0 b@1.0+40 c@6.0+20 d@9",
  ],
  ["struct t { u8 a; u32 :0; u8 b; }", "5: a@0 b@4"],
  [
    "struct t { u32 a:3; u32 :0; u32 b:5; u8 c; } __attribute__((packed))",
    "6: a@0.0+3 b@4.0+5 c@5",
  ],
  ["struct t { u8 a; u32 :5; u8 b; }", "3: a@0 b@2"],
  ["struct t { s16 a:9; s16 b:9; s8 c:7; s8 d:2; }", "6: a@0.0+9 b@2.0+9 c@3.1+7 d@4.0+2"],
  ["struct t { _Bool a:1; _Bool b:1; u8 c:6; _Bool d; }", "2: a@0.0+1 b@0.1+1 c@0.2+6 d@1"],
  [
    "struct t { u8 a:4, b:4; u8 c; u16 d:13; u16 e:3; u16 f; }",
    "6: a@0.0+4 b@0.4+4 c@1 d@2.0+13 e@3.5+3 f@4",
  ],
  ["struct t { u8 a; u32 b __attribute__((packed)); u8 c; u32 d; }", "12: a@0 b@1 c@5 d@8"],
  [
    "struct t { u8 a; u32 b __attribute__((aligned(8))); u8 c; } __attribute__((packed))",
    "16: a@0 b@8 c@12",
  ],
  ["struct t { u8 a; u16 b; } __attribute__((aligned(8)))", "8: a@0 b@2"],
  ["struct t { u8 a; u32 b; } __attribute__((packed, aligned(2)))", "6: a@0 b@1"],
  [
    "struct t { u8 a; struct { u8 x; } __attribute__((aligned(16))) b; u8 c; }",
    "48: a@0 b@16 b.x@16 c@32",
  ],
  [
    "typedef u64 low __attribute__((aligned(4))); struct t { u8 a; low b; low c[2]; }",
    "28: a@0 b@4 c@12",
  ],
  [
    "typedef u8 mac[6]; struct t { mac src, dst; u16 proto; u32 mark; }",
    "20: src@0 dst@6 proto@12 mark@16",
  ],
  ["struct t { u8 a; enum { SMALL = 1 } b; enum { BIG = 1ull << 40 } c; }", "16: a@0 b@4 c@8"],
  [
    "struct t { u8 a; enum { X = 200 } __attribute__((packed)) b; enum { Y = -200 } __attribute__((packed)) c; u8 d; }",
    "6: a@0 b@1 c@2 d@4",
  ],
  [
    "struct t { u8 a; enum { BITS } b:2; enum { NEGATIVE = -1 } c:3; u8 d; }",
    "4: a@0 b@1.0+2 c@1.2+3 d@2",
  ],
  [
    "enum { LEN = 3 }; struct in { u8 a; u16 b; }; struct t { struct in x[LEN]; u32 y; }",
    "16: x@0 y@12",
  ],
  ["struct t { u32 a; u8 none[0]; struct { } empty; u64 b; }", "16: a@0 none@4 empty@4 b@8"],
  ["struct t { u32 prefixlen; u8 data[16]; }", "20: prefixlen@0 data@4"],
] as const;

function place({ offset, bits }: RecordMember, base: number): string {
  return bits ? `${base + offset}.${bits.shift}+${bits.width}` : `${base + offset}`;
}

/** As the table writes it: "a@0 b.x@4 c@8.3+5". */
function layout(type: Type, path = "", base = 0): string[] {
  if (!isRecord(type)) return [];
  return type.members.flatMap((member) => {
    const name = [path, member.name].filter(Boolean).join(".");
    const own = member.name === "" ? [] : [`${name}@${place(member, base)}`];
    return [...own, ...layout(member.type, name, base + member.offset)];
  });
}

it.each(withShortTitle(LAYOUTS))(
  "gcc and the schema give %s the same layout",
  (_title, text, expected) => {
    const type = parseC(text);
    expect([`${type.size}:`, ...layout(type)].join(" ")).toBe(expected);
  },
);
