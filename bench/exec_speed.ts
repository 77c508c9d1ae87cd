import type { CompileOptions } from "../domain/compiler/compile.ts";
import { Machine } from "../domain/runtime/machine.ts";
import { type Engine, native, type Runnable, service } from "./exec_engines.ts";
import type { BenchProgram } from "./exec_program.ts";
import { programs } from "./exec_programs.ts";

/** Measures the speed of programs: every engine runs once a round, all with the same work. */

export const FACTS = "service";
export const EXACT = "service, every access checked";

/** Engine -> ns per run in each round, or a text with the reason why it did not run. */
export type Speeds = Record<string, number[] | string>;

const Checked = Machine as new (options?: CompileOptions) => Machine;

const ROUNDS = 11;
/** Rounds that are not counted, because V8 recompiles long-running code. */
const WARM_UP = 2;
/** A measurement is the best of TAKES, each of MEASURED ms, because other processes use the CPU as well. */
const TAKES = 5;
const MEASURED = 3;

interface SpeedContender extends Runnable {
  name: string;
  times: number;
  measured: number[];
}

/** Returns how many runs fit into a measurement. */
async function countRuns({ run }: Runnable): Promise<number> {
  await run(100);
  return Math.max(10, Math.round((MEASURED * 1e6) / Math.max(await run(100), 1)));
}

/** @throws unless all contenders return the same result. */
async function compare(
  program: BenchProgram,
  contenders: readonly SpeedContender[],
): Promise<void> {
  const answers = await Promise.all(contenders.map(async ({ first }) => first()));
  if (new Set(answers).size === 1) return;
  const results = contenders.map(({ name }, i) => `${name}: ${answers[i]}`);
  throw new Error(`${program.name} returns ${results.join(", ")}`);
}

async function best({ run, again, times }: SpeedContender): Promise<number> {
  await again?.();
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < TAKES; i++) least = Math.min(least, await run(times));
  return least;
}

async function race(program: BenchProgram, engines: readonly Engine[]): Promise<Speeds> {
  const speeds: Speeds = {};
  const contenders: SpeedContender[] = [];
  for (const { name, missing, open } of engines) {
    const opened = missing ?? (await open(program));
    const measured: number[] = [];
    speeds[name] = typeof opened === "string" ? opened : measured;
    if (typeof opened !== "string") contenders.push({ ...opened, name, times: 0, measured });
  }
  await compare(program, contenders);
  for (const one of contenders) one.times = await countRuns(one);
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const contender of contenders) {
      const ns = await best(contender);
      if (round >= 0) contender.measured.push(ns);
    }
  }
  return speeds;
}

/** @param others beside the service's own engines and native JavaScript. */
export async function speed(say: (line: string) => void, others: readonly Engine[]) {
  const own = [service(FACTS, new Machine()), service(EXACT, new Checked({ checks: "exact" }))];
  const speeds: Record<string, Speeds> = {};
  for (const program of programs) {
    say(program.name);
    speeds[program.name] = await race(program, [...own, native, ...others]);
  }
  return speeds;
}
