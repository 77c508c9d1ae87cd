import { type CompilationUnit, helperImport, STACK_TOP } from "../compiler/abi.ts";
import type { CompileOptions } from "../compiler/compile.ts";
import { MAX_CALL_FRAMES, MAX_TAIL_CALL_CNT } from "../isa/limits.ts";
import { Arena } from "./arena.ts";
import { InputRefused, MissingData, RunFailure } from "./fault.ts";
import type { Helpers, Host } from "./helpers/helper.ts";
import { createHelpers } from "./helpers/helpers.ts";
import { createForEach } from "./helpers/map.ts";
import type { Job, ProgramView, RunDone, RunFault, RunOutcome } from "./job.ts";
import { CompiledProgram, type Instance } from "./program.ts";
import { Run } from "./run.ts";

/**
 * Executes jobs, one after the other, with one memory, one table of programs and one fuel counter.
 * Invariant: nothing that a run leaves in memory is there for the next run.
 */

const FOR_EACH = helperImport("for_each_map_elem");
/** The innermost frame of a program in a stack trace: the name of its module and the offset. */
const STACK_FRAME = /wasm:\/\/wasm\/(p\d+)-[0-9a-f]+:wasm-function\[\d+\]:0x([0-9a-f]+)/;

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
  readonly #helpers: Helpers = createHelpers(this);
  #current: Run | undefined;
  /** The programs that the run has entered, by id, with their maps bound. */
  readonly #bound = new Map<number, Instance>();
  #chain: number[] = [];
  #tailCalls = 0;
  readonly #options: CompileOptions;

  /** @param options compiler options, for measurements. */
  constructor(options: CompileOptions = {}) {
    this.#options = options;
  }

  get run(): Run {
    if (this.#current === undefined) throw new TypeError("no run is under way");
    return this.#current;
  }

  /** Compiles a program, so that a job can omit its unit. @throws TooLarge */
  prepare(key: string, unit: CompilationUnit): void {
    this.#addUnit(key, unit);
    this.#instanceOf(key, 0);
  }

  #addUnit(key: string, unit: CompilationUnit | undefined): void {
    if (unit !== undefined && !this.#loaded.has(key))
      this.#loaded.set(key, { unit, instances: [] });
  }

  unload(key: string): void {
    for (const { slot } of this.#loaded.get(key)?.instances ?? []) {
      this.#table.set(slot, null);
      this.#freeSlots.push(slot);
    }
    this.#loaded.delete(key);
  }

  /** Returns the nth instance of this code. */
  #instanceOf(key: string, n: number): Instance {
    const loaded = this.#loaded.get(key);
    if (loaded === undefined) throw new TypeError(`no program ${key} was given`);
    loaded.program ??= new CompiledProgram(loaded.unit, this.#options);
    const found = loaded.instances[n];
    if (found !== undefined) return found;
    const made: Instance = loaded.program.instantiate(
      this.#createImports(loaded.program, () => made),
    );
    made.slot = this.#freeSlots.pop() ?? this.#table.grow(1);
    this.#table.set(made.slot, made.main);
    loaded.instances.push(made);
    return made;
  }

  #createImports({ helpers }: CompiledProgram, self: () => Instance): Record<string, unknown> {
    const { arena } = this;
    const [table, fuel] = [this.#table, this.#fuel];
    const calls = Object.fromEntries(
      helpers.map((name) => [helperImport(name), this.#helpers[name]]),
    );
    calls[FOR_EACH] = createForEach(this, () => {
      const { callback } = self();
      if (callback === undefined) throw new RunFailure("memory", "the program has no callback");
      return callback;
    });
    return {
      ...calls,
      ...{ memory: arena.memory, table, fuel, floor: arena.floor },
      add_lookup: (handle: number, key: number) => {
        const map = this.run.map(handle);
        arena.checkReadable(key >>> 0, map.view.key_size);
        return map.lookupToAdd(key >>> 0);
      },
      tail_call: (handle: number, index: number, sb: number) =>
        this.#tailCall(handle, index >>> 0, sb),
      skb_load: (offset: number, size: number) => this.run.context.loadBytes(offset, size),
    };
  }

  /** bpf_tail_call(): returns the table index of the program, -1 for an empty slot. */
  #tailCall(handle: number, index: number, sb: number): number {
    if (this.#tailCalls >= MAX_TAIL_CALL_CNT) return -1;
    const id = this.run.map(handle).programAt(index);
    if (id === null) return -1;
    const { slot } = this.#bindProgram(id);
    this.arena.extendStack(sb);
    this.#tailCalls++;
    this.#chain.push(id);
    return slot;
  }

  /** Returns the program with its maps bound. @throws MissingData */
  #bindProgram(id: number): Instance {
    const found = this.#bound.get(id);
    if (found !== undefined) return found;
    const view = this.run.job.programs.find((program) => program.id === id);
    if (view === undefined) throw new MissingData({ program: id });
    this.#addUnit(view.key, view.unit);
    const instance = this.#instanceOf(view.key, this.#countInstances(view));
    const { directMaps, addSize } = instance.program;
    for (const [i, map] of view.maps.entries()) {
      const bound = this.run.map(this.run.handleOf(map));
      bound.materialize(directMaps.has(i));
      instance.bind(i, bound);
    }
    this.run.noteAddSize(addSize);
    this.#bound.set(id, instance);
    return instance;
  }

  /** The number of programs in the run with the same code: each needs an instance of its own. */
  #countInstances({ key }: ProgramView): number {
    let count = 0;
    for (const { program } of this.#bound.values()) {
      if (program === this.#loaded.get(key)?.program) count++;
    }
    return count;
  }

  /** @throws TooLarge for a program that exceeds the limits of the compiler. */
  execute(job: Job): RunOutcome {
    try {
      for (const { key, unit } of job.programs) this.#addUnit(key, unit);
      this.#current = new Run(this.arena, job);
      return this.#collectResult(this.#runRepetitions(job));
    } catch (error) {
      return this.#toOutcome(error);
    } finally {
      this.#current = undefined;
      this.#bound.clear();
      this.arena.reset();
    }
  }

  #runRepetitions({ programs, repeat, budget }: Job): Pick<RunDone, "retval" | "duration"> {
    const [first] = programs;
    if (first === undefined) throw new TypeError("a job without a program");
    const { main } = this.#bindProgram(first.id);
    const [ctx, fuel, times] = [BigInt(this.run.context.at), BigInt(budget), Math.max(1, repeat)];
    let r0 = 0n;
    const startedAt = performance.now();
    for (let i = 0; i < times; i++) {
      this.#fuel.value = fuel;
      this.#tailCalls = 0;
      this.#chain = [first.id];
      r0 = main(ctx, 0n, 0n, 0n, 0n, STACK_TOP);
      this.arena.reclaim();
    }
    const duration = Math.round(((performance.now() - startedAt) * 1e6) / times);
    return { retval: Number(BigInt.asUintN(32, r0)), duration };
  }

  #collectResult(run: Pick<RunDone, "retval" | "duration">): RunDone {
    return { kind: "done", ...run, ...this.run.finish(), chain: this.#chain };
  }

  #toOutcome(error: unknown): RunOutcome {
    if (error instanceof MissingData) return { kind: "miss", misses: error.misses };
    if (error instanceof InputRefused) {
      const { errno, field, message: detail } = error;
      return { kind: "refused", errno, field, detail };
    }
    const trapped = error instanceof WebAssembly.RuntimeError || error instanceof RunFailure;
    if (!trapped) throw error;
    return this.#locateFault(error);
  }

  #locateFault(error: Error): RunFault {
    const [, name, offset] = STACK_FRAME.exec(error.stack ?? "") ?? [];
    const last = this.#chain.at(-1) ?? 0;
    const program =
      this.#chain.findLast((id) => this.#bound.get(id)?.program.name === name) ?? last;
    const place = this.#bound.get(program)?.program.at(Number.parseInt(offset ?? "0", 16));
    const at = { kind: "fault", program, pc: place?.pc ?? 0 } as const;
    if (error instanceof RunFailure) return { ...at, reason: error.reason, detail: error.message };
    if (this.#fuel.value === -1n) {
      return { ...at, reason: "budget", detail: `more than ${this.run.job.budget} instructions` };
    }
    if (place?.entry)
      return { ...at, reason: "stack", detail: `more than ${MAX_CALL_FRAMES} frames` };
    return { ...at, reason: "memory", detail: "invalid memory access" };
  }
}
