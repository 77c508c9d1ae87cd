import { assemble } from "../domain/asm/assembler.ts";
import type { CompilationUnit } from "../domain/compiler/abi.ts";
import type { Job, MapView } from "../domain/runtime/job.ts";
import type { Machine } from "../domain/runtime/machine.ts";
import type { BenchProgram } from "./exec_program.ts";
import { packet } from "./exec_programs.ts";

/** Defines an engine, and the two in this process: the service's machine and native JavaScript. */

export interface Runnable {
  /** Returns the result of the first run, with a map of zeros. */
  first(): Promise<number> | number;
  /** Runs the program `times` times and returns the ns per run. */
  run(times: number): Promise<number> | number;
  /** Compiles the program to another address, because the speed of some loops depends on it. */
  again?(): Promise<void>;
}

export interface Engine {
  name: string;
  /** The reason why it cannot run any program. */
  missing?: string;
  /** Resolves to a text with the reason if it cannot run this program. */
  open(program: BenchProgram): Promise<Runnable | string>;
  close?(): Promise<void>;
}

const SCHED_CLS = "sched_cls";
/** Options of the verifier. */
export const OPTIONS = { progType: SCHED_CLS, gplCompatible: true };

export async function unitOf({ asm, map }: BenchProgram): Promise<CompilationUnit> {
  const { insns } = await assemble(asm, "");
  return { insns, maps: map ? [map] : [], prog_type: SCHED_CLS };
}

function viewOf(map: NonNullable<BenchProgram["map"]>): MapView {
  const { max_entries: entries, value_size } = map;
  const view = { id: 1, ...map, entries, isComplete: true };
  if (map.map_type === "array") {
    return { ...view, elements: [], bytes: new Uint8Array(entries * value_size) };
  }
  const elements = Array.from({ length: entries }, (_, i) => {
    const key = Buffer.alloc(map.key_size);
    key.writeUInt32LE(i);
    return { key, value: new Uint8Array(value_size) };
  });
  return { ...view, elements };
}

/** The service's machine without HTTP and Redis, measured by the duration that a test run returns. */
export function service(name: string, machine: Machine): Engine {
  const open = async (program: BenchProgram): Promise<Runnable> => {
    const unit = await unitOf(program);
    const job: Omit<Job, "repeat"> = {
      programs: [{ id: 1, key: program.name, unit, maps: unit.maps.map(() => 1) }],
      maps: program.map ? [viewOf(program.map)] : [],
      ...{ prog_type: SCHED_CLS, data: packet, ctx: undefined, budget: 100_000_000 },
      seed: { time_ns: "0", random: 0, cpu: 0 },
    };
    const execute = (repeat: number) => {
      const outcome = machine.execute({ ...job, repeat });
      if (outcome.kind === "done") return outcome;
      throw new Error(`${name}: ${program.name}: ${JSON.stringify(outcome)}`);
    };
    return { first: () => execute(1).retval, run: (times) => execute(times).duration };
  };
  return { name, open };
}

/** Uses the results, so that V8 cannot remove the work. */
const kept = { sum: 0 };

export const NATIVE = "native JavaScript";

export const native: Engine = {
  name: NATIVE,
  open: async (program) => {
    const work = program.native(packet);
    const run = (times: number) => {
      const begun = performance.now();
      for (let i = 0; i < times; i++) kept.sum ^= work();
      return ((performance.now() - begun) * 1e6) / times;
    };
    return { first: program.native(packet), run };
  },
};
