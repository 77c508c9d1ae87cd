import type { BareStep } from "./bare.ts";
import { head } from "./direct.ts";
import { CONNECTIONS, type LoadSample, redisBenchmark, rounds, wrk, wrkScript } from "./load.ts";
import { type BenchOperation, furnish, KEY, operations, VALUE } from "./operations.ts";
import { type BenchProcess, stop } from "./processes.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";
import { callerOf, newSession, startBare, startService, startWebdis } from "./world.ts";

/** Measures each operation over HTTP beside a bare handler that makes the same call to Redis. */

export const SERVICE = "service";
export const BARE = "bare node:http";
export const WORKERS = "service, WORKERS=2";
/** GETs that a client pipelines on each connection. */
export const DEPTH = 16;

const NAMESPACE = "bench";
const BENCHMARK_REQUESTS = { 1: 15_000, 16: 30_000 };

/** Contender -> rounds. */
export type Results = Record<string, LoadSample[]>;

export interface Http {
  redisVersion: string;
  /** lookup and update. */
  elements: Record<string, Results>;
  /** Every other operation: service and bare. */
  others: Record<string, Results>;
  /** Lookups of clients that pipeline; undefined in a quick run. */
  pipelined?: Results;
}

/** The number of rounds. A quick run has fewer, and only the service and the bare handler. */
const FULL = { quick: false, elements: 4, others: 5, warmUp: 2 };
const QUICK = { quick: true, elements: 3, others: 3, warmUp: 1 };

interface HttpWorld {
  redis: RedisServer;
  service: BenchProcess;
  bare: BenchProcess;
  /** Undefined if it does not start, and in a quick run. */
  workers: BenchProcess | undefined;
  webdis: BenchProcess | undefined;
  token: string;
  list: BenchOperation[];
}

async function begin(quick: boolean): Promise<HttpWorld> {
  const redis = await startRedis("http");
  const service = await startService(redis);
  const workers = quick
    ? undefined
    : await startService(redis, { workers: 2 }).catch(() => undefined);
  const token = await newSession(service.base, NAMESPACE);
  const fd = await furnish(service.base, token);
  const list = await operations(service.base, token, fd);
  const { sid, hash } = callerOf(token);
  const steps: BareStep[] = list.flatMap((operation) => operation.steps);
  const bare = await startBare({ redis: redis.url, namespace: NAMESPACE, sid, hash, steps });
  const webdis = quick ? undefined : await startWebdis(redis);
  return { redis, service, workers, bare, webdis, token, list };
}

function load({ redis, token }: HttpWorld, to: BenchProcess) {
  return { base: to.base, token, seconds: 1, watched: { server: to.pid, redis: redis.pid } };
}

const http = (world: HttpWorld, to: BenchProcess, { requests }: BenchOperation) => {
  return () => wrk({ ...load(world, to), requests });
};

/** The service and the bare handler. */
const both = (world: HttpWorld, operation: BenchOperation) => ({
  [SERVICE]: http(world, world.service, operation),
  [BARE]: http(world, world.bare, operation),
});

/** FCALL with the arguments that the service sends. */
function fcall({ redis, token }: HttpWorld, { steps }: BenchOperation) {
  const [{ command, args } = { command: "", args: [] }] = steps;
  const first = head({ token, namespace: NAMESPACE }, command) as (string | number)[];
  const words = ["fcall", ...first, ...args];
  return (pipeline: 1 | 16) => () =>
    redisBenchmark(redis.socket, words, {
      requests: BENCHMARK_REQUESTS[pipeline],
      pipeline,
      watched: { redis: redis.pid },
    });
}

/** Contenders beside the service and the bare handler. */
function further(
  world: HttpWorld,
  operation: BenchOperation,
): Record<string, () => Promise<LoadSample>> {
  const { workers, webdis } = world;
  const direct = fcall(world, operation);
  const path = operation.name === "lookup" ? `/GET/${KEY}` : `/SET/${KEY}/${VALUE}`;
  const requests = [{ method: "GET", path }];
  return {
    ...(workers && { [WORKERS]: http(world, workers, operation) }),
    "redis-benchmark FCALL": direct(1),
    "redis-benchmark FCALL, pipeline 16": direct(16),
    ...(webdis && {
      [`webdis ${path.split("/")[1]}`]: () => wrk({ ...load(world, webdis), requests }),
    }),
  };
}

function pipelined(world: HttpWorld): Promise<Results> {
  const path = world.list.find(({ name }) => name === "lookup")?.requests[0]?.path ?? "";
  const of = (to: BenchProcess) => () => {
    const args = [world.token, path, DEPTH];
    return wrkScript("pipelined.lua", { ...load(world, to), connections: CONNECTIONS, args });
  };
  return rounds(FULL.elements, { [SERVICE]: of(world.service), [BARE]: of(world.bare) });
}

async function end({ redis, service, workers, bare, webdis }: HttpWorld): Promise<void> {
  for (const one of [service, workers, bare, webdis]) if (one) await stop(one);
  await redis.stop();
}

export async function overHttp(
  say: (line: string) => void,
  { quick, ...count }: typeof FULL = FULL,
): Promise<Http> {
  const world = await begin(quick);
  await world.redis.client.set(KEY, VALUE);
  const measured: Pick<Http, "elements" | "others"> = { elements: {}, others: {} };
  for (const operation of world.list) {
    const { name } = operation;
    say(name);
    const isElement = name === "lookup" || name === "update";
    const contenders = both(world, operation);
    if (isElement && !quick) Object.assign(contenders, further(world, operation));
    const times = isElement ? count.elements : count.others;
    const results = await rounds(times, contenders, count.warmUp);
    measured[isElement ? "elements" : "others"][name] = results;
  }
  const piped = quick ? {} : { pipelined: await pipelined(world) };
  const info = await world.redis.client.info("server");
  const redisVersion = /redis_version:(\S+)/.exec(info)?.[1] ?? "";
  await end(world);
  return { redisVersion, ...measured, ...piped };
}

export const overHttpQuickly = (say: (line: string) => void) => overHttp(say, QUICK);
