import type { CompilationUnit } from "../../compiler/abi.ts";
import type { Job, MapView, ProgramView, RunDone, RunOutcome, Seed } from "../job.ts";

/**
 * Messages between the pool and its threads. Jobs and outcomes are tuples, because a structured clone
 * spends more on the names of properties than on their values.
 */

/** The pool sends a job, or the programs to forget and those to compile. */
export type WorkerRequest =
  | { job: PackedJob }
  | { forget: readonly string[]; prepare: readonly CodeUnit[] };

export type WorkerReply = { outcome: PackedOutcome } | { ready: true } | { tooLarge: string };

/** A program to compile, and the key of its code. */
export interface CodeUnit {
  key: string;
  unit: CompilationUnit;
}

/** Copies bytes out of a larger buffer, because a structured clone takes all of their buffer. */
const own = (bytes: Uint8Array): Uint8Array =>
  bytes.length === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes);

function ownView(view: MapView): MapView {
  const elements = view.elements.map(({ key, value, matched }) => ({
    ...{ key: own(key), value: value && own(value) },
    ...(matched === undefined ? {} : { matched: own(matched) }),
  }));
  return { ...view, elements, ...(view.bytes === undefined ? {} : { bytes: own(view.bytes) }) };
}

/** A job whose programs the thread has compiled. */
export type PackedJob = readonly [
  programs: readonly [id: number, key: string, maps: readonly number[]][],
  maps: MapView[],
  prog_type: string,
  data: Uint8Array | undefined,
  ctx: Uint8Array | undefined,
  repeat: number,
  budget: number,
  ...seed: [time_ns: Seed["time_ns"], random: number, cpu: number],
];

export function packJob(job: Job): PackedJob {
  const { data, ctx, repeat, budget, seed } = job;
  return [
    job.programs.map(({ id, key, maps }) => [id, key, maps]),
    job.maps.map(ownView),
    job.prog_type,
    data && own(data),
    ctx && own(ctx),
    repeat,
    budget,
    seed.time_ns,
    seed.random,
    seed.cpu,
  ];
}

export function unpackJob(packed: PackedJob): Job {
  const [known, maps, prog_type, data, ctx, repeat, budget, time_ns, random, cpu] = packed;
  const programs: ProgramView[] = known.map(([id, key, maps]) => ({ id, key, maps }));
  return { programs, maps, prog_type, data, ctx, repeat, budget, seed: { time_ns, random, cpu } };
}

type PackedDone = readonly [
  retval: number,
  data: Uint8Array,
  ctx: Uint8Array | undefined,
  duration: number,
  reads: RunDone["reads"],
  writes: RunDone["writes"],
  trace: string[],
  chain: number[],
];
export type PackedOutcome = PackedDone | Exclude<RunOutcome, RunDone>;

export function packOutcome(outcome: RunOutcome): PackedOutcome {
  if (outcome.kind !== "done") return outcome;
  const { retval, data, ctx, duration, reads, writes, trace, chain } = outcome;
  return [retval, data, ctx, duration, reads, writes, trace, chain];
}

export function unpackOutcome(packed: PackedOutcome): RunOutcome {
  if ("kind" in packed) return packed;
  const [retval, data, ctx, duration, reads, writes, trace, chain] = packed;
  return { kind: "done", retval, data, ctx, duration, reads, writes, trace, chain };
}
