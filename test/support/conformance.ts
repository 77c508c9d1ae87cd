import { readFileSync } from "node:fs";
import { Conformance, type Vector } from "./interpreter/conformance.ts";

/**
 * Runs `npm run conformance -- FILE`; the exit code is 0 if all vectors pass except callx, which
 * Linux lacks.
 */

const file = process.argv[2];
if (file === undefined) {
  console.error("usage: npm run conformance -- FILE");
  process.exit(2);
}
const vectors = JSON.parse(readFileSync(file, "utf8")) as Vector[];
const { passed, refused, failed } = new Conformance().run(vectors);
for (const line of failed) console.log(`FAILED ${line}`);
for (const name of refused) console.log(`refused ${name}: Linux has no such instruction`);
console.log(`${passed.length} of ${vectors.length}`);
process.exit(failed.length === 0 && refused.every((name) => name === "callx") ? 0 : 1);
