import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CommandBlock, commandBlocks, ROOT, readText } from "../support/documents.ts";
import { type ServiceProgram, startProgram } from "../support/program.ts";

/** Runs every command of README and guide, in order and in one shell, and compares the output. */

const ADDRESS = "http://127.0.0.1:8080";
const LIMIT_MS = 120_000;
const MARK = "--- end of block ---";
/** Programs that a block may need; every machine with a shell has echo. */
const PROGRAMS = ["clang", "curl", "docker", "grep", "jq", "node", "npm", "sed"];
const SESSION = /\b(bpf|counts|session) |\$token\b/;

let program: ServiceProgram;
beforeAll(async () => {
  program = await startProgram();
}, LIMIT_MS);
afterAll(() => program.stop());

/** True for a program or a function of the shell. */
const hasCallOf = (commands: string, name: string) =>
  new RegExp(`(?:^|\\||\\$\\(|\\{)\\s*${name} `, "m").test(commands);

/** The output of each block. */
function runBlocks(blocks: CommandBlock[]): string[] {
  const script = blocks.map(({ commands }) => `${commands}\necho '${MARK}'\n`).join("");
  const { stdout, stderr } = spawnSync("bash", ["-c", script.replaceAll(ADDRESS, program.base)], {
    cwd: ROOT,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return stdout.split(`${MARK}\n`);
}

describe.each(["README.md", "docs/guide.md"])("%s", (file) => {
  const all = commandBlocks(readText(file));
  const blocks = all.filter(({ commands }) => commands !== "npm start\n");
  let output: string[] = [];
  beforeAll(() => {
    output = runBlocks(blocks);
  }, LIMIT_MS);

  it(`${file} has blocks of commands`, () => {
    expect(blocks.length).toBeGreaterThan(3);
  });

  it.each(blocks.map((_, i) => i))(`block %i of ${file} prints what the document says`, (i) => {
    expect(output[i]).toBe(blocks[i]?.prints ?? "");
  });

  it.each(blocks.map((_, i) => i))(
    `the fence of block %i of ${file} names what the block needs`,
    (i) => {
      const { commands = "", needs = [] } = blocks[i] ?? {};
      const makesSession = /^(bpf|session)\(\)/m.test(commands);
      const wanted = PROGRAMS.filter((name) => hasCallOf(commands, name));
      if (!makesSession && SESSION.test(commands)) wanted.push("session");
      expect([...needs].sort()).toEqual(wanted.sort());
    },
  );
});

it("the README begins with one command", () => {
  expect(commandBlocks(readText("README.md"))[0]?.commands).toBe("npm start\n");
});
