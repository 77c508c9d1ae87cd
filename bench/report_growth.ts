import { type Growth, growthRatio, SIZES } from "./growth.ts";
import { type LoadSample, median } from "./load.ts";
import { atMost, type Chapter, digits, head, power, row } from "./table.ts";

/** Writes the part of bench/RESULTS.md on how cost grows with a namespace. */

const GROWTH_TARGET = 1.25;

const server = (sample: LoadSample) => sample.cpu.server ?? Number.NaN;

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
  const pick = (sizes: LoadSample[][], of: (sample: LoadSample) => number) =>
    sizes.map((samples) => samples.map(of));
  return [
    ...head("Redis, usec per call", ...columns),
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

function targets({ redis, http }: Growth): string[] {
  const last = SIZES.length - 1;
  return [
    ...Object.entries(redis).map(([op, sizes]) =>
      atMost(`Redis usec per ${op}, 10^6 / 10^2`, GROWTH_TARGET, growthRatio(sizes, last)),
    ),
    ...Object.entries(http).map(([op, sizes]) => {
      const cpu = sizes.map((samples) => samples.map((s) => server(s) + (s.cpu.redis ?? 0)));
      const what = `CPU of service and Redis per ${op} over HTTP, 10^6 / 10^2`;
      return atMost(what, GROWTH_TARGET, growthRatio(cpu, last));
    }),
  ];
}

export function growthChapter(measured: Growth): Chapter {
  return {
    targets: targets(measured),
    sections: [
      "## Growth",
      "",
      "A namespace with 10^2, 10^4 and 10^6 elements in a map, as many pins in a directory and as many",
      `sessions, each in a Redis of its own (the largest held ${measured.memory} MB). Requests name random`,
      "ones of them.",
      "",
      ...growthTable(measured),
    ],
  };
}
