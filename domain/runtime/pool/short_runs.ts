import type { CompilationUnit } from "../../compiler/abi.ts";
import { helperName } from "../../isa/helpers/index.ts";
import { decode, type Insn, isCall, isHelperCall, isJump, jumpTarget } from "../../isa/insn.ts";
import type { Job, MapView, Miss, RunOutcome } from "../job.ts";
import type { Machine } from "../machine.ts";

/**
 * Runs short programs in the thread of the event loop, because sending one to another thread takes many
 * times as long as the run. A short run cannot take long with any input: it has few instructions and no
 * backward jumps, its helpers work on a few bytes, it is repeated a few times, and its maps are small.
 */

const INSNS_MAX = 256;
const REPEAT_MAX = 64;
const BYTES_MAX = 65_536;
/** V8 frees compiled code late, so later programs run in threads. */
const PROGRAMS_MAX = 512;

const HELPERS: ReadonlySet<string> = new Set([
  ...["bpf_map_lookup_elem", "bpf_map_update_elem", "bpf_map_delete_elem", "bpf_ktime_get_ns"],
  ...["bpf_get_prandom_u32", "bpf_get_smp_processor_id", "bpf_redirect"],
]);

function isShort({ insns }: CompilationUnit): boolean {
  const decoded = decode(insns);
  return decoded.length <= INSNS_MAX && decoded.every(takesLittle);
}

function takesLittle(insn: Insn, at: number): boolean {
  if (isCall(insn)) return isHelperCall(insn) && HELPERS.has(helperName(insn.imm));
  return !isJump(insn) || jumpTarget(insn, at) > at;
}

function bytesOf({ elements, bytes, key_size, value_size, cpus = 1 }: MapView): number {
  return elements.length * (key_size + value_size * cpus) + (bytes?.length ?? 0);
}

const copyOf = (miss: Miss): Miss =>
  "key" in miss ? { ...miss, key: Uint8Array.from(miss.key) } : miss;

/** Copies the results out of the machine's memory, which the next run overwrites. */
function detached(outcome: RunOutcome): RunOutcome {
  if (outcome.kind === "miss") return { kind: "miss", misses: outcome.misses.map(copyOf) };
  if (outcome.kind !== "done") return outcome;
  const { data, ctx } = outcome;
  return { ...outcome, data: Uint8Array.from(data), ctx: ctx && Uint8Array.from(ctx) };
}

export class ShortRuns {
  #machine: Machine | undefined;
  /** Whether a program runs here, by its key. */
  readonly #programs = new Map<string, boolean>();
  #compiled = 0;

  /** Loads the machine; the service starts without it. */
  async load(): Promise<void> {
    const { Machine } = await import("../machine.ts");
    this.#machine ??= new Machine();
  }

  accepts({ programs, maps, repeat }: Job): boolean {
    if (this.#machine === undefined || repeat > REPEAT_MAX) return false;
    for (const { key, unit } of programs) {
      if (!(this.#programs.get(key) ?? this.#learn(key, unit))) return false;
    }
    let bytes = 0;
    for (const map of maps) bytes += bytesOf(map);
    return bytes <= BYTES_MAX;
  }

  #learn(key: string, unit: CompilationUnit | undefined): boolean {
    if (unit === undefined || this.#compiled >= PROGRAMS_MAX) return false;
    const canRunHere = isShort(unit);
    if (canRunHere) this.#compiled += 1;
    // Deciding again costs little beside a thread, so only this many long programs are remembered.
    if (canRunHere || this.#programs.size < 2 * PROGRAMS_MAX) this.#programs.set(key, canRunHere);
    return canRunHere;
  }

  /** @throws TooLarge for a program that cannot be compiled. */
  run(job: Job): RunOutcome {
    if (this.#machine === undefined) throw new TypeError("the machine is not loaded");
    return detached(this.#machine.execute(job));
  }
}
