import { BATCH_CONNECTIONS, BATCHES, type Batches, OPERATIONS, PIPELINED } from "./batches.ts";
import { growthRatio } from "./growth.ts";
import { type LoadSample, median, medianSample } from "./load.ts";
import { atLeast, atMost, type Chapter, digits, head, power, ratio, row } from "./table.ts";
import { CAPACITIES, PREFIXES, type Types } from "./types.ts";

/** Writes the part of bench/RESULTS.md on batches, LPM tries and LRU hashes. */

const BATCH_TARGET = 0.75;
const FLAT_TARGET = 1.25;
const LRU_TARGET = 1.5;
/** The form that the target of batches applies to; clients send big batches as octets. */
const BEST = "octets";

const rate = (sample: LoadSample) => sample.rate;
const cpu = (sample: LoadSample) => (sample.cpu.server ?? 0) + (sample.cpu.redis ?? 0);

function batchTargets(batches: Batches): string[] {
  return Object.entries(batches).flatMap(([operation, sizes]) =>
    BATCHES.map((n) => {
      const { [BEST]: ours = [], [PIPELINED]: theirs = [] } = sizes[n] ?? {};
      const command = OPERATIONS[operation as keyof Batches];
      const what = `elements/s, batch ${operation} of ${n} in ${BEST} / pipelined ${command}`;
      return atLeast(what, BATCH_TARGET, ratio(ours, theirs, rate));
    }),
  );
}

const most = (what: string, limit: number, sizes: number[][]) =>
  atMost(what, limit, growthRatio(sizes, sizes.length - 1));

function typeTargets({ lpm, lru }: Types): string[] {
  const http = lpm.http.map((samples) => samples.map(cpu));
  const [low = 0, high = 0] = [CAPACITIES[0], CAPACITIES.at(-1)];
  return [
    most("Redis usec per LPM lookup, 10^6 / 10^2 prefixes", FLAT_TARGET, lpm.calls),
    most("CPU of service and Redis per LPM lookup over HTTP, 10^6 / 10^2", FLAT_TARGET, http),
    most(`Redis usec per evicting update, LRU of ${power(high)} / ${power(low)}`, LRU_TARGET, lru),
  ];
}

function batchTable(batches: Batches): string[] {
  const lines = Object.entries(batches).flatMap(([operation, sizes]) =>
    BATCHES.flatMap((n) => {
      const results = sizes[n] ?? {};
      const theirs = results[PIPELINED] ?? [];
      return Object.entries(results).map(([name, samples]) => {
        const { rate: elements, p50, cpu: used } = medianSample(samples);
        const command = OPERATIONS[operation as keyof Batches];
        return row(
          `${operation} ${n}, ${name === PIPELINED ? `${name} ${command}` : name}`,
          `x${digits(ratio(samples, theirs, rate))} (${digits(elements / 1000)})`,
          digits(p50),
          used.server === undefined ? "-" : digits(used.server),
          digits(used.redis ?? Number.NaN),
        );
      });
    }),
  );
  const columns = ["1000 elements/s", "p50 ms", "its CPU µs/element", "Redis CPU µs/element"];
  return [...head("", ...columns), ...lines, ""];
}

/** Formats a row of figures by size, each with its ratio to the first. */
function bySize(name: string, sizes: number[][]): string {
  const cells = sizes.flatMap((values, at) => {
    const value = digits(median(values));
    return at === 0 ? [value] : [value, `x${growthRatio(sizes, at).toFixed(2)}`];
  });
  return row(name, ...cells);
}

const columns = (sizes: number[]) =>
  sizes.flatMap((n, at) => (at === 0 ? [power(n)] : [power(n), `${power(n)} ratio`]));

function typeTables({ lpm, lru, hash }: Types): string[] {
  const pick = (of: (sample: LoadSample) => number) => lpm.http.map((samples) => samples.map(of));
  return [
    ...head("LPM lookup, by prefixes", ...columns(PREFIXES)),
    bySize("Redis, usec per call", lpm.calls),
    bySize(
      "over HTTP, CPU µs of the service",
      pick((s) => s.cpu.server ?? Number.NaN),
    ),
    bySize(
      "over HTTP, CPU µs of Redis",
      pick((s) => s.cpu.redis ?? Number.NaN),
    ),
    bySize("over HTTP, requests/s", pick(rate)),
    "",
    ...head("LRU update that evicts, by capacity", ...columns(CAPACITIES)),
    bySize("Redis, usec per call", lru),
    "",
    `For comparison, an update of a new key in a hash with room: ${digits(median(hash))} usec.`,
    "",
  ];
}

export function batchChapter(batches: Batches): Chapter {
  return {
    targets: batchTargets(batches),
    sections: [
      "## Batches, against pipelined commands",
      "",
      `${BATCH_CONNECTIONS} connections of wrk, a batch a request, of random keys of a map that has as many; keys`,
      "and values have 8 bytes. redis-benchmark sends HSET and HGET (-P 100) on a hash of the same size, random",
      "fields of 12 bytes and values of 8, to the same Redis by the same socket. A lookup reads the map in order.",
      "",
      ...batchTable(batches),
    ],
  };
}

export function typeChapter(types: Types): Chapter {
  return {
    targets: typeTargets(types),
    sections: [
      "## Tries and full LRU hashes",
      "",
      "Tries of IPv4 prefixes of 8 to 32 bits, every length present at every size, and the default route;",
      "random addresses. LRU hashes that are full, every update one of a new key.",
      "",
      ...typeTables(types),
    ],
  };
}
