import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startProgram } from "../support/program.ts";
import type { Generator } from "./generator.ts";
import { GENERATORS } from "./generators.ts";
import { CLIENTS_DOCUMENT, type Result, rowOf, rowsIn, withTable } from "./table.ts";
import { TRANSCRIPT } from "./transcript.ts";
import { install, ROOT } from "./workshop.ts";

/**
 * `npm run clients` generates a client with each generator from the running service, compiles it, runs the program
 * with it and writes the table of docs/clients.md. `npm run clients -- ci` tries the generators of CI and compares
 * their rows with the document; names of generators try only these and write nothing.
 */

const say = (line: string) => process.stdout.write(`${line}\n`);

/** @throws if the program printed something else than it should */
function compare(printed: string): void {
  const lines = printed.trim().split("\n");
  for (const [i, [step, shows]] of TRANSCRIPT.entries()) {
    if (lines[i] !== step) throw new Error(`${shows}: printed "${lines[i]}" instead of "${step}"`);
  }
}

function tryGenerator(generator: Generator, base: string): Result {
  const began = performance.now();
  try {
    generator.generate(base);
    generator.compile();
    compare(generator.run(base, `clients-${generator.name}`));
    say(`ok: ${generator.name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
    return { generator };
  } catch (error) {
    const { message } = error as Error;
    say(`FAILED: ${generator.name}: ${message}`);
    return { generator, failed: message.split("\n")[0]?.slice(0, 100) ?? "" };
  }
}

function chosen(names: readonly string[]): readonly Generator[] {
  if (names.length === 0) return GENERATORS;
  if (names[0] === "ci") return GENERATORS.filter(({ inCi }) => inCi);
  const found = GENERATORS.filter(({ name }) => names.includes(name));
  if (found.length === names.length) return found;
  throw new Error(`no such generator; there are ${GENERATORS.map(({ name }) => name).join(", ")}`);
}

const names = process.argv.slice(2);
const generators = chosen(names);
install(generators.some(({ inCi }) => !inCi));
const { base, stop } = await startProgram();
const results = generators.map((generator) => tryGenerator(generator, base));
await stop();

const file = join(ROOT, CLIENTS_DOCUMENT);
const document = readFileSync(file, "utf8");
const rows = results.map(rowOf);
if (names.length === 0) writeFileSync(file, withTable(document, rows));
if (names[0] === "ci") {
  const committed = rowsIn(document);
  for (const row of rows.filter((one) => !committed.includes(one))) {
    say(`${CLIENTS_DOCUMENT} does not have this row; run \`npm run clients\`:\n${row}`);
    process.exitCode = 1;
  }
}
if (results.some(({ failed }) => failed !== undefined)) process.exitCode = 1;
