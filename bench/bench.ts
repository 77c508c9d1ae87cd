import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Step } from "./bare.ts";
import { batches } from "./batches.ts";
import { head } from "./direct.ts";
import { exec } from "./exec.ts";
import { growth } from "./growth.ts";
import { redisBenchmark, rounds, type Sample, wrk } from "./load.ts";
import { furnish, KEY, type Operation, operations, VALUE } from "./operations.ts";
import { type Process, stop } from "./processes.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";
import { type Measured, type Results, report, reportExec } from "./report.ts";
import { ensureTools } from "./tools.ts";
import { types } from "./types.ts";
import { callerOf, newSession, startBare, startService, startWebdis } from "./world.ts";

/**
 * `npm run bench`: what the service costs beside a bare handler, how cost grows, how fast programs run.
 * `npm run bench -- exec` measures the programs alone and leaves RESULTS.md as it is.
 */

const NAMESPACE = "bench";
const ELEMENT_ROUNDS = 4;
const OTHER_ROUNDS = 5;
const BENCHMARK_REQUESTS = { 1: 15_000, 16: 30_000 };

interface World {
  redis: RedisServer;
  service: Process;
  /** Undefined when it does not start. */
  workers: Process | undefined;
  bare: Process;
  webdis: Process;
  token: string;
  list: Operation[];
}

const say = (line: string) => process.stderr.write(`[bench] ${line}\n`);

async function begin(): Promise<World> {
  const redis = await startRedis("side-by-side");
  const service = await startService(redis);
  const workers = await startService(redis, { workers: 2 }).catch(() => undefined);
  const token = await newSession(service.base, NAMESPACE);
  const fd = await furnish(service.base, token);
  const list = await operations(service.base, token, fd);
  const { sid, hash } = callerOf(token);
  const steps: Step[] = list.flatMap((operation) => operation.steps);
  const bare = await startBare({ redis: redis.url, namespace: NAMESPACE, sid, hash, steps });
  return { redis, service, workers, bare, webdis: await startWebdis(redis), token, list };
}

function http(world: World, to: Process, operation: Operation, seconds: number) {
  const watched = { server: to.pid, redis: world.redis.pid };
  const load = { base: to.base, token: world.token, seconds, watched };
  return () => wrk({ ...load, requests: operation.requests });
}

/** FCALL with the arguments that the service sends. */
function fcall({ redis, token }: World, { steps }: Operation) {
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

async function elements(world: World, operation: Operation): Promise<Results> {
  const { redis, service, workers, bare, webdis, token } = world;
  const direct = fcall(world, operation);
  const path = operation.name === "lookup" ? `/GET/${KEY}` : `/SET/${KEY}/${VALUE}`;
  const watched = { server: webdis.pid, redis: redis.pid };
  await redis.client.set(KEY, VALUE);
  const requests = [{ method: "GET", path }];
  const contenders: Record<string, () => Promise<Sample>> = {
    service: http(world, service, operation, 1),
    "bare node:http": http(world, bare, operation, 1),
    ...(workers && { "service, WORKERS=2": http(world, workers, operation, 1) }),
    "redis-benchmark FCALL": direct(1),
    "redis-benchmark FCALL, pipeline 16": direct(16),
    [`webdis ${path.split("/")[1]}`]: () =>
      wrk({ base: webdis.base, token, seconds: 1, watched, requests }),
  };
  return rounds(ELEMENT_ROUNDS, contenders);
}

async function sideBySide(): Promise<Pick<Measured, "redisVersion" | "elements" | "others">> {
  const world = await begin();
  const measured: Pick<Measured, "elements" | "others"> = { elements: {}, others: {} };
  for (const operation of world.list) {
    say(operation.name);
    if (operation.name === "lookup" || operation.name === "update") {
      measured.elements[operation.name] = await elements(world, operation);
    } else {
      measured.others[operation.name] = await rounds(OTHER_ROUNDS, {
        service: http(world, world.service, operation, 1),
        "bare node:http": http(world, world.bare, operation, 1),
      });
    }
  }
  const info = await world.redis.client.info("server");
  const redisVersion = /redis_version:(\S+)/.exec(info)?.[1] ?? "";
  const { service, workers, bare, webdis } = world;
  for (const one of [service, workers, bare, webdis]) if (one) await stop(one);
  await world.redis.stop();
  return { redisVersion, ...measured };
}

async function everything(): Promise<string> {
  const started = performance.now();
  const side = await sideBySide();
  const growing = await growth(say);
  const moved = await batches(say);
  const typed = await types(say);
  const ran = await exec(say);
  const seconds = (performance.now() - started) / 1000;
  const parts = { growth: growing, batches: moved, types: typed, exec: ran };
  const text = report({ ...side, ...parts, seconds });
  writeFileSync(join(import.meta.dirname, "RESULTS.md"), text);
  return text;
}

async function main(): Promise<void> {
  const [part] = process.argv.slice(2);
  if (part !== undefined && part !== "exec") throw new Error(`there is no part ${part}, only exec`);
  ensureTools();
  process.stdout.write(part ? reportExec(await exec(say)) : await everything());
}

main().then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
