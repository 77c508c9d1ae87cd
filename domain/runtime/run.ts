import type { Arena } from "./arena.ts";
import type { RunInput } from "./contexts/context.ts";
import { openContext } from "./contexts/prog_types.ts";
import { InputRefused, MissingData, RunFailure } from "./fault.ts";
import type { Job, MapView, ReadSetEntry, RunDone, WriteSetEntry } from "./job.ts";
import type { AddSize } from "./maps/layout.ts";
import type { Effects, RunContext, RunMap } from "./maps/map.ts";
import { openMap } from "./maps/map_types.ts";
import { Ringbuf } from "./maps/types/ringbuf.ts";

/**
 * One run: the maps, the context, the seed and the memory budget that its programs and helpers
 * use.
 */

/** Handles of maps start here; handles of functions are below. */
const FIRST_MAP_HANDLE = 0x1000;
/** Memory for elements, records and so on, each with an overhead. */
const MAX_CHARGED_BYTES = 64 << 20;
const ITEM_OVERHEAD = 256;

export class Run implements RunContext {
  readonly arena: Arena;
  readonly job: Job;
  readonly context: RunInput;
  readonly cpu: number;
  readonly time: bigint;
  readonly trace: string[] = [];
  readonly #views: Map<number, MapView>;
  readonly #opened = new Map<number, RunMap>();
  readonly #maps: RunMap[] = [];
  #randomState: number;
  #charged = 0;
  /** The size of additions in all programs so far: see CompiledProgram.addSize. */
  #addSize: AddSize | undefined;

  constructor(arena: Arena, job: Job) {
    this.arena = arena;
    this.job = job;
    this.cpu = job.seed.cpu;
    this.time = BigInt(job.seed.time_ns);
    this.#randomState = job.seed.random >>> 0;
    this.#views = new Map(job.maps.map((view) => [view.id, view]));
    this.context = openContext(arena, job);
  }

  /** Returns the map with this id; undefined when the job does not have it. */
  openById(id: number): RunMap | undefined {
    const found = this.#opened.get(id);
    const view = this.#views.get(id);
    if (found !== undefined || view === undefined) return found;
    if (this.cpu >= (view.cpus ?? Number.POSITIVE_INFINITY)) {
      throw new InputRefused(
        "EINVAL",
        "seed",
        `cpu must be less than ${view.cpus}, got ${this.cpu}`,
      );
    }
    const map = openMap(this, view, FIRST_MAP_HANDLE + this.#maps.length);
    this.#opened.set(id, map);
    this.#maps.push(map);
    return map;
  }

  handleOf(id: number): number {
    const map = this.openById(id);
    if (map === undefined) throw new MissingData({ inner: id });
    return map.handle;
  }

  map(handle: number): RunMap {
    const map = this.#maps[handle - FIRST_MAP_HANDLE];
    if (map === undefined) throw new RunFailure("memory", "invalid map pointer in a helper call");
    return map;
  }

  charge(bytes: number): void {
    this.#charged += bytes + ITEM_OVERHEAD;
    if (this.#charged <= MAX_CHARGED_BYTES) return;
    throw new InputRefused(
      "ENOMEM",
      "",
      `the elements and records of the run must take at most ${MAX_CHARGED_BYTES >>> 20} MiB`,
    );
  }

  release(bytes: number): void {
    this.#charged -= bytes + ITEM_OVERHEAD;
  }

  get rings(): Ringbuf[] {
    return this.#maps.filter((map) => map instanceof Ringbuf);
  }

  /** Notes that a program of the run adds numbers of this size. */
  noteAddSize(size: AddSize | undefined): void {
    if (size === undefined) return;
    this.#addSize = this.#addSize === undefined || this.#addSize === size ? size : 0;
  }

  /** The next random number (u32) of the run's own generator, mulberry32. */
  nextRandom(): number {
    this.#randomState = (this.#randomState + 0x6d2b79f5) >>> 0;
    let t = this.#randomState;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** Collects the read set, the write set and the output. */
  finish(): Pick<RunDone, "data" | "ctx" | "reads" | "writes" | "trace"> {
    const effects: Effects = { reads: [], writes: [], addSize: this.#addSize ?? 0 };
    for (const map of this.#maps) map.collectEffects(effects);
    const { reads, writes } = effects;
    for (const read of reads) copyBytes(read);
    for (const op of writes) copyBytes(op);
    const { context, trace } = this;
    return {
      data: context.outputPacket(),
      ctx: this.job.ctx && context.outputContext(),
      reads,
      writes,
      trace,
    };
  }
}

/** Copies fetched bytes: posting a view to another thread would send its whole buffer. */
function copyBytes(item: ReadSetEntry | WriteSetEntry): void {
  if ("key" in item) item.key = Uint8Array.from(item.key);
  if ("value" in item && item.value) item.value = Uint8Array.from(item.value);
  if ("matched" in item && item.matched) item.matched = Uint8Array.from(item.matched);
}
