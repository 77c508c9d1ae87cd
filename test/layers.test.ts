import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, expect, it } from "vitest";

/** The folders are layers: arrows between them go down, and no level of the tree has a circle. */

const ROOT = join(import.meta.dirname, "..");

/** domain/ from top to bottom: an entry imports only itself and those after it. */
const LAYERS = [
  "sweeper",
  "bpf",
  "loader",
  "commands",
  "transaction",
  "asm",
  "runtime",
  "verifier",
  "compiler",
  "elf",
  "btf",
  "schema",
  "threads",
  "redis",
  "isa",
  "session_renewals",
  "fair_queue",
  "token",
  "capabilities",
  "did_you_mean",
  "bytes",
  "settings",
  "errno",
];

/** The layers that are folders. */
const FOLDER_LAYERS = LAYERS.slice(LAYERS.indexOf("loader"), LAYERS.indexOf("isa") + 1);

interface LintRules {
  style: { noRestrictedImports: { options: { patterns: { group: string[] }[] } } };
}
interface LintConfig {
  overrides: { includes: string[]; linter: { rules: LintRules } }[];
}

interface Arrow {
  from: string;
  to: string;
}

function sources(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" });
  return entries.filter((file) => /\.ts$/.test(file)).map((file) => join(folder, file));
}

/** Imports of types count, too: a reader has to follow them as well. */
function arrowsOf(file: string): Arrow[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  const found = text.matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)"(\.[^"]+)"/g);
  return [...found].map(([, name = ""]) => ({
    from: file,
    to: normalize(join(dirname(file), name)),
  }));
}

const FOLDERS = ["api", "bench", "domain", "examples", "test"];
const arrows = FOLDERS.flatMap(sources).flatMap(arrowsOf);

/** The file or folder of `level` that a path is in; undefined outside. */
function entryOf(level: string, path: string): string | undefined {
  const inside = relative(level, path);
  if (inside.startsWith("..")) return undefined;
  return inside.split("/")[0]?.replace(/\.ts$/, "");
}

/** The arrows between the entries of a folder, in which each subfolder is one entry. */
function arrowsWithin(level: string, all: readonly Arrow[]): Map<string, Set<string>> {
  const within = new Map<string, Set<string>>();
  for (const arrow of all) {
    const [from, to] = [entryOf(level, arrow.from), entryOf(level, arrow.to)];
    if (from === undefined || to === undefined || from === to) continue;
    within.set(from, (within.get(from) ?? new Set()).add(to));
  }
  return within;
}

/** The entries of a circle, or an empty list. */
function circle(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const path: string[] = [];
  function visit(entry: string): string[] {
    if (path.includes(entry)) return [...path.slice(path.indexOf(entry)), entry];
    if (done.has(entry)) return [];
    path.push(entry);
    for (const next of graph.get(entry) ?? []) {
      const found = visit(next);
      if (found.length > 0) return found;
    }
    path.pop();
    done.add(entry);
    return [];
  }
  for (const entry of graph.keys()) {
    const found = visit(entry);
    if (found.length > 0) return found;
  }
  return [];
}

const levels = [...new Set(arrows.map(({ from }) => dirname(from)))]
  .flatMap((folder) => folder.split("/").map((_, i, parts) => parts.slice(0, i + 1).join("/")))
  .filter((level, i, all) => all.indexOf(level) === i)
  .sort();

describe("layers", () => {
  it("the check of circles finds a circle", () => {
    const there = { from: "a/b/c.ts", to: "a/d.ts" };
    const back = { from: "a/d.ts", to: "a/b/e.ts" };
    expect(circle(arrowsWithin("a", [there, back]))).toEqual(["b", "d", "b"]);
    expect(circle(arrowsWithin("a", [there]))).toEqual([]);
    expect(arrows.length).toBeGreaterThan(1000);
  });

  it.each(levels)("the files and folders in %s import each other without a circle", (level) => {
    expect(circle(arrowsWithin(level, arrows))).toEqual([]);
  });

  it("every file and folder of domain/ has its layer", () => {
    const entries = readdirSync(join(ROOT, "domain")).map((name) => name.replace(/\.ts$/, ""));
    expect(entries.filter((name) => name !== "lua").sort()).toEqual([...LAYERS].sort());
  });

  it("a layer of domain/ imports only those below it", () => {
    const upward = [...arrowsWithin("domain", arrows)].flatMap(([from, below]) =>
      [...below]
        .filter((to) => LAYERS.indexOf(to) < LAYERS.indexOf(from))
        .map((to) => `${from} -> ${to}`),
    );
    expect(upward).toEqual([]);
  });

  it("the lint forbids each folder of domain/ to import those above it", () => {
    const { overrides } = JSON.parse(readFileSync(join(ROOT, "biome.json"), "utf8")) as LintConfig;
    for (const [place, folder] of FOLDER_LAYERS.entries()) {
      const rules = overrides.find(({ includes }) => includes[0] === `domain/${folder}/**`);
      const { group } = rules?.linter.rules.style.noRestrictedImports.options.patterns[0] ?? {};
      const above = ["api", ...FOLDER_LAYERS.slice(0, place)];
      expect(group, folder).toContain(`**/{${above.join(",")}}/**`);
      expect(group, folder).toContain("**/{sweeper,bpf}.ts");
    }
  });
});
