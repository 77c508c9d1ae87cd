// Runs jobs, one after the other: a memory, a table of programs, and their fuel.
// Invariant: what a run leaves in the memory is gone before the next one.

import { type CompilationUnit, MAX_FRAMES, TAIL_CALLS, TOP } from "../compiler/abi.ts";
import type { CompileOptions } from "../compiler/compile.ts";
import { Arena } from "./arena.ts";
import { InputRefused, MissingData, RunFailure } from "./fault.ts";
import type { Helpers, Host } from "./helpers/helper.ts";
import { helpersOf } from "./helpers/helpers.ts";
import { forEach } from "./helpers/map.ts";
import type { Job, ProgramView, RunDone, RunFault, RunOutcome } from "./job.ts";
import { CompiledProgram, type Instance } from "./program.ts";
import { Run } from "./run.ts";

const FOR_EACH = 164;
/** Of the innermost frame of a program in a stack trace: the module's name, and the offset in it. */
const FRAME = /wasm:\/\/wasm\/(p\d+)-[0-9a-f]+:wasm-function\[\d+\]:0x([0-9a-f]+)/;

interface LoadedCode {
  unit: CompilationUnit;
  program?: CompiledProgram;
  instances: Instance[];
}

export class Machine implements Host {
  readonly arena = new Arena();
  readonly #table = new WebAssembly.Table({ element: "anyfunc", initial: 0 });
  readonly #fuel = new WebAssembly.Global({ value: "i64", mutable: true }, 0n);
  readonly #loaded = new Map<string, LoadedCode>();
  readonly #freeSlots: number[] = [];
  readonly #helpers: Helpers = helpersOf(this);
  #current: Run | undefined;
  /** Of the run: by id its programs, as far as it has come to them. */
  readonly #entered = new Map<number, Instance>();
  #chain: number[] = [];
  #tailCalls = 0;
  readonly #options: CompileOptions;

  /** @param options of the compiler, for measurements. */
  constructor(options: CompileOptions = {}) {
    this.#options = options;
  }

  get run(): Run {
    if (this.#current === undefined) throw new TypeError("no run is under way");
    return this.#current;
  }

  /** Compiles a program; whoever runs it can then leave its unit out. @throws TooLarge */
  prepare(key: string, unit: CompilationUnit): void {
    this.#load(key, unit);
    this.#instance(key, 0);
  }

  #load(key: string, unit: CompilationUnit | undefined): void {
    if (unit !== undefined && !this.#loaded.has(key))
      this.#loaded.set(key, { unit, instances: [] });
  }

  forget(key: string): void {
    for (const { slot } of this.#loaded.get(key)?.instances ?? []) {
      this.#table.set(slot, null);
      this.#freeSlots.push(slot);
    }
    this.#loaded.delete(key);
  }

  /** The nth instance of this code. */
  #instance(key: string, n: number): Instance {
    const loaded = this.#loaded.get(key);
    if (loaded === undefined) throw new TypeError(`no program ${key} was given`);
    loaded.program ??= new CompiledProgram(loaded.unit, this.#options);
    const found = loaded.instances[n];
    if (found !== undefined) return found;
    const made: Instance = loaded.program.instance(this.#imports(loaded.program, () => made));
    made.slot = this.#freeSlots.pop() ?? this.#table.grow(1);
    this.#table.set(made.slot, made.main);
    loaded.instances.push(made);
    return made;
  }

  #imports({ helpers }: CompiledProgram, self: () => Instance): Record<string, unknown> {
    const { arena } = this;
    const [table, fuel] = [this.#table, this.#fuel];
    const calls = Object.fromEntries(
      helpers.map((number) => [`h${number}`, this.#helpers[number]]),
    );
    calls[`h${FOR_EACH}`] = forEach(this, () => {
      const { callback } = self();
      if (callback === undefined) throw new RunFailure("memory", "the program has no callback");
      return callback;
    });
    return {
      ...calls,
      ...{ memory: arena.memory, table, fuel, floor: arena.floor },
      add_lookup: (handle: number, key: number) => {
        const map = this.run.map(handle);
        arena.readable(key >>> 0, map.view.key_size);
        return map.lookupToAdd(key >>> 0);
      },
      tail_call: (handle: number, index: number, sb: number) =>
        this.#tailCall(handle, index >>> 0, sb),
      skb_load: (offset: number, size: number) => this.run.context.load(offset, size),
    };
  }

  /** bpf_tail_call(): where the program is in the table; -1 for a miss. */
  #tailCall(handle: number, index: number, sb: number): number {
    if (this.#tailCalls >= TAIL_CALLS) return -1;
    const id = this.run.map(handle).program(index);
    if (id === null) return -1;
    const { slot } = this.#enter(id);
    this.arena.stackFrom(sb);
    this.#tailCalls++;
    this.#chain.push(id);
    return slot;
  }

  /** The program with its maps, ready to run. @throws Missing */
  #enter(id: number): Instance {
    const found = this.#entered.get(id);
    if (found !== undefined) return found;
    const view = this.run.job.programs.find((program) => program.id === id);
    if (view === undefined) throw new MissingData({ program: id });
    this.#load(view.key, view.unit);
    const instance = this.#instance(view.key, this.#countInstances(view));
    const { direct, adds } = instance.program;
    for (const [i, map] of view.maps.entries()) {
      const bound = this.run.map(this.run.handleOf(map));
      bound.materialize(direct.has(i));
      instance.bind(i, bound);
    }
    this.run.adds(adds);
    this.#entered.set(id, instance);
    return instance;
  }

  /** Programs of the run with the same code: each has maps of its own. */
  #countInstances({ key }: ProgramView): number {
    let count = 0;
    for (const { program } of this.#entered.values()) {
      if (program === this.#loaded.get(key)?.program) count++;
    }
    return count;
  }

  /** @throws TooLarge for a program that cannot be compiled. */
  execute(job: Job): RunOutcome {
    try {
      for (const { key, unit } of job.programs) this.#load(key, unit);
      this.#current = new Run(this.arena, job);
      return this.#finish(this.#repeat(job));
    } catch (error) {
      return this.#failed(error);
    } finally {
      this.#current = undefined;
      this.#entered.clear();
      this.arena.reset();
    }
  }

  #repeat({ programs, repeat, budget }: Job): Pick<RunDone, "retval" | "duration"> {
    const [first] = programs;
    if (first === undefined) throw new TypeError("a job without a program");
    const { main } = this.#enter(first.id);
    const [ctx, fuel, times] = [BigInt(this.run.context.at), BigInt(budget), Math.max(1, repeat)];
    let r0 = 0n;
    const begun = performance.now();
    for (let i = 0; i < times; i++) {
      this.#fuel.value = fuel;
      this.#tailCalls = 0;
      this.#chain = [first.id];
      r0 = main(ctx, 0n, 0n, 0n, 0n, TOP);
      this.arena.reclaim();
    }
    const duration = Math.round(((performance.now() - begun) * 1e6) / times);
    return { retval: Number(BigInt.asUintN(32, r0)), duration };
  }

  #finish(run: Pick<RunDone, "retval" | "duration">): RunDone {
    return { kind: "done", ...run, ...this.run.finish(), chain: this.#chain };
  }

  #failed(error: unknown): RunOutcome {
    if (error instanceof MissingData) return { kind: "need", needs: error.needs };
    if (error instanceof InputRefused) {
      const { errno, field, message: detail } = error;
      return { kind: "refused", errno, field, detail };
    }
    const trapped = error instanceof WebAssembly.RuntimeError || error instanceof RunFailure;
    if (!trapped) throw error;
    return this.#fault(error);
  }

  #fault(error: Error): RunFault {
    const [, name, offset] = FRAME.exec(error.stack ?? "") ?? [];
    const last = this.#chain.at(-1) ?? 0;
    const program =
      this.#chain.findLast((id) => this.#entered.get(id)?.program.name === name) ?? last;
    const place = this.#entered.get(program)?.program.at(Number.parseInt(offset ?? "0", 16));
    const at = { kind: "fault", program, pc: place?.pc ?? 0 } as const;
    if (error instanceof RunFailure) return { ...at, reason: error.reason, detail: error.message };
    if (this.#fuel.value === -1n) {
      return { ...at, reason: "budget", detail: `more than ${this.run.job.budget} instructions` };
    }
    if (place?.entry) return { ...at, reason: "stack", detail: `more than ${MAX_FRAMES} frames` };
    return { ...at, reason: "memory", detail: "this is not memory of the program" };
  }
}
