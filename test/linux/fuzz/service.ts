import { ERRNO } from "../../../domain/errno.ts";
import type { Job, RunOutcome } from "../../../domain/runtime/job.ts";
import { Machine } from "../../../domain/runtime/machine.ts";
import type { MapFacts, Refusal } from "../../../domain/verifier/verifier.ts";
import { check, verify } from "../../support/verify_bytes.ts";
import {
  type CaseMap,
  type CaseProgram,
  type CaseResult,
  type FuzzCase,
  usedMaps,
} from "./case.ts";
import { MapContents } from "./contents.ts";
import { KernelView, mapId, programId } from "./view.ts";

/** Runs a case on the verifier and the runtime of the service, without HTTP and Redis. */

const BUDGET = 20_000_000;
/** A run may refetch its snapshot this often. */
const SIGHTS = 200;

/** Verifies a program that is loaded like in kernel.py. */
export function refusal(
  { type, maps }: FuzzCase,
  { insns, functions }: CaseProgram,
): Refusal | null {
  const options = { progType: type, gplCompatible: true, expectedAttachType: 0 };
  const more = { ...options, funcInfo: functions.length > 0 };
  const { beforeMaps: before, refs, atMap: during } = check(insns, more);
  if (before ?? during) return before ?? during;
  const facts = maps.map(factsOf);
  const named = refs.map(({ value }): MapFacts => {
    const { inner } = maps[value] as CaseMap;
    return {
      ...(facts[value] as MapFacts),
      ...(inner === undefined ? {} : { inner: facts[inner] as MapFacts }),
    };
  });
  return verify(insns, named, more).refusal;
}

function factsOf(map: CaseMap, id: number): MapFacts {
  const { map_type, key_size, value_size, max_entries, map_flags, lock } = map;
  const frozen = (map_flags & 0x80) !== 0;
  const locks = lock === undefined ? {} : { locks: [lock] };
  return { id, map_type, key_size, value_size, max_entries, map_flags, frozen, ...locks };
}

function verdict(refused: Refusal | null) {
  return refused ? { errno: ERRNO[refused.errno], log: refused.log } : { errno: 0 };
}

export class FuzzService {
  readonly #machine = new Machine();
  readonly #cpus: number;
  #cases = 0;

  constructor(cpus: number) {
    this.#cpus = cpus;
  }

  /** @param whole if set, the run gets complete maps; else it fetches elements on demand. */
  run(subject: FuzzCase, whole: boolean): CaseResult {
    const refused = subject.programs.map((program) => refusal(subject, program));
    const loads = refused.map(verdict);
    if (refused[0]) return { loads };
    const accepted = subject.programs.map((_, place) => refused[place] === null);
    return { loads, ...this.#execute(subject, accepted, whole) };
  }

  #execute(subject: FuzzCase, accepted: boolean[], whole: boolean): Omit<CaseResult, "loads"> {
    const used = usedMaps(subject);
    const maps = subject.maps.map((map) => withPrograms(map, accepted));
    const views = new Map(
      maps.map((map, place) => [mapId(place), new KernelView(map, place, this.#cpus, whole)]),
    );
    const outcome = this.#attempt(subject, accepted, views);
    if (outcome.kind === "refused") return { run: { errno: ERRNO[outcome.errno] } };
    if (outcome.kind === "fault") {
      const { reason, program, pc, detail } = outcome;
      return { run: { fault: `${reason}, program ${program - programId(0)}, ${pc}: ${detail}` } };
    }
    if (outcome.kind === "miss") return { run: { fault: "needs what it was shown" } };
    const { retval, data, ctx, writes, reads } = outcome;
    const wrong = reads.find((read) => !views.get(read.map)?.holds(read));
    if (wrong) return { run: { fault: `it read of map ${wrong.map - 1} what is not there` } };
    const contents = maps.map((map, i) => (used.has(i) ? new MapContents(map, this.#cpus) : null));
    for (const op of writes) contents[op.map - 1]?.apply(op);
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
    return {
      run: { retval, data: hex(data), ...(ctx ? { ctx: hex(ctx) } : {}) },
      maps: contents.map((map) => map?.shown() ?? null),
    };
  }

  #attempt(subject: FuzzCase, accepted: boolean[], views: Map<number, KernelView>): RunOutcome {
    const serial = this.#cases++;
    try {
      for (let sights = 0; ; sights++) {
        const outcome = this.#machine.execute(job(subject, accepted, views, serial));
        if (outcome.kind !== "miss" || sights === SIGHTS) return outcome;
        for (const need of outcome.misses) if ("map" in need) views.get(need.map)?.show(need);
      }
    } finally {
      for (const place of accepted.keys()) this.#machine.unload(keyOf(serial, place));
    }
  }
}

/** Identifies the code of a program in the cache. */
const keyOf = (serial: number, place: number): string => `${serial} ${place}`;

/** Empties the slots of programs that were refused. */
function withPrograms(map: CaseMap, accepted: boolean[]): CaseMap {
  if (map.map_type !== "prog_array") return map;
  const filled = map.elements.filter(
    ([, value]) => accepted[Buffer.from(value, "hex").readUInt32LE()],
  );
  return { ...map, elements: filled };
}

function job(
  { type, maps, programs, data, ctx, repeat }: FuzzCase,
  accepted: boolean[],
  views: Map<number, KernelView>,
  serial: number,
): Job {
  const all = programs.map(({ insns, functions }, place) => ({
    id: programId(place),
    key: keyOf(serial, place),
    unit: { insns, maps, prog_type: type, func_info: functions.length > 0 },
    maps: maps.map((_, i) => mapId(i)),
  }));
  return {
    programs: all.filter((_, place) => accepted[place]),
    maps: [...views.values()].map(({ view }) => view),
    prog_type: type,
    data,
    ctx,
    repeat,
    seed: { time_ns: "1000000000", random: 1, cpu: 0 },
    budget: BUDGET,
  };
}
