import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

/** A name has one meaning in the whole repository, and a line fits a screen. */

const ROOT = join(import.meta.dirname, "..");
const SOURCE_FOLDERS = ["api", "bench", "domain", "examples", "test"];
const FOLDERS = [...SOURCE_FOLDERS, "docs", "scripts"];
const LINE_LENGTH = 120;

/** Lines of Markdown that cannot be broken: the row of a table, the JSON of a response. */
const UNBREAKABLE = /^\|.*\|$|^[{"]/;

const DECLARATION =
  /^(export )?(?:declare )?(?:abstract )?(?:class|interface|type) (\w+)(?=[\s<=])/gm;

interface SourceText {
  readonly file: string;
  readonly text: string;
}

function filesOf(folder: string, ending: RegExp): SourceText[] {
  const recursive = folder !== "";
  return readdirSync(join(ROOT, folder), { recursive, encoding: "utf8" })
    .filter((name) => ending.test(name) && !name.includes("node_modules"))
    .map((name) => join(folder, name))
    .map((file) => ({ file, text: readFileSync(join(ROOT, file), "utf8") }));
}

/** Returns "name: files" for each exported type whose name another file declares, too. */
function sharedTypeNames(sources: readonly SourceText[]): string[] {
  const filesByName = new Map<string, Set<string>>();
  const exported = new Set<string>();
  for (const { file, text } of sources) {
    for (const [, isExported, name = ""] of text.matchAll(DECLARATION)) {
      if (isExported) exported.add(name);
      filesByName.set(name, (filesByName.get(name) ?? new Set()).add(file));
    }
  }
  return [...filesByName]
    .filter(([name, files]) => files.size > 1 && exported.has(name))
    .map(([name, files]) => `${name}: ${[...files].join(", ")}`);
}

/** Returns "file:line" for each line that is too long. */
function longLines({ file, text }: SourceText): string[] {
  const isUnbreakable = (line: string) => file.endsWith(".md") && UNBREAKABLE.test(line);
  const isTooLong = (line: string) => line.length > LINE_LENGTH && !isUnbreakable(line);
  return text.split("\n").flatMap((line, i) => (isTooLong(line) ? [`${file}:${i + 1}`] : []));
}

const sources = SOURCE_FOLDERS.flatMap((folder) => filesOf(folder, /\.ts$/));
const texts = ["", ...FOLDERS].flatMap((folder) => filesOf(folder, /\.(?:ts|lua|md|yaml|mjs)$/));

describe("names", () => {
  it("the check finds an exported type name that another file declares", () => {
    const planted = [
      { file: "a.ts", text: "export interface Twice {}\ntype Local = number;" },
      { file: "b.ts", text: "abstract class Twice<T> {}\ntype Local = string;" },
      { file: "c.ts", text: 'import type { Twice } from "./a.ts";' },
    ];
    expect(sharedTypeNames(planted)).toEqual(["Twice: a.ts, b.ts"]);
    expect(sharedTypeNames(planted.slice(1))).toEqual([]);
  });

  it("an exported type has a name that no other file declares", () => {
    expect(sources.length).toBeGreaterThan(400);
    expect(sharedTypeNames(sources)).toEqual([]);
  });
});

describe("lines", () => {
  it("the check finds a line that is too long and passes what cannot be broken", () => {
    const long = "x".repeat(LINE_LENGTH + 1);
    expect(longLines({ file: "a.md", text: `${long}\n${long.slice(1)}` })).toEqual(["a.md:1"]);
    expect(longLines({ file: "a.md", text: `| ${long} |\n{"${long}":1}` })).toEqual([]);
    expect(longLines({ file: "a.ts", text: `| ${long} |` })).toEqual(["a.ts:1"]);
  });

  it(`a line has at most ${LINE_LENGTH} characters`, () => {
    expect(texts.length).toBeGreaterThan(sources.length);
    expect(texts.flatMap(longLines)).toEqual([]);
  });
});
