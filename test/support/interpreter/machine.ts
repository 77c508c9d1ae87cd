import {
  ARENA_END,
  type CompiledCode,
  MEMORY_PAGES,
  SHADOW_READ,
  SHADOW_WRITE,
  STACK_TOP,
} from "../../../domain/compiler/abi.ts";
import { MAX_BPF_STACK, MAX_CALL_FRAMES } from "../../../domain/isa/limits.ts";

/**
 * Provides the minimum that a compiled program needs: memory with its shadow, fuel, and a table.
 */

export interface Region {
  at: number;
  bytes: number;
  write: boolean;
}

/** The frame pointer of the first function, re-exported for tests that use this machine. */
export { STACK_TOP };
export const STACK_REGION: Region = {
  at: STACK_TOP - MAX_CALL_FRAMES * MAX_BPF_STACK,
  bytes: MAX_CALL_FRAMES * MAX_BPF_STACK,
  write: true,
};
export const BUDGET = 100_000_000n;

export type Ended =
  | { kind: "done"; r0: bigint }
  /** A trap names its program by the module's number, and its instruction. */
  | { kind: "fault"; reason: "memory" | "budget"; at: number };

type ModuleEntry = (
  r1: bigint,
  r2: bigint,
  r3: bigint,
  r4: bigint,
  r5: bigint,
  sb: number,
) => bigint;
export type Imported = (...args: (number & bigint)[]) => number | bigint;

export interface LoadedModule {
  main: ModuleEntry;
  exports: WebAssembly.Exports;
}

/** Names a module in a custom section, because a stack trace refers to modules by name. */
function named(wasm: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(name);
  const inner = [4, ...Buffer.from("name"), 0, bytes.length + 1, bytes.length, ...bytes];
  return Uint8Array.from([...wasm, 0, inner.length, ...inner]);
}

/** Finds the instruction that the stack trace of a trap names first. */
function placeOf(error: Error, tables: readonly Uint32Array[]): number {
  const frame = /wasm\/p(\d+)-\w+:wasm-function\[\d+\]:(0x[0-9a-f]+)/.exec(error.stack ?? "");
  const places = tables[Number(frame?.[1])] ?? new Uint32Array();
  const offset = Number(frame?.[2]);
  let at = -1;
  for (let i = 0; i < places.length && (places[i] as number) <= offset; i += 2) {
    at = places[i + 1] as number;
  }
  return at;
}

export class TestMachine {
  readonly memory = new WebAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
  readonly bytes = new Uint8Array(this.memory.buffer);
  readonly view = new DataView(this.memory.buffer);
  readonly table = new WebAssembly.Table({ element: "anyfunc", initial: 64 });
  readonly fuel = new WebAssembly.Global({ value: "i64", mutable: true }, BUDGET);
  readonly #floor = new WebAssembly.Global({ value: "i32", mutable: true }, STACK_REGION.at);
  #regions: readonly Region[] = [];
  #tables: Uint32Array[] = [];

  /** Makes these regions accessible and all others inaccessible. */
  map(regions: readonly Region[]): void {
    for (const { at, bytes } of this.#regions) this.#shade(SHADOW_READ, at, bytes, 0);
    for (const { at, bytes } of this.#regions) this.#shade(SHADOW_WRITE, at, bytes, 0);
    for (const { at, bytes } of regions) this.#shade(SHADOW_READ, at, bytes, 8);
    for (const { at, bytes, write } of regions) {
      if (write) this.#shade(SHADOW_WRITE, at, bytes, 8);
    }
    this.#regions = regions;
  }

  #shade(shadow: number, at: number, bytes: number, full: number): void {
    if (at + bytes > ARENA_END) throw new RangeError("region outside the arena");
    const first = shadow + (at >>> 3);
    this.bytes.fill(full, first, first + (bytes >>> 3));
    if (bytes % 8 !== 0) this.bytes[first + (bytes >>> 3)] = full && bytes % 8;
  }

  load(compiled: CompiledCode, imports: Record<string, Imported> = {}): LoadedModule {
    const module = new WebAssembly.Module(named(compiled.wasm, `p${this.#tables.length}`));
    this.#tables.push(compiled.sourceMap);
    const { memory, table, fuel } = this;
    const floor = this.#floor;
    const { exports } = new WebAssembly.Instance(module, {
      env: { memory, table, fuel, floor, ...imports },
    });
    return { main: exports.main as ModuleEntry, exports };
  }

  run({ main }: LoadedModule, r1 = 0n, r2 = 0n, budget = BUDGET): Ended {
    this.fuel.value = budget;
    try {
      return { kind: "done", r0: BigInt.asUintN(64, main(r1, r2, 0n, 0n, 0n, STACK_TOP)) };
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      const reason = this.fuel.value === -1n ? "budget" : "memory";
      return { kind: "fault", reason, at: placeOf(error, this.#tables) };
    }
  }
}
