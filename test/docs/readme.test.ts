import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServiceProgram, startProgram } from "../support/program.ts";

/** Every command of the README runs, in its order and in one shell, and prints what it says. */

const ROOT = join(import.meta.dirname, "../..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const RESULTS = readFileSync(join(ROOT, "bench/RESULTS.md"), "utf8");
const BLOCK = /```sh\n(.*?)```\n(?:\n```json\n(.*?)```\n)?/gs;
const MARK = "--- end of block ---";

interface Block {
  commands: string;
  prints: string;
}

const blocks: Block[] = [...README.matchAll(BLOCK)]
  .map(([, commands = "", prints = ""]) => ({ commands, prints }))
  .filter(({ commands }) => commands.trim() !== "npm start");

describe("README", () => {
  let program: ServiceProgram;
  let printed: string[] = [];

  beforeAll(async () => {
    program = await startProgram();
    const text = blocks.map(({ commands }) => `${commands}\necho '${MARK}'\n`).join("");
    const script = text.replaceAll("http://127.0.0.1:8080", program.base);
    const { stdout, stderr } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
    expect(stderr).toBe("");
    printed = stdout.split(`${MARK}\n`);
  });

  afterAll(() => program.stop());

  it("has the commands that this test runs", () => {
    expect(blocks.length).toBeGreaterThan(4);
    expect(README).toContain("```sh\nnpm start\n```");
  });

  it.each(blocks.map((block, i) => [block.commands.split("\n")[0], block, i] as const))(
    "%s ... prints what it says",
    (_first, block, i) => {
      expect(printed[i]).toBe(block.prints);
    },
  );

  it("says of a core what the last run of the bench said", () => {
    const [, table] = /What a core carries\n.*?\n(\|.*?)\n\n/s.exec(RESULTS) ?? [];
    expect(table?.split("\n").length).toBeGreaterThan(4);
    expect(README).toContain(`\n\n${table}\n\n`);
  });

  it("names only files that exist", () => {
    for (const [, path = ""] of README.matchAll(/`((?:domain|api|test|scripts)\/[\w/.]+)`/g)) {
      expect(() => readFileSync(join(ROOT, path)), path).not.toThrow(/ENOENT/);
    }
  });
});
