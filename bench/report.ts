import { cpus, loadavg, totalmem } from "node:os";
import type { Batches } from "./batches.ts";
import type { Exec } from "./exec.ts";
import { type Growth, growthRatio, SIZES } from "./growth.ts";
import { median, medianSample, type Sample } from "./load.ts";
import { execSections, execTargets } from "./report_exec.ts";
import { mapSections, mapTargets } from "./report_maps.ts";
import { digits, head, power, ratio, row } from "./table.ts";
import type { Types } from "./types.ts";

/** The tables of bench/RESULTS.md. Ratios are medians over rounds of the ratio within a round. */

export type Results = Record<string, Sample[]>;

export interface Measured {
  redisVersion: string;
  /** lookup and update: contender -> rounds. */
  elements: Record<string, Results>;
  /** Every other operation: service and bare. */
  others: Record<string, Results>;
  growth: Growth;
  batches: Batches;
  types: Types;
  exec: Exec;
  seconds: number;
}

const SERVICE = "service";
const BARE = "bare node:http";
const ELEMENT_TARGET = 2;
const OTHER_TARGET = 4;
const GROWTH_TARGET = 1.3;

const server = (sample: Sample) => sample.cpu.server ?? Number.NaN;

export function cpuRatio(results: Results): number {
  return ratio(results[SERVICE] ?? [], results[BARE] ?? [], server);
}

function elementTable(name: string, results: Results): string[] {
  const bare = results[BARE] ?? [];
  const lines = Object.entries(results).map(([contender, samples]) => {
    const { rate, p50, p99, cpu } = medianSample(samples);
    const times = (pick: (sample: Sample) => number) => `x${digits(ratio(samples, bare, pick))}`;
    return row(
      contender,
      `${times((s) => s.rate)} (${digits(rate)})`,
      `${times((s) => s.p50)} (${digits(p50)})`,
      `${times((s) => s.p99)} (${digits(p99)})`,
      cpu.server === undefined
        ? "-"
        : `x${digits(ratio(samples, bare, server))} (${digits(cpu.server)})`,
      `${times((s) => s.cpu.redis ?? Number.NaN)} (${digits(cpu.redis ?? Number.NaN)})`,
    );
  });
  const columns = ["requests/s", "p50 ms", "p99 ms", "its CPU µs/request", "Redis CPU µs/request"];
  return [`### ${name}`, "", ...head("", ...columns), ...lines, ""];
}

function otherTable(others: Record<string, Results>): string[] {
  const lines = Object.entries(others).map(([name, results]) => {
    const service = results[SERVICE] ?? [];
    const bare = results[BARE] ?? [];
    const of = (pick: (sample: Sample) => number) => `x${digits(ratio(service, bare, pick))}`;
    const { cpu } = medianSample(service);
    return row(
      name,
      of(server),
      `${digits(cpu.server ?? Number.NaN)} / ${digits(cpu.redis ?? Number.NaN)}`,
      of((s) => s.rate),
      of((s) => s.p50),
      of((s) => s.p99),
    );
  });
  const columns = ["CPU/request", "CPU µs, service / Redis", "requests/s", "p50", "p99"];
  return [...head("", ...columns), ...lines, ""];
}

function growthTable({ redis, http }: Growth): string[] {
  const columns = SIZES.flatMap((n, at) =>
    at === 0 ? [power(n)] : [power(n), `${power(n)} ratio`],
  );
  const line = (name: string, sizes: number[][]) =>
    row(
      name,
      ...sizes.flatMap((values, at) => {
        const value = digits(median(values));
        return at === 0 ? [value] : [value, `x${growthRatio(sizes, at).toFixed(2)}`];
      }),
    );
  const pick = (sizes: Sample[][], of: (sample: Sample) => number) =>
    sizes.map((samples) => samples.map(of));
  return [
    ...head("Redis, usec per call of the script", ...columns),
    ...Object.entries(redis).map(([name, sizes]) => line(name, sizes)),
    "",
    ...head("over HTTP, CPU µs per request", ...columns),
    ...Object.entries(http).flatMap(([name, sizes]) => [
      line(`${name}: service`, pick(sizes, server)),
      line(
        `${name}: Redis`,
        pick(sizes, (s) => s.cpu.redis ?? Number.NaN),
      ),
    ]),
    "",
  ];
}

function targets({ elements, others, growth, batches, types, exec }: Measured): string[] {
  const target = (what: string, figure: number, limit: number) =>
    row(what, `at most ${limit.toFixed(1)}`, figure.toFixed(2), figure <= limit ? "met" : "missed");
  const last = SIZES.length - 1;
  const workers = Object.values(elements).every((results) =>
    (results[`${SERVICE}, WORKERS=2`] ?? []).some(({ rate }) => rate > 0),
  );
  const name = (text: string) => `CPU per request of ${text} / bare handler`;
  return [
    ...head("Target", "", "Figure", ""),
    ...Object.entries(elements).map(([op, r]) => target(name(op), cpuRatio(r), ELEMENT_TARGET)),
    ...Object.entries(others).map(([op, r]) => target(name(op), cpuRatio(r), OTHER_TARGET)),
    ...Object.entries(growth.redis).map(([op, sizes]) =>
      target(`Redis usec per ${op}, 10^6 / 10^2`, growthRatio(sizes, last), GROWTH_TARGET),
    ),
    ...Object.entries(growth.http).map(([op, sizes]) => {
      const cpu = sizes.map((samples) => samples.map((s) => server(s) + (s.cpu.redis ?? 0)));
      const what = `CPU of service and Redis per ${op} over HTTP, 10^6 / 10^2`;
      return target(what, growthRatio(cpu, last), GROWTH_TARGET);
    }),
    ...mapTargets(batches, types),
    ...execTargets(exec),
    row(
      "WORKERS=2 works",
      "no failed request",
      workers ? "0" : "no start",
      workers ? "met" : "missed",
    ),
    "",
  ];
}

export function report(measured: Measured): string {
  const [cpu] = cpus();
  const machine = `${cpu?.model.trim()}, ${cpus().length} CPUs, ${Math.round(totalmem() / 2 ** 30)} GiB`;
  const load = loadavg()[0]?.toFixed(1);
  return [
    "# Results of `npm run bench`",
    "",
    `${new Date().toISOString().slice(0, 10)}. ${machine}; Node ${process.versions.node}, Redis ` +
      `${measured.redisVersion}; ${Math.round(measured.seconds)} s, load average at the end ${load}.`,
    "",
    "Everything runs on this one machine: wrk with one thread and 64 connections on loopback, Redis",
    "by a unix socket, without persistence. Contenders take turns, round by round; a figure is the",
    "median of the rounds, a ratio (x) the median of the ratios within a round. Ratios carry over to",
    "other machines, the rest does not. CPU is utime + stime by /proc, workers included.",
    "",
    "## Targets",
    "",
    ...targets(measured),
    "## Elements of a hash map, against the bare handler",
    "",
    "The bare handler runs the same script by the same client library with the same options and writes",
    "the same JSON and headers of the element; it checks nothing. redis-benchmark sends that script with the same arguments,",
    "webdis a GET or SET.",
    "",
    ...Object.entries(measured.elements).flatMap(([name, results]) => elementTable(name, results)),
    "## Every other cheap operation, service / bare handler",
    "",
    "Two operations in a line take turns, and a figure is per request.",
    "",
    ...otherTable(measured.others),
    "## Growth",
    "",
    "A namespace with 10^2, 10^4 and 10^6 elements in a map, as many pins in a directory and as many",
    `sessions, each in a Redis of its own (the largest held ${measured.growth.memory} MB); targets are`,
    "random ones of them.",
    "",
    ...growthTable(measured.growth),
    ...mapSections(measured.batches, measured.types),
    ...execSections(measured.exec),
  ].join("\n");
}

/** Of programs that run alone. */
export function reportExec(measured: Exec): string {
  const targets = [...head("Target", "", "Figure", ""), ...execTargets(measured), ""];
  return ["## Targets", "", ...targets, ...execSections(measured)].join("\n");
}
