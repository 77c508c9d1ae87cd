import type { Integer, Type } from "../type.ts";
import { applyTypedef, LOCK, makeInt, makeRecord, markAsLock } from "../type_builders.ts";
import { type Aligned, withNaturalAlign } from "./layout.ts";

/** The types that C, <stdint.h> and <linux/types.h> name, as on x86-64. */

export const POINTER = withNaturalAlign(makeInt(8, false));

const CHAR: Integer = { kind: "char", size: 1, signed: true };
const BOOL: Integer = { kind: "bool", size: 1, signed: false };

/** C allows the words of a type in any order. */
const sortWords = (words: readonly string[]): string => words.toSorted().join(" ");

function buildBasicTypes(): Map<string, Type> {
  const words: [string, Type][] = [
    ["char", CHAR],
    ["signed char", makeInt(1, true)],
    ["unsigned char", makeInt(1, false)],
    ["bool", BOOL],
    ["_Bool", BOOL],
    ["float", { kind: "float", size: 4 }],
    ["double", { kind: "float", size: 8 }],
  ];
  const widths = { "": 4, short: 2, long: 8, "long long": 8 };
  for (const [width, size] of Object.entries(widths)) {
    for (const sign of ["", "signed", "unsigned"]) {
      const bare = `${sign} ${width}`.trim();
      words.push([`${bare} int`, makeInt(size, sign !== "unsigned")]);
      if (bare !== "") words.push([bare, makeInt(size, sign !== "unsigned")]);
    }
  }
  words.push(["__int128", makeInt(16, true)], ["signed __int128", makeInt(16, true)]);
  words.push(["unsigned __int128", makeInt(16, false)]);
  return new Map(words.map(([text, type]) => [sortWords(text.split(" ").filter(Boolean)), type]));
}

function buildTypedefs(): Map<string, Type> {
  const names = new Map<string, Type>();
  for (const size of [1, 2, 4, 8, 16]) {
    const [bits, u, s] = [size * 8, makeInt(size, false), makeInt(size, true)];
    for (const name of [`u${bits}`, `__u${bits}`]) names.set(name, u);
    for (const name of [`s${bits}`, `i${bits}`, `__s${bits}`]) names.set(name, s);
    if (size === 16) continue;
    names.set(`uint${bits}_t`, u).set(`u_int${bits}_t`, u).set(`int${bits}_t`, s);
    if (size === 1) continue;
    for (const name of [`__le${bits}`, `le${bits}`]) names.set(name, u);
    for (const name of [`__be${bits}`, `be${bits}`]) names.set(name, applyTypedef(name, u));
  }
  for (const name of ["size_t", "uintptr_t", "ulong", "__aligned_u64"])
    names.set(name, makeInt(8, false));
  for (const name of ["ssize_t", "ptrdiff_t", "intptr_t"]) names.set(name, makeInt(8, true));
  return names.set("uint", makeInt(4, false)).set("ushort", makeInt(2, false));
}

const BASIC_TYPES = buildBasicTypes();
const TYPEDEFS = buildTypedefs();
const WORDS = new Set([...BASIC_TYPES.keys()].flatMap((words) => words.split(" ")));

export const isTypeWord = (text: string): boolean => WORDS.has(text);

const withAlign = (type: Type | undefined): Aligned | undefined => type && withNaturalAlign(type);

export function builtinType(words: readonly string[]): Aligned | undefined {
  return withAlign(BASIC_TYPES.get(sortWords(words)));
}

const SPIN_LOCK = markAsLock(
  makeRecord("struct", 4, [{ name: "val", offset: 0, type: makeInt(4, false) }]),
);

export function builtinTag(name: string): Aligned | undefined {
  return name === LOCK ? { type: SPIN_LOCK, align: 4 } : undefined;
}

export function builtinTypedef(name: string): Aligned | undefined {
  return withAlign(TYPEDEFS.get(name));
}
