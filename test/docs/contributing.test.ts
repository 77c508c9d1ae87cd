import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { routes } from "../../api/openapi/openapi.ts";
import { HELPERS } from "../../domain/compiler/abi.ts";
import { ERRNO } from "../../domain/errno.ts";
import { commandNames } from "../../domain/redis/script.ts";
import { ROOT, readText } from "../support/documents.ts";

/** Follows the lists of CONTRIBUTING.md for everything that was added before. */

const TEXT = readText("CONTRIBUTING.md");

interface Place {
  path: string;
  contains: string;
}

/** The rows of the table of a section. */
function places(section: string): Place[] {
  const [, body = ""] = new RegExp(`^### ${section}\\n([\\s\\S]*?)(?=^##)`, "m").exec(TEXT) ?? [];
  const rows = body.matchAll(/^\| `([^`]+)` \| `([^`]+)` \| \S.* \|$/gm);
  return [...rows].map(([, path = "", contains = ""]) => ({ path, contains }));
}

const camel = (name: string) => name.replaceAll(/_([a-z])/g, (_, c: string) => c.toUpperCase());
const fill = (text: string, name: string) =>
  text
    .replaceAll("{name}", name)
    .replaceAll("{camel}", camel(name))
    .replaceAll("{NAME}", name.toUpperCase());

const texts = new Map<string, string>();

/** The text of a file, or of all files below a folder. */
function textAt(path: string): string {
  const known = texts.get(path);
  if (known !== undefined) return known;
  const full = join(ROOT, path);
  const files = statSync(full).isDirectory()
    ? readdirSync(full, { recursive: true, encoding: "utf8" }).map((file) => join(full, file))
    : [full];
  const text = files
    .filter((file) => /\.(ts|lua|py|json|yaml)$/.test(file))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  texts.set(path, text);
  return text;
}

function missing(section: string, names: readonly string[]): string[] {
  return names.flatMap((name) =>
    places(section).flatMap(({ path, contains }) => {
      const place = fill(path, name);
      const word = new RegExp(`\\b${fill(contains, name).replaceAll(".", "\\.")}\\b`);
      if (existsSync(join(ROOT, place)) && word.test(textAt(place))) return [];
      return [`${name}: ${place}`];
    }),
  );
}

const commands = routes
  .flatMap(({ operation }) => operation["x-bpf-command"])
  .filter((command) => command.startsWith("BPF_"))
  .map((command) => command.replace("BPF_", "").toLowerCase())
  .filter((command) => commandNames().includes(command));

/** The guide lists the types that run. */
const RUN_TYPES = /Programs of the types ([\w, \n]+?) and (\w+)\nrun\./;

function runTypes(): string[] {
  const [, list = "", last = ""] = RUN_TYPES.exec(readText("docs/guide.md")) ?? [];
  return [...list.split(/,\s*/), last];
}

const LISTS: [section: string, least: number, names: string[]][] = [
  [
    "Add a map type",
    18,
    readdirSync(join(ROOT, "domain/lua/map/types")).map((file) => file.replace(".lua", "")),
  ],
  ["Add a helper", 40, Object.keys(HELPERS)],
  ["Add a program type", 8, runTypes()],
  ["Add a command", 20, [...new Set(commands)]],
  ["Add an errno", 25, Object.keys(ERRNO)],
];

describe.each(LISTS)("%s", (section, least, names) => {
  it("has a list of places", () => {
    expect(places(section).length).toBeGreaterThan(3);
  });

  it("every place of the list names everything that was added before", () => {
    expect(names.length).toBeGreaterThanOrEqual(least);
    expect(missing(section, names)).toEqual([]);
  });
});
