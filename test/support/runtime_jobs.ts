import { assemble } from "../../domain/asm/assembler.ts";
import type { CompilationUnit } from "../../domain/compiler/abi.ts";
import type { Job, MapView, RunDone, RunFault, RunOutcome } from "../../domain/runtime/job.ts";
import { Machine } from "../../domain/runtime/machine.ts";
import { hashCode } from "../../domain/transaction/program_cache.ts";
import { hex, toHex, u32 } from "./bytes.ts";

/** Builds jobs by hand from program text and runs them on their own machine. */

export type TestMapView = Partial<MapView> & Pick<MapView, "map_type">;

/** Copies `value` with bytes as hex text, so that tests can compare it. */
export function withHexBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value)) return value.map(withHexBytes);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, withHexBytes(item)]),
  );
}

/** Builds elements with 4-byte keys and values; null marks an element that does not exist. */
export const pairs = (values: Record<number, number | null>): MapView["elements"] =>
  Object.entries(values).map(([key, value]) => ({
    key: u32(Number(key)),
    value: value === null ? null : u32(value),
  }));

/** Builds a map snapshot; by default a complete, empty map with 4-byte keys and values. */
export function view(map: TestMapView): MapView {
  const elements = map.elements ?? [];
  const entries = elements.filter(({ value }) => value !== null).length;
  return {
    ...{ id: 1, key_size: 4, value_size: 4, max_entries: 4, map_flags: 0 },
    ...{ entries: map.map_type === "array" ? (map.max_entries ?? 4) : entries },
    ...{ isComplete: true, elements },
    ...map,
  };
}

/** An IPv4 packet from 10.0.0.1 to 10.0.0.2; the bytes after the IP header count up. */
export const FRAME = hex(
  "0a0b0c0d0e0f1a1b1c1d1e1f0800 4500002800000000400600000a0000010a000002" +
    "000102030405060708090a0b0c0d0e0f10111213",
);

export interface Setting extends Partial<Omit<Job, "programs" | "maps">> {
  maps?: TestMapView[];
  /** The programs that the first one can reach, by id; they use the same maps. */
  others?: Record<number, string>;
}

async function unitOf(text: string, maps: MapView[], prog_type: string): Promise<CompilationUnit> {
  const { insns } = await assemble(text, "");
  return { insns, maps, prog_type };
}

/**
 * Builds a job; `map[fd:i]` in the text names the ith map, map ids start at 1, and the program's id
 * is 100.
 */
export async function jobOf(text: string, setting: Setting = {}): Promise<Job> {
  const { maps = [], others = {}, prog_type = "sched_cls", ...rest } = setting;
  const views = maps.map((map, i) => view({ id: i + 1, ...map }));
  const texts: [id: number, text: string][] = [[100, text]];
  for (const [id, other] of Object.entries(others)) texts.push([Number(id), other]);
  const programs = texts.map(async ([id, source]) => {
    const unit = await unitOf(source, views, prog_type);
    return { id, key: hashCode(unit), unit, maps: views.map(({ id }) => id) };
  });
  return {
    programs: await Promise.all(programs),
    maps: views,
    prog_type,
    data: FRAME,
    ctx: undefined,
    repeat: 1,
    seed: { time_ns: "1000000000", random: 1, cpu: 0 },
    budget: 1_000_000,
    ...rest,
  };
}

export const machine = new Machine();

export async function outcome(text: string, setting?: Setting): Promise<RunOutcome> {
  return machine.execute(await jobOf(text, setting));
}

function failed(outcome: RunOutcome): never {
  throw new Error(`the run ended otherwise: ${JSON.stringify(outcome)}`);
}

export async function run(text: string, setting?: Setting): Promise<RunDone> {
  const ended = await outcome(text, setting);
  return ended.kind === "done" ? ended : failed(ended);
}

export async function fault(text: string, setting?: Setting): Promise<RunFault> {
  const ended = await outcome(text, setting);
  return ended.kind === "fault" ? ended : failed(ended);
}

/** Returns the misses of a run with keys as text. */
export async function needs(text: string, setting?: Setting): Promise<unknown> {
  const ended = await outcome(text, setting);
  return ended.kind === "miss" ? withHexBytes(ended.misses) : failed(ended);
}

/** Returns r0 as a signed number, because helpers return negative errnos. */
export const answer = async (text: string, setting?: Setting): Promise<number> =>
  (await run(text, setting)).retval | 0;
