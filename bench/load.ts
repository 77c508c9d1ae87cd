import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** Makes load on loopback with wrk or redis-benchmark, and measures the CPU time of each process. */

export interface LoadSample {
  /** Requests per second. */
  rate: number;
  p50: number;
  p99: number;
  /** Microseconds of CPU per request, by the name of the process. */
  cpu: Record<string, number>;
}

export interface HttpRequest {
  method: string;
  path: string;
  body?: string;
}

/** Name -> the process to watch. */
export type Watched = Record<string, number>;

export interface HttpLoad {
  base: string;
  /** One token, or several separated by commas, which take turns. */
  token: string;
  /** The second request uses the answer of the first. */
  requests: HttpRequest[];
  seconds: number;
  /** Elements to choose from. */
  elements?: number;
  watched: Watched;
}

const run = promisify(execFile);
export const CONNECTIONS = 64;
/** USER_HZ, the unit of CPU time in /proc on every Linux that Node supports. */
const TICK_US = 10_000;
let seed = 0;

function stat(pid: number | string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Returns utime and stime of a process and of its workers in microseconds. */
export function cpuTime(pid: number): number {
  const [own, ...children] = [String(pid), ...childrenOf(pid)].map((id) => {
    const fields = stat(id);
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  });
  return children.reduce((sum, time) => sum + time, own ?? 0);
}

function childrenOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean),
  );
}

async function account(watched: Watched, work: () => Promise<number>) {
  const names = Object.keys(watched);
  const times = () => names.map((name) => cpuTime(watched[name] as number));
  const before = times();
  const requests = await work();
  const after = times();
  const cpu = names.map((name, i) => [name, ((after[i] ?? 0) - (before[i] ?? 0)) / requests]);
  return Object.fromEntries(cpu) as Record<string, number>;
}

/** The options of a script of this folder, which prints RESULT at its end. */
export interface Scripted {
  base: string;
  seconds: number;
  connections: number;
  args: (string | number)[];
  watched: Watched;
}

export function wrk(load: HttpLoad): Promise<LoadSample> {
  const [first, second = { method: "", path: "" }] = load.requests;
  if (!first) throw new Error("nothing to ask");
  seed += 1;
  const text = [first, second].flatMap(({ method, path, body = "" }) => [method, path, body]);
  const two = load.requests.length === 2 ? 1 : 0;
  const args = [load.token, two, load.elements ?? 1, ...text, seed];
  return wrkScript("requests.lua", { ...load, connections: CONNECTIONS, args });
}

/** The path where the scripts find result.lua. */
const LUA_PATH = join(import.meta.dirname, "?.lua");

/** @throws if any request failed, because a bench must not measure errors. */
export async function wrkScript(script: string, load: Scripted): Promise<LoadSample> {
  const { base, seconds, connections, watched } = load;
  const file = join(import.meta.dirname, script);
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", file, base, "--"];
  args.push(...load.args.map(String));
  let result: number[] = [];
  const cpu = await account(watched, async () => {
    const { stdout } = await run("wrk", args, { env: { ...process.env, LUA_PATH } });
    result = (/RESULT (.*)/.exec(stdout)?.[1] ?? "").split(" ").map(Number);
    if (!result[0] || result[4] !== 0) throw new Error(`wrk ${args.join(" ")}: ${stdout}`);
    return result[0];
  });
  const [requests = 0, duration = 1, p50 = 0, p99 = 0] = result;
  return { rate: (requests * 1e6) / duration, p50: p50 / 1000, p99: p99 / 1000, cpu };
}

/** Sends the same command directly to Redis. */
export async function redisBenchmark(
  socket: string,
  command: (string | number)[],
  options: { requests: number; pipeline: number; keyspace?: number; watched: Watched },
): Promise<LoadSample> {
  const { requests, pipeline, keyspace, watched } = options;
  const args = ["-s", socket, "-c", CONNECTIONS, "-P", pipeline, "-n", requests, "--csv"];
  if (keyspace !== undefined) args.push("-r", keyspace);
  let fields: number[] = [];
  const cpu = await account(watched, async () => {
    const { stdout } = await run("redis-benchmark", [...args, ...command].map(String));
    const row = stdout.trim().split("\n").at(-1) ?? "";
    // "test","rps","avg","min","p50","p95","p99","max"; the test's name is the command itself.
    fields = [...row.matchAll(/"([\d.]+)"(?=,|$)/g)].slice(-7).map(([, text]) => Number(text));
    if (!fields[0]) throw new Error(`redis-benchmark: ${stdout}`);
    return requests;
  });
  return { rate: fields[0] ?? 0, p50: fields[3] ?? 0, p99: fields[5] ?? 0, cpu };
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const high = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[half - 1] ?? high) + high) / 2;
}

export function medianSample(samples: LoadSample[]): LoadSample {
  const of = (pick: (sample: LoadSample) => number) => median(samples.map(pick));
  const names = Object.keys(samples[0]?.cpu ?? {});
  return {
    rate: of((s) => s.rate),
    p50: of((s) => s.p50),
    p99: of((s) => s.p99),
    cpu: Object.fromEntries(names.map((name) => [name, of((s) => s.cpu[name] ?? Number.NaN)])),
  };
}

/** Rounds that are not counted: V8 has optimised a new path after some 10,000 requests. */
const WARM_UP = 2;

/** Runs every contender once a round, so that a noisy moment affects all alike. */
export async function rounds(
  count: number,
  contenders: Record<string, () => Promise<LoadSample>>,
  warmUp = WARM_UP,
): Promise<Record<string, LoadSample[]>> {
  const names = Object.keys(contenders);
  const results = Object.fromEntries(names.map((name): [string, LoadSample[]] => [name, []]));
  for (let round = -warmUp; round < count; round++) {
    for (const [name, measure] of Object.entries(contenders)) {
      const sample = await measure();
      if (round >= 0) results[name]?.push(sample);
    }
  }
  return results;
}
