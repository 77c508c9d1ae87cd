/**
 * Runs random programs in the kernel of this machine and in the service. The service must accept
 * each program that Linux accepts, and must return the same value, packet and map contents.
 *
 *   sudo npm run test:kernel                         runs for a minute and prints its seed
 *   sudo npm run test:kernel -- --count 20000 --seed 7
 *   sudo npm run test:kernel -- --count 1 --seed 123456    repeats a reported disagreement
 *
 * The test needs Linux 6.18 on x86-64, permission to use bpf(2), and python3; without them it
 * prints the reason and does not run. It reports each disagreement once, with the smallest case
 * that shows it. The exit code is 1 if there is a disagreement.
 */
import { parseArgs } from "node:util";
import type { CaseResult } from "./case.ts";
import { type Difference, difference } from "./compare.ts";
import { caseOf, type Plan, plan } from "./generate.ts";
import { KernelUnavailable, LinuxKernel } from "./kernel.ts";
import { described, helpersIn } from "./report.ts";
import { FuzzService } from "./service.ts";
import { shrink } from "./shrink.ts";
import { FuzzTally } from "./tally.ts";

const COUNT = 3000;
/** Limits how many cases are shrunk, because shrinking one takes as long as running hundreds. */
const SHRUNK = 25;

function crashed(error: unknown): Difference {
  const { message = String(error), stack = "" } = error instanceof Error ? error : {};
  return {
    kind: `crash: ${message.replace(/\d+/g, "N")}`,
    what: "the service threw",
    detail: stack,
  };
}

class Fuzz {
  readonly tally = new FuzzTally();
  disagreements = 0;
  /** The seeds of the shrunk cases by kind and helpers. */
  readonly kinds = new Map<string, number[]>();
  readonly #kernel: LinuxKernel;
  #service: FuzzService;

  constructor(kernel: LinuxKernel) {
    this.#kernel = kernel;
    this.#service = new FuzzService(kernel.cpus);
  }

  /** @param whole as in Service. */
  async #attempt(given: Plan, whole: boolean, counts = false): Promise<Difference | undefined> {
    const subject = caseOf(given);
    const kernel = await this.#kernel.run(subject);
    let service: CaseResult;
    try {
      service = this.#service.run(subject, whole);
    } catch (error) {
      this.#service = new FuzzService(this.#kernel.cpus);
      return crashed(error);
    }
    if (counts) this.tally.count(kernel, service);
    return difference(subject, kernel, service, given.loose);
  }

  async run(seed: number): Promise<void> {
    const whole = seed % 2 === 0;
    const given = plan(seed, this.#kernel.cpus);
    const found = await this.#attempt(given, whole, true);
    if (!found) return;
    this.disagreements++;
    if (this.disagreements <= SHRUNK) await this.#tell(seed, given, found, whole);
  }

  async #tell(seed: number, given: Plan, found: Difference, whole: boolean) {
    const least = await shrink(given, found.kind, (less) => this.#attempt(less, whole));
    const again = await this.#attempt(least, whole);
    const shown = again ?? { ...found, what: `${found.what}, not seen again` };
    const subject = caseOf(least);
    const name = `${shown.kind} [${helpersIn(subject).join(", ")}]`;
    this.kinds.set(name, [...(this.kinds.get(name) ?? []), seed]);
    if (this.kinds.get(name)?.length !== 1) return;
    console.log(`\nseed ${seed}: ${shown.what}\n${shown.detail}\n${described(subject)}\n`);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seed: { type: "string" }, count: { type: "string" } },
  });
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  const count = Number(values.count ?? COUNT);
  const kernel = await LinuxKernel.start();
  console.log(`Linux ${kernel.release}, seeds ${seed} to ${seed + count - 1}`);
  const fuzz = new Fuzz(kernel);
  try {
    for (let i = 0; i < count; i++) await fuzz.run(seed + i);
  } finally {
    kernel.close();
  }
  for (const line of fuzz.tally.lines()) console.log(line);
  console.log(`disagreements: ${fuzz.disagreements}`);
  for (const [kind, seeds] of fuzz.kinds) console.log(`  ${kind}: seeds ${seeds.join(" ")}`);
  return fuzz.disagreements === 0 ? 0 : 1;
}

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof KernelUnavailable)) throw error;
  console.log(`not run: ${error.message}`);
  return 0;
});
