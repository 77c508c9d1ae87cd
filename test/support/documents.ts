import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Reads the Markdown documents of the repository: names, command blocks, links and headings. */

export const ROOT = join(import.meta.dirname, "../..");
export const readText = (file: string) => readFileSync(join(ROOT, file), "utf8");

const markdownIn = (folder: string) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `${folder}/${file}`);

/** Lists the documents for readers, relative to the root of the repository. */
export const DOCUMENTS = [
  ...["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"],
  ...markdownIn("docs"),
  ...markdownIn(".github"),
].sort();

export interface CommandBlock {
  commands: string;
  /** The requirements that the fence of the block names. */
  needs: string[];
  /** The text of the following output block; undefined if there is none. */
  prints: string | undefined;
}

const BLOCK = /^```sh(?: needs=(\S+))?\n(.*?)^```\n(?:\n```(?:json|text)\n(.*?)^```\n)?/gms;

/** Finds the shell blocks of a document, each with its expected output. */
export function commandBlocks(text: string): CommandBlock[] {
  return [...text.matchAll(BLOCK)].map(([, needs = "", commands = "", prints]) => ({
    ...{ commands, prints },
    needs: needs.split(",").filter(Boolean),
  }));
}

/** Replaces each fenced block by as many empty lines, so that line numbers stay right. */
export function withoutBlocks(text: string): string {
  return text.replaceAll(/^```.*?^```$/gms, (block) => block.replaceAll(/[^\n]/g, ""));
}

/** Lists the anchors that GitHub creates for the headings. */
export function anchors(text: string): string[] {
  const headings = [...withoutBlocks(text).matchAll(/^#+ (.+)$/gm)];
  return headings.map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
