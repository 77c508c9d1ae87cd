import { type LoadSample, redisBenchmark, rounds, wrkScript } from "./load.ts";
import { type BenchProcess, stop } from "./processes.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";
import { ask, newSession, startService } from "./world.ts";

/**
 * Measures batches of many elements beside pipelined HSET and HGET of redis-benchmark, with the same Redis
 * and socket, a hash of the same size and random keys.
 */

export const BATCHES = [1000, 10_000];
export const FORMS = ["json", "octets"] as const;
export const PIPELINED = "redis-benchmark -P 100";
export const OPERATIONS = { update: "HSET", lookup: "HGET" } as const;
export type BatchOperation = keyof typeof OPERATIONS;

/** Concurrent requests; each is a batch, as each connection of redis-benchmark pipelines 100 commands. */
export const BATCH_CONNECTIONS = 4;
const ROUNDS = 3;
const COMMANDS = 300_000;
const FILL = 10_000;
/** Seconds of warm-up for each operation in each form, and the elements of its batches. */
const WARM_UP = 3;
const SMALL = 16;

/** Operation -> size -> contender -> rounds; rates and CPU times are per element. */
export type Batches = Record<BatchOperation, Record<number, Record<string, LoadSample[]>>>;

interface BatchWorld {
  redis: RedisServer;
  service: BenchProcess;
  token: string;
}

/** Fills a map to half of its max_entries, and a Redis hash with as many fields. */
async function furnish({ redis, service, token }: BatchWorld, n: number): Promise<number> {
  const map = { map_type: "hash", key_size: 8, value_size: 8, max_entries: 2 * n };
  const made = await ask(service.base, token, "POST", "/v1/maps", JSON.stringify(map));
  const { fd } = JSON.parse(made) as { fd: number };
  for (let from = 0; from < n; from += FILL) {
    const keys = Array.from({ length: Math.min(FILL, n - from) }, (_, i) => `u64:${from + i}`);
    const body = JSON.stringify({ op: "update", keys, values: keys });
    await ask(service.base, token, "POST", `/v1/fds/${fd}/batch`, body);
  }
  const fields = Array.from({ length: n }, (_, i) => [String(i).padStart(12, "0"), "value000"]);
  await redis.client.hset(`plain:${n}`, ...fields.flat());
  return fd;
}

function perElement(sample: LoadSample, n: number): LoadSample {
  const cpu = Object.entries(sample.cpu).map(([name, us]) => [name, us / n]);
  return { ...sample, rate: sample.rate * n, cpu: Object.fromEntries(cpu) };
}

let seed = 0;

async function batch(world: BatchWorld, operation: string, form: string, fd: number, n: number) {
  seed += 1;
  const { service, redis, token } = world;
  const sample = await wrkScript("batches.lua", {
    base: service.base,
    seconds: 1,
    connections: BATCH_CONNECTIONS,
    args: [token, fd, operation, form, n, seed],
    watched: { server: service.pid, redis: redis.pid },
  });
  return perElement(sample, operation === "lookup" ? n - 1 : n);
}

/** Warms up with small batches: a round of big ones has too few requests for V8 to optimise their path. */
async function warmUp(world: BatchWorld, fd: number): Promise<void> {
  for (const operation of Object.keys(OPERATIONS)) {
    for (const form of FORMS) {
      for (let i = 0; i < WARM_UP; i++) await batch(world, operation, form, fd, SMALL);
    }
  }
}

function pipelined({ redis }: BatchWorld, command: string, n: number): Promise<LoadSample> {
  const value = command === "HSET" ? ["value000"] : [];
  return redisBenchmark(redis.socket, [command, `plain:${n}`, "__rand_int__", ...value], {
    requests: COMMANDS,
    pipeline: 100,
    keyspace: n,
    watched: { redis: redis.pid },
  });
}

export async function batches(say: (line: string) => void): Promise<Batches> {
  const redis = await startRedis("batches");
  const service = await startService(redis);
  const token = await newSession(service.base, "batches");
  const world = { redis, service, token };
  const measured: Batches = { update: {}, lookup: {} };
  for (const n of BATCHES) {
    const fd = await furnish(world, n);
    if (n === BATCHES[0]) await warmUp(world, fd);
    for (const [operation, command] of Object.entries(OPERATIONS)) {
      say(`batch ${operation} of ${n}`);
      const contenders: Record<string, () => Promise<LoadSample>> = {};
      for (const form of FORMS) {
        contenders[form] = () => batch(world, operation, form, fd, n);
      }
      contenders[PIPELINED] = () => pipelined(world, command, n);
      measured[operation as BatchOperation][n] = await rounds(ROUNDS, contenders);
    }
  }
  await stop(service);
  await redis.stop();
  return measured;
}
