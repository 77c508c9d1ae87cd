import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Reads the Markdown documents of the repository: their names, blocks of commands, links, headings. */

export const ROOT = join(import.meta.dirname, "../..");
export const readText = (file: string) => readFileSync(join(ROOT, file), "utf8");

const markdownIn = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `${folder}/${file}`);

/** The documents for readers, from the root of the repository. */
export const DOCUMENTS = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
  ...markdownIn("docs"),
  ...markdownIn(".github"),
].sort();

export interface CommandBlock {
  commands: string;
  /** What the fence says that the block needs. */
  needs: string[];
  /** The text of the block after it; undefined when no such block follows. */
  prints: string | undefined;
}

const BLOCK = /^```sh(?: needs=(\S+))?\n(.*?)^```\n(?:\n```(?:json|text)\n(.*?)^```\n)?/gms;

/** The shell blocks of a document, each with what it should print. */
export function commandBlocks(text: string): CommandBlock[] {
  return [...text.matchAll(BLOCK)].map(([, needs = "", commands = "", prints]) => ({
    ...{ commands, prints },
    needs: needs.split(",").filter(Boolean),
  }));
}

/** A document without its fenced blocks, each replaced by as many empty lines. */
export function withoutBlocks(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, (block) => block.replaceAll(/[^\n]/g, ""));
}

/** The anchors that GitHub makes of the headings. */
export function anchors(text: string): string[] {
  const headings = [...withoutBlocks(text).matchAll(/^#+ (.+)$/gm)];
  return headings.map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
