import { describe, expect, it } from "vitest";
import type { Job, MapView, Miss, RunDone, WriteSetEntry } from "../../domain/runtime/job.ts";
import { toHex } from "../support/bytes.ts";
import { randomBelow } from "../support/random.ts";
import { jobOf, machine } from "../support/runtime_jobs.ts";
import { identity, sample, TYPES } from "../support/runtime_programs.ts";

/** A run that fetches elements on demand ends as one that has its whole map from the start. */

type DemandElement = MapView["elements"][number];

/** trie_lookup_elem() over a list. */
function longestMatch(elements: DemandElement[], key: Uint8Array): DemandElement | undefined {
  const keyLength = Buffer.from(key).readUInt32LE(0);
  const matches = elements.filter((element) => {
    const bytes = Buffer.from(element.key);
    const length = bytes.readUInt32LE(0);
    const cut = Buffer.concat([bytes.subarray(0, 4), Buffer.from(key).subarray(4)]);
    return length <= keyLength && identity("lpm_trie", cut) === identity("lpm_trie", bytes);
  });
  const length = (element: DemandElement) => Buffer.from(element.key).readUInt32LE(0);
  return matches.sort((a, b) => length(b) - length(a))[0];
}

function fetchMiss(all: MapView, miss: Miss, fetched: MapView): MapView {
  if ("whole" in miss) return all;
  if ("front" in miss) return { ...fetched, elements: all.elements.slice(0, miss.front) };
  if (!("key" in miss)) throw new Error("no run here misses a part of a map");
  const { key } = miss;
  const found =
    all.map_type === "lpm_trie"
      ? longestMatch(all.elements, key)
      : all.elements.find((element) => toHex(element.key) === toHex(key));
  const matched = all.map_type === "lpm_trie" && found ? { matched: found.key } : {};
  const element = { key, value: found?.value ?? null, ...matched };
  return { ...fetched, elements: [...fetched.elements, element] };
}

function onDemand(job: Job): RunDone {
  const all = job.maps[0] as MapView;
  let view: MapView = { ...all, isComplete: false, elements: [] };
  for (let tries = 0; tries < 30; tries++) {
    const ended = machine.execute({ ...job, maps: [view] });
    if (ended.kind === "done") return ended;
    if (ended.kind !== "miss") throw new Error(JSON.stringify(ended));
    for (const miss of ended.misses) view = fetchMiss(all, miss, view);
  }
  throw new Error("the run still misses elements after 30 tries");
}

/** The map as it is after the commit. */
function committed({ map_type, elements, max_entries }: MapView, ops: WriteSetEntry[]): string[] {
  const table = new Map(elements.map(({ key, value }) => [identity(map_type, key), value]));
  const list = elements.map(({ value }) => value);
  if (map_type === "stack") list.reverse();
  for (const op of ops) {
    if (op.op === "update" || op.op === "write") table.set(identity(map_type, op.key), op.value);
    else if (op.op === "delete") table.delete(identity(map_type, op.key));
    else if (op.op === "pop") map_type === "stack" ? list.pop() : list.shift();
    else if (op.op === "push") {
      if (list.length >= max_entries) list.shift();
      list.push(op.value);
    } else throw new Error(op.op);
  }
  const hex = (value: Uint8Array | null) => toHex(value ?? new Uint8Array(0));
  if (map_type === "queue" || map_type === "stack") return list.map(hex);
  return [...table].map(([key, value]) => `${key} ${hex(value)}`).sort();
}

/** True when the map that the run had agrees with its read set. */
function matchesReads(view: MapView, reads: RunDone["reads"]): boolean {
  const find = (key: Uint8Array) =>
    view.elements.find(
      (element) => identity(view.map_type, element.key) === identity(view.map_type, key),
    );
  return reads.every((read) => {
    if ("full" in read) return view.entries >= view.max_entries;
    if ("unchanged" in read || "producer" in read) return true;
    if ("present" in read) return (find(read.key) !== undefined) === read.present;
    const found =
      view.map_type === "lpm_trie" ? longestMatch(view.elements, read.key) : find(read.key);
    return toHex(found?.value ?? new Uint8Array(0)) === toHex(read.value ?? new Uint8Array(0));
  });
}

describe("elements fetched on demand", () => {
  it.each(TYPES)(
    "fetching on demand (%s) gives 40 random programs the same results",
    async (type) => {
      const random = randomBelow(TYPES.indexOf(type) + 1);
      for (let n = 0; n < 40; n++) {
        const { map, text } = sample(type, random);
        const job = await jobOf(text, { maps: [map] });
        const view = job.maps[0] as MapView;
        const whole = machine.execute(job);
        if (whole.kind !== "done") throw new Error(JSON.stringify(whole));
        const part = onDemand(job);
        expect(part.retval, text).toBe(whole.retval);
        expect(committed(view, part.writes), text).toEqual(committed(view, whole.writes));
        expect(matchesReads(view, [...whole.reads, ...part.reads]), text).toBe(true);
      }
    },
  );
});
