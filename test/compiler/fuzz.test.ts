import { beforeAll, describe, expect, it } from "vitest";
import { type CompileOptions, compile } from "../../domain/compiler/compile.ts";
import { Endless, interpret, Trap } from "../support/interpreter/interpreter.ts";
import {
  type Ended,
  type LoadedModule,
  STACK_TOP,
  TestMachine,
} from "../support/interpreter/machine.ts";
import {
  ARRAY_AT,
  DATA_AT,
  fill,
  RandomMaps,
  REGIONS,
  SEEN_AT,
  WINDOW_AT,
  WINDOW_END,
} from "../support/random_program/environment.ts";
import { DATA } from "../support/random_program/random_insns.ts";
import { MAPS, randomProgram } from "../support/random_program/random_program.ts";

/**
 * Runs random programs, which tail-call each other, in each compiled form and in the interpreter,
 * and compares the outcomes. A failure names its seed: FUZZ_SEED=seed FUZZ_COUNT=1 repeats that run
 * alone.
 */

const SEED = Number(process.env.FUZZ_SEED ?? 1);
const COUNT = Number(process.env.FUZZ_COUNT ?? 1000);
const WINDOW = WINDOW_END - WINDOW_AT;
const BATCH = 100;

const WAYS: Record<string, CompileOptions> = {
  exact: { checks: "exact" },
  dispatched: { checks: "exact", dispatch: true },
  flat: { checks: "flat" },
};

const machine = new TestMachine();
const oracle = Buffer.alloc(WINDOW);
let untouched = Buffer.alloc(0);

function programsOf(seed: number): Buffer[] {
  const shape = { wild: seed % 8 === 0, packet: seed % 3 === 0 };
  return [0, 1].map((i) => randomProgram(2 * seed + i, shape));
}

function interpreted(programs: readonly Buffer[], seed: number): Ended | undefined {
  fill(oracle, WINDOW_AT, seed);
  const world = new RandomMaps(programs, oracle, WINDOW_AT);
  try {
    const args = [BigInt(DATA_AT), BigInt(DATA)];
    return { kind: "done", r0: interpret(programs[0] as Buffer, world, args, BigInt(STACK_TOP)) };
  } catch (error) {
    if (error instanceof Endless) return undefined;
    if (error instanceof Trap) return { kind: "fault", reason: "memory", at: error.at };
    throw error;
  }
}

function load(
  code: Buffer,
  options: CompileOptions,
  seed: number,
  surroundings: RandomMaps,
): LoadedModule {
  const compiled = compile({ insns: code, maps: MAPS, prog_type: "xdp" }, undefined, options);
  expect(WebAssembly.validate(compiled.wasm), "valid").toBe(true);
  const loaded = machine.load(compiled, surroundings.imports());
  for (let i = 0; i < MAPS.length; i++) {
    const set = (name: string, value: number): void => {
      (loaded.exports[`${name}${i}`] as WebAssembly.Global).value = value;
    };
    set("map", Number(surroundings.map(i)));
    set("base", i === 0 && seed % 2 === 0 ? ARRAY_AT : 0);
    set("seen", SEEN_AT);
  }
  return loaded;
}

function run(programs: readonly Buffer[], options: CompileOptions, seed: number): Ended {
  fill(machine.bytes, 0, seed);
  const surroundings = new RandomMaps(programs, machine.bytes, 0);
  const loaded = programs.map((code) => load(code, options, seed, surroundings));
  for (const [i, { main }] of loaded.entries()) machine.table.set(i, main);
  return machine.run(loaded[0] as LoadedModule, BigInt(DATA_AT), BigInt(DATA));
}

/** Counts the programs that ran and those that faulted, to show that both cases occur. */
const tally = { runs: 0, faults: 0 };

function compare(seed: number): void {
  const programs = programsOf(seed);
  const expected = interpreted(programs, seed);
  if (expected === undefined) return;
  tally.runs++;
  if (expected.kind === "fault") tally.faults++;
  for (const [name, options] of Object.entries(WAYS)) {
    // Flat checks have no shadow, so a wrong access may reach other data of the arena.
    if (expected.kind === "fault" && name === "flat") continue;
    const ended = run(programs, options, seed);
    const what = `seed ${seed}, ${name}`;
    expect(ended, what).toEqual(expected);
    const window = Buffer.from(machine.memory.buffer, WINDOW_AT, WINDOW);
    if (window.compare(oracle) !== 0) expect.fail(`${what}: memory differs`);
  }
}

/**
 * Checks that memory outside the window, shadows included, is unchanged; compiled lookups write 8
 * bytes at SEEN_AT.
 */
function outside(): boolean {
  machine.bytes.fill(0, SEEN_AT, SEEN_AT + 8);
  const memory = Buffer.from(machine.memory.buffer);
  return [memory.subarray(0, WINDOW_AT), memory.subarray(WINDOW_END)].every((part) =>
    part.equals(untouched.subarray(part.byteOffset, part.byteOffset + part.length)),
  );
}

describe("random programs", () => {
  beforeAll(() => {
    machine.map(REGIONS);
    untouched = Buffer.from(machine.bytes);
  });

  for (let first = SEED; first < SEED + COUNT; first += BATCH) {
    const last = Math.min(first + BATCH, SEED + COUNT) - 1;
    it(`random programs run as interpreted, seeds ${first} to ${last}`, () => {
      for (let seed = first; seed <= last; seed++) compare(seed);
      expect(outside(), "memory outside is untouched").toBe(true);
    });
  }

  it("most random programs ran to their end, but not all", () => {
    expect(tally.runs).toBeGreaterThan(0.9 * COUNT);
    if (COUNT >= 100) expect(tally.faults).toBeGreaterThan(COUNT / 200);
  });
});
