import { BARE, DEPTH, type Http, type Results, SERVICE, WORKERS } from "./http.ts";
import { type LoadSample, medianSample } from "./load.ts";
import { atMost, type Chapter, digits, head, ratio, row } from "./table.ts";

/** Writes the part of bench/RESULTS.md on operations over HTTP beside the bare handler. */

const ELEMENT_TARGET = 1.35;
const OTHER_TARGET = 2.2;

const server = (sample: LoadSample) => sample.cpu.server ?? Number.NaN;
const redis = (sample: LoadSample) => sample.cpu.redis ?? Number.NaN;
const cpuRatio = (results: Results) => ratio(results[SERVICE] ?? [], results[BARE] ?? [], server);

function elementTable(name: string, results: Results): string[] {
  const bare = results[BARE] ?? [];
  const lines = Object.entries(results).map(([contender, samples]) => {
    const { rate, p50, p99, cpu } = medianSample(samples);
    const times = (pick: (sample: LoadSample) => number) =>
      `x${digits(ratio(samples, bare, pick))}`;
    return row(
      contender,
      `${times((s) => s.rate)} (${digits(rate)})`,
      `${times((s) => s.p50)} (${digits(p50)})`,
      `${times((s) => s.p99)} (${digits(p99)})`,
      cpu.server === undefined
        ? "-"
        : `x${digits(ratio(samples, bare, server))} (${digits(cpu.server)})`,
      `${times(redis)} (${digits(cpu.redis ?? Number.NaN)})`,
    );
  });
  const columns = ["requests/s", "p50 ms", "p99 ms", "its CPU µs/request", "Redis CPU µs/request"];
  return [`### ${name}`, "", ...head("", ...columns), ...lines, ""];
}

function otherTable(others: Record<string, Results>): string[] {
  const lines = Object.entries(others).map(([name, results]) => {
    const service = results[SERVICE] ?? [];
    const bare = results[BARE] ?? [];
    const of = (pick: (sample: LoadSample) => number) => `x${digits(ratio(service, bare, pick))}`;
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

/** Has no latencies, because wrk does not measure them for pipelined requests. */
function pipelinedSection(results: Results): string[] {
  const bare = results[BARE] ?? [];
  const lines = Object.entries(results).map(([contender, samples]) => {
    const cell = (pick: (sample: LoadSample) => number) =>
      `x${digits(ratio(samples, bare, pick))} (${digits(pick(medianSample(samples)))})`;
    return row(contender, ...[(s: LoadSample) => s.rate, server, redis].map(cell));
  });
  const columns = ["requests/s", "its CPU µs/request", "Redis CPU µs/request"];
  return [
    "### lookup, pipelined",
    "",
    `Each connection sends ${DEPTH} GETs at once, and the next ${DEPTH} after their answers.`,
    "",
    ...[...head("", ...columns), ...lines, ""],
  ];
}

function workersTarget({ elements }: Http): string[] {
  const all = Object.values(elements).map((results) => results[WORKERS]);
  const works = all.every((samples = []) => samples.some(({ rate }) => rate > 0));
  // A load with a failed request ends the bench.
  return [
    row("WORKERS=2", "no failed request", works ? "0" : "no start", works ? "met" : "missed"),
  ];
}

export function httpChapter(measured: Http): Chapter {
  const { elements, others, pipelined } = measured;
  const name = (text: string) => `CPU per request of ${text} / bare handler`;
  return {
    targets: [
      ...Object.entries(elements).map(([op, r]) => atMost(name(op), ELEMENT_TARGET, cpuRatio(r))),
      ...Object.entries(others).map(([op, r]) => atMost(name(op), OTHER_TARGET, cpuRatio(r))),
      ...(pipelined ? workersTarget(measured) : []),
    ],
    sections: [
      "## Elements of a hash map, against the bare handler",
      "",
      "The bare handler makes the same call of Redis with the same client library and options and writes the",
      "same JSON and headers; it checks nothing. redis-benchmark sends that call with the same arguments,",
      "webdis a GET or SET.",
      "",
      ...Object.entries(elements).flatMap(([op, results]) => elementTable(op, results)),
      ...(pipelined ? pipelinedSection(pipelined) : []),
      "## Every other cheap operation, service / bare handler",
      "",
      "Two operations in a line take turns, and a figure is per request.",
      "",
      ...otherTable(others),
    ],
  };
}
