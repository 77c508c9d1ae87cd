// One run: what its helpers and its program reach.

import type { Arena } from "./arena.ts";
import type { RunInput } from "./contexts/context.ts";
import { openContext } from "./contexts/prog_types.ts";
import { InputRefused, MissingData, RunFailure } from "./fault.ts";
import type { Job, MapView, ReadSetEntry, RunDone, WriteSetEntry } from "./job.ts";
import type { AddSize } from "./maps/layout.ts";
import type { Effects, RunContext, RunMap } from "./maps/map.ts";
import { openMap } from "./maps/map_types.ts";
import { Ringbuf } from "./maps/types/ringbuf.ts";

/** Handles of maps, from here on; those of functions are below. */
const HANDLES = 0x1000;
/** Of elements, records and so on, each with so much around it. */
const BYTES_MAX = 64 << 20;
const ITEM_BYTES = 256;

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
  #state: number;
  #charged = 0;
  /** Of the programs so far; undefined before the first that adds. */
  #added: AddSize | undefined;

  constructor(arena: Arena, job: Job) {
    this.arena = arena;
    this.job = job;
    this.cpu = job.seed.cpu;
    this.time = BigInt(job.seed.time_ns);
    this.#state = job.seed.random >>> 0;
    this.#views = new Map(job.maps.map((view) => [view.id, view]));
    this.context = openContext(arena, job);
  }

  /** The map of this id; undefined when the job does not bring it. */
  byId(id: number): RunMap | undefined {
    const found = this.#opened.get(id);
    const view = this.#views.get(id);
    if (found !== undefined || view === undefined) return found;
    if (this.cpu >= (view.cpus ?? Number.POSITIVE_INFINITY)) {
      throw new InputRefused("EINVAL", "seed", `there is no CPU ${this.cpu}`);
    }
    const map = openMap(this, view, HANDLES + this.#maps.length);
    this.#opened.set(id, map);
    this.#maps.push(map);
    return map;
  }

  handleOf(id: number): number {
    const map = this.byId(id);
    if (map === undefined) throw new MissingData({ inner: id });
    return map.handle;
  }

  map(handle: number): RunMap {
    const map = this.#maps[handle - HANDLES];
    if (map === undefined) throw new RunFailure("memory", "a helper was given no map");
    return map;
  }

  charge(bytes: number): void {
    this.#charged += bytes + ITEM_BYTES;
    if (this.#charged <= BYTES_MAX) return;
    throw new InputRefused(
      "ENOMEM",
      "",
      `what the run keeps takes more than ${BYTES_MAX >>> 20} MiB`,
    );
  }

  release(bytes: number): void {
    this.#charged -= bytes + ITEM_BYTES;
  }

  get rings(): Ringbuf[] {
    return this.#maps.filter((map) => map instanceof Ringbuf);
  }

  /** Numbers of this size may be added by a program that takes part. */
  adds(size: AddSize | undefined): void {
    if (size === undefined) return;
    this.#added = this.#added === undefined || this.#added === size ? size : 0;
  }

  /** The next of the run's own random numbers: mulberry32, u32. */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** What the run saw and wants. */
  finish(): Pick<RunDone, "data" | "ctx" | "reads" | "ops" | "trace"> {
    const effects: Effects = { reads: [], ops: [], addSize: this.#added ?? 0 };
    for (const map of this.#maps) map.finish(effects);
    const { reads, ops } = effects;
    for (const read of reads) own(read);
    for (const op of ops) own(op);
    const { context, trace } = this;
    return { data: context.data(), ctx: this.job.ctx && context.ctx(), reads, ops, trace };
  }
}

/** Fetched bytes are parts of larger memory, which would be sent along with them. */
function own(item: ReadSetEntry | WriteSetEntry): void {
  if ("key" in item) item.key = Uint8Array.from(item.key);
  if ("value" in item && item.value) item.value = Uint8Array.from(item.value);
  if ("matched" in item && item.matched) item.matched = Uint8Array.from(item.matched);
}
