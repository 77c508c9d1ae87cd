import { ARENA } from "../../../domain/compiler/abi.ts";
import { type CompileOptions, compile } from "../../../domain/compiler/compile.ts";
import type { MapShape } from "../../../domain/isa/map_shape.ts";
import { interpret, Trap } from "./interpreter.ts";
import {
  type Ended,
  type Imported,
  type LoadedModule,
  STACK_REGION,
  STACK_TOP,
  TestMachine,
} from "./machine.ts";

import { Memory } from "./memory.ts";

/** Runs a program in each compiled form and in the interpreter. */

export const WAYS: Readonly<Record<string, CompileOptions>> = {
  exact: { checks: "exact" },
  flat: { checks: "flat" },
  dispatched: { checks: "exact", dispatch: true },
};

export const DATA_AT = ARENA;
export const DATA_BYTES = 64;

const REGIONS = [STACK_REGION, { at: DATA_AT, bytes: DATA_BYTES, write: true }];

export const machine = new TestMachine();

export function load(
  code: Uint8Array,
  options: CompileOptions = {},
  maps: readonly MapShape[] = [],
  imports: Record<string, Imported> = {},
  safe?: Uint8Array,
): LoadedModule {
  const compiled = compile({ insns: code, maps, prog_type: "xdp" }, safe, options);
  if (!WebAssembly.validate(compiled.wasm)) throw new Error("not valid");
  return machine.load(compiled, imports);
}

/** Clears the stack and fills DATA_BYTES at DATA_AT with 1, 2, 3 and so on. */
function prepare(): void {
  machine.map(REGIONS);
  machine.bytes.fill(0, STACK_REGION.at, STACK_TOP);
  for (let i = 0; i < DATA_BYTES; i++) machine.bytes[DATA_AT + i] = i + 1;
}

function interpreted(code: Uint8Array): Ended {
  prepare();
  const memory = new Memory(machine.bytes, 0, REGIONS);
  try {
    return { kind: "done", r0: interpret(code, memory, [BigInt(DATA_AT)], BigInt(STACK_TOP)) };
  } catch (error) {
    if (error instanceof Trap) return { kind: "fault", reason: "memory", at: error.at };
    throw error;
  }
}

/** Returns how the program ends in each mode; r1 is DATA_AT. */
export function outcomes(code: Uint8Array): Record<string, Ended> {
  const out: Record<string, Ended> = { interpreted: interpreted(code) };
  for (const [way, options] of Object.entries(WAYS)) {
    prepare();
    out[way] = machine.run(load(code, options), BigInt(DATA_AT));
  }
  return out;
}

/** Expects the same end in all modes. */
export const all = (ended: Ended): Record<string, Ended> =>
  Object.fromEntries(["interpreted", ...Object.keys(WAYS)].map((way) => [way, ended]));

export const done = (r0: bigint): Ended => ({ kind: "done", r0: BigInt.asUintN(64, r0) });
export const fault = (at: number): Ended => ({ kind: "fault", reason: "memory", at });
