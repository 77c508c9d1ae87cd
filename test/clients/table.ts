import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Generator } from "./generator.ts";
import { TRANSCRIPT } from "./transcript.ts";

/** The table of docs/clients.md, which `npm run clients` writes. */

export const CLIENTS_DOCUMENT = "docs/clients.md";
const BEGIN = "<!-- made by npm run clients -->\n";
const END = "<!-- end -->\n";

const HEAD = [
  "| generator | language | reads | makes | compiles under | steps | in CI | remark |",
  "|---|---|---|---|---|---|---|---|",
];

export interface Result {
  generator: Generator;
  /** The first step that printed something else; absent if all are right. */
  failed?: string;
}

const { dependencies, devDependencies } = JSON.parse(
  readFileSync(join(import.meta.dirname, "package.json"), "utf8"),
) as Record<"dependencies" | "devDependencies", Record<string, string>>;
const versions: Record<string, string> = { ...dependencies, ...devDependencies };

export function rowOf({ generator, failed }: Result): string {
  const { packages, language, document, makes, settings, inCi, note } = generator;
  const named = packages.map((name) => `${name} ${versions[name]}`).join(", ");
  const steps = failed === undefined ? `${TRANSCRIPT.length} of ${TRANSCRIPT.length}` : failed;
  const reads = `OpenAPI ${document}`;
  const cells = [named, language, reads, makes, settings, steps, inCi ? "yes" : "", note];
  return `| ${cells.join(" | ")} |`;
}

/** The document with the rows between its marks replaced. */
export function withTable(text: string, rows: readonly string[]): string {
  const [before = "", rest = ""] = text.split(BEGIN);
  const [, after = ""] = rest.split(END);
  return [before, BEGIN, "\n", [...HEAD, ...rows].join("\n"), "\n\n", END, after].join("");
}

export function rowsIn(text: string): string[] {
  const [, rest = ""] = text.split(BEGIN);
  const lines = (rest.split(END)[0] ?? "").split("\n").filter((line) => line.startsWith("| "));
  return lines.slice(1);
}
