import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { anchors, DOCUMENTS, ROOT, readText, withoutBlocks } from "../support/documents.ts";

/** Documents keep to their limits, and their links, paths and quotes exist. */

const README_LINES = 120;
const LINE_LENGTH = 120;
const LINK = /\]\(([^)\s]+)\)/g;
/** Paths of the repository in code marks: with a folder of the first level, or a file at the root. */
const FOLDERS = "api|bench|docs|domain|examples|scripts|test|\\.github|\\.ci";
const PATH = new RegExp(`\`((?:${FOLDERS})/[\\w/.-]*)\``, "g");

it.each(DOCUMENTS)("%s has only links that lead somewhere", (file) => {
  for (const [, link = ""] of withoutBlocks(readText(file)).matchAll(LINK)) {
    if (/^https?:/.test(link)) continue;
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? file : join(dirname(file), path);
    expect(existsSync(join(ROOT, target)), link).toBe(true);
    if (anchor) expect(anchors(readText(target)), link).toContain(anchor);
  }
});

it.each(DOCUMENTS)("%s names only files that exist", (file) => {
  for (const [, path = ""] of readText(file).matchAll(PATH)) {
    expect(existsSync(join(ROOT, path)), path).toBe(true);
  }
});

it.each(DOCUMENTS)(`%s has lines of at most ${LINE_LENGTH} characters, tables aside`, (file) => {
  const lines = withoutBlocks(readText(file))
    .split("\n")
    .filter((line) => !line.startsWith("|"));
  expect(lines.filter((line) => line.length > LINE_LENGTH || /[ \t]$/.test(line))).toEqual([]);
});

it(`the README has at most ${README_LINES} lines`, () => {
  expect(readText("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(README_LINES);
});

it("the capacity of a core is that of the last run of the bench", () => {
  const [, table] =
    /What a core carries\n.*?\n(\|.*?)\n\n/s.exec(readText("bench/RESULTS.md")) ?? [];
  expect(table?.split("\n").length).toBeGreaterThan(4);
  expect(readText("docs/operations.md")).toContain(`\n\n${table}\n\n`);
});

describe("docs/decisions", () => {
  const files = readdirSync(join(ROOT, "docs/decisions")).filter((name) => name !== "README.md");

  it("the decisions are numbered without a gap, and their README lists each", () => {
    const list = readText("docs/decisions/README.md");
    const linked = [...list.matchAll(LINK)].map(([, link = ""]) => link);
    expect(linked).toEqual([...files].sort());
    const numbers = files.map((name) => Number(name.slice(0, 4))).sort((a, b) => a - b);
    expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  });

  it.each(files)("%s has context, decision and consequences", (name) => {
    const text = readText(`docs/decisions/${name}`);
    expect(text).toMatch(/^# \d+\. \S/);
    const sections = [...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title);
    expect(sections).toEqual(["Context", "Decision", "Consequences"]);
  });
});

it("the table of layers has every folder of domain/", () => {
  const [, table = ""] = /\| folder of `domain\/` .*\n(\|[\s\S]*?)\n\n/.exec(
    readText("docs/architecture.md"),
  ) ?? [""];
  const rows = [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  const folders = readdirSync(join(ROOT, "domain"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  expect(rows.sort()).toEqual(folders.sort());
});

it("the CHANGELOG names a file for each bug and quotes only text that stands in it", () => {
  const [, table = ""] = /^\| bug \| test \|\n\|---\|---\|\n((?:\|.*\n)+)/m.exec(
    readText("CHANGELOG.md"),
  ) ?? [""];
  const rows = table.trimEnd().split("\n");
  expect(rows.length).toBeGreaterThan(50);
  for (const row of rows) {
    const [, path = "", quotes = ""] = / \| `(test\/[^`]+)`(?:: (".*"))? \|$/.exec(row) ?? [];
    expect(path, row).not.toBe("");
    const text = readText(path);
    for (const title of quotes.slice(1, -1).split('", "')) expect(text, row).toContain(title);
  }
});

it("the table of variables has every variable of api/config.ts", () => {
  const [, list = ""] =
    /^const VARIABLES = \{\n([\s\S]*?)^\};/m.exec(readText("api/config.ts")) ?? [];
  const names = [...list.matchAll(/^ {2}([A-Z_]+): /gm)].map(([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(10);
  const rows =
    readText("docs/operations.md")
      .match(/^\| `[A-Z_].*$/gm)
      ?.join("\n") ?? "";
  const documented = [...rows.matchAll(/`([A-Z_]+)`/g)].map(([, name = ""]) => name);
  expect(names.filter((name) => !documented.includes(name))).toEqual([]);
});
