import { CLUSTER, type Clusters, NAMESPACES, SINGLE } from "./cluster.ts";
import { COUNTING, EMPTY } from "./exec_http.ts";
import { EVALSHA_COMMIT } from "./history.ts";
import { type Results, SERVICE } from "./http.ts";
import { type LoadSample, median, medianSample } from "./load.ts";
import { BEFORE, NOW, STARTS, type Startup } from "./startup.ts";
import { atMost, type Chapter, digits, head, ratio, row } from "./table.ts";

/** Writes the part of bench/RESULTS.md on the capacity of a deployment and its growth. */

const CLUSTER_TARGET = 1.15;
/** Allows for the noise of medians of a few starts. */
const STARTUP_TARGET = 1.05;

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
const all = ({ cpu }: LoadSample) => sum(Object.values(cpu));
const server = ({ cpu }: LoadSample) => cpu.server ?? Number.NaN;
const servers = (sample: LoadSample) => all(sample) - server(sample);

function clusterRatio(results: Results, pick: (sample: LoadSample) => number): number {
  return ratio(results[CLUSTER] ?? [], results[SINGLE] ?? [], pick);
}

function clusterTable(measured: Clusters): string[] {
  const lines = Object.entries(measured).map(([operation, results]) => {
    const cell = (pick: (sample: LoadSample) => number) => {
      const of = (name: string) => digits(median((results[name] ?? []).map(pick)));
      return `x${digits(clusterRatio(results, pick))} (${of(CLUSTER)} / ${of(SINGLE)})`;
    };
    return row(operation, ...[all, server, servers, (s: LoadSample) => s.rate].map(cell));
  });
  const columns = ["CPU µs", "of the service", "of Redis", "requests/s"];
  return [...head(`${CLUSTER} / ${SINGLE}`, ...columns), ...lines, ""];
}

export function clusterChapter(measured: Clusters): Chapter {
  return {
    targets: Object.entries(measured).map(([operation, results]) => {
      const what = `CPU of service and Redis per ${operation}, ${CLUSTER} / ${SINGLE}`;
      return atMost(what, CLUSTER_TARGET, clusterRatio(results, all));
    }),
    sections: [
      "## A cluster of three masters",
      "",
      `One service each, by TCP on loopback; the same load over ${NAMESPACES} namespaces, of which each master has as`,
      "many. CPU is per request, of the service and of all Redis servers together.",
      "",
      ...clusterTable(measured),
    ],
  };
}

/** Computes the capacity from the samples of each operation. */
export function coreChapter(others: Record<string, Results>, runs: Results): Chapter {
  const service = (operation: string) => others[operation]?.[SERVICE] ?? [];
  const samples: Results = {
    "element lookups": service("lookup"),
    "element updates": service("update"),
    "runs of an empty program": runs[EMPTY] ?? [],
    "runs of a program that counts": runs[COUNTING] ?? [],
    "sessions renewed": service("session renew"),
  };
  const perSecond = (us: number) => String(Math.round(1e6 / us));
  const lines = Object.entries(samples).map(([what, rounds]) => {
    const { cpu } = medianSample(rounds);
    const [own, redis] = [cpu.server ?? Number.NaN, cpu.redis ?? Number.NaN];
    return row(what, perSecond(own), perSecond(redis), (own / redis).toFixed(1));
  });
  const columns = ["a core of the service", "a core of Redis", "service cores per core of Redis"];
  return {
    targets: [],
    sections: [
      "## What a core carries",
      "",
      "A second's worth of CPU divided by the CPU of a request, as measured above on this machine.",
      "",
      ...[...head("a second", ...columns), ...lines, ""],
    ],
  };
}

export function startupChapter(measured: Startup): Chapter {
  const [now = [], before = []] = [measured[NOW], measured[BEFORE]];
  const lines = Object.entries(measured).map(([version, ms]) =>
    row(version, ...[Math.min(...ms), median(ms), Math.max(...ms)].map(digits)),
  );
  return {
    targets: [atMost(`ms of start-up / ${BEFORE}`, STARTUP_TARGET, median(now) / median(before))],
    sections: [
      "## Start-up",
      "",
      `ms from spawning the service to its greeting, ${STARTS} starts of each version by turns, on a Redis that runs`,
      `already and has seen the version before. "${BEFORE}" is commit ${EVALSHA_COMMIT}. The target compares medians`,
      `and allows ${STARTUP_TARGET} for their noise.`,
      "",
      ...[...head("ms", "minimum", "median", "maximum"), ...lines, ""],
    ],
  };
}
