/** The types that C, <stdint.h> and <linux/types.h> name, as x86-64 has them. */

import type { Integer, Type } from "../type.ts";
import { asLock, int, LOCK, named, record } from "../type_builders.ts";
import { type Aligned, natural } from "./layout.ts";

export const POINTER = natural(int(8, false));

const CHAR: Integer = { kind: "char", size: 1, signed: true };
const BOOL: Integer = { kind: "bool", size: 1, signed: false };

/** C takes the words of a type in any order. */
const key = (words: readonly string[]): string => words.toSorted().join(" ");

function spellings(): Map<string, Type> {
  const words: [string, Type][] = [
    ["char", CHAR],
    ["signed char", int(1, true)],
    ["unsigned char", int(1, false)],
    ["bool", BOOL],
    ["_Bool", BOOL],
    ["float", { kind: "float", size: 4 }],
    ["double", { kind: "float", size: 8 }],
  ];
  const widths = { "": 4, short: 2, long: 8, "long long": 8 };
  for (const [width, size] of Object.entries(widths)) {
    for (const sign of ["", "signed", "unsigned"]) {
      const bare = `${sign} ${width}`.trim();
      words.push([`${bare} int`, int(size, sign !== "unsigned")]);
      if (bare !== "") words.push([bare, int(size, sign !== "unsigned")]);
    }
  }
  words.push(["__int128", int(16, true)], ["signed __int128", int(16, true)]);
  words.push(["unsigned __int128", int(16, false)]);
  return new Map(words.map(([text, type]) => [key(text.split(" ").filter(Boolean)), type]));
}

function typedefs(): Map<string, Type> {
  const names = new Map<string, Type>();
  for (const size of [1, 2, 4, 8, 16]) {
    const [bits, u, s] = [size * 8, int(size, false), int(size, true)];
    for (const name of [`u${bits}`, `__u${bits}`]) names.set(name, u);
    for (const name of [`s${bits}`, `i${bits}`, `__s${bits}`]) names.set(name, s);
    if (size === 16) continue;
    names.set(`uint${bits}_t`, u).set(`u_int${bits}_t`, u).set(`int${bits}_t`, s);
    if (size === 1) continue;
    for (const name of [`__le${bits}`, `le${bits}`]) names.set(name, u);
    for (const name of [`__be${bits}`, `be${bits}`]) names.set(name, named(name, u));
  }
  for (const name of ["size_t", "uintptr_t", "ulong", "__aligned_u64"])
    names.set(name, int(8, false));
  for (const name of ["ssize_t", "ptrdiff_t", "intptr_t"]) names.set(name, int(8, true));
  return names.set("uint", int(4, false)).set("ushort", int(2, false));
}

const SPELLINGS = spellings();
const TYPEDEFS = typedefs();
const WORDS = new Set([...SPELLINGS.keys()].flatMap((words) => words.split(" ")));

export const isWord = (text: string): boolean => WORDS.has(text);

const aligned = (type: Type | undefined): Aligned | undefined => type && natural(type);

export function builtinType(words: readonly string[]): Aligned | undefined {
  return aligned(SPELLINGS.get(key(words)));
}

const SPIN_LOCK = asLock(record("struct", 4, [{ name: "val", offset: 0, type: int(4, false) }]));

export function builtinTag(name: string): Aligned | undefined {
  return name === LOCK ? { type: SPIN_LOCK, align: 4 } : undefined;
}

export function builtinTypedef(name: string): Aligned | undefined {
  return aligned(TYPEDEFS.get(name));
}
