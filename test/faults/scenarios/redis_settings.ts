import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { NODE_ARGS } from "../../../domain/threads/worker_thread.ts";
import { type RedisProcess, startRedisServer, until } from "../../support/redis_servers.ts";
import { checkWorld } from "../checks.ts";
import { describeAnswer, FaultClient, insist, openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import { startReplicas } from "../replicas.ts";
import type { FaultForm, FaultScenario } from "../scenario.ts";
import { RedisWorld, redisWorld } from "../world.ts";

/** Redis is set or filled so that it cannot keep what it is given. */

const ROOT = join(import.meta.dirname, "../../..");
const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const LARGE = { map_type: "array", key_size: 4, value_size: 65_536, max_entries: 256 };
/** So many bytes more, and Redis is full. */
const ROOM = 4 * 2 ** 20;
/** A service that starts is ended after this time. */
const START_MS = 60_000;

/** Starts the program on a Redis that it has to refuse. Returns what it prints, or undefined if it starts. */
async function refusalOf(redis: RedisProcess): Promise<string | undefined> {
  const { REDIS_URL: _, ...env } = process.env;
  const child = spawn(process.execPath, [...NODE_ARGS, "api/server.ts"], {
    cwd: ROOT,
    env: { ...env, REDIS_URL: redis.url, PORT: "0", LOG_LEVEL: "error" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [printed, isUp] = ["", false];
  child.stdout.on("data", () => {
    isUp = true;
    child.kill("SIGKILL");
  });
  child.stderr.on("data", (chunk) => {
    printed += String(chunk);
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
  await once(child, "exit");
  clearTimeout(timer);
  return isUp ? undefined : printed;
}

async function expectRefused(redis: RedisProcess, reason: RegExp): Promise<string[]> {
  const printed = await refusalOf(redis);
  if (printed === undefined) return [`the service starts; it should say ${reason}`];
  return reason.test(printed) ? [] : [`the service says ${printed.slice(0, 300)}`];
}

/** readyz says so at run time, and says that all is well when it is set back. */
async function expectNotReady(
  { redis, bases }: RedisWorld,
  [setting, bad, good]: readonly [string, string, string],
  reason: RegExp,
): Promise<string[]> {
  const client = new FaultClient(bases);
  await redis.call("CONFIG", "SET", setting, bad);
  const said = async () => describeAnswer(await client.get("/readyz"));
  try {
    await until("readyz names it", async () => reason.test(await said()), 10_000);
  } catch {
    return [`readyz says ${await said()} with ${setting} ${bad}`];
  } finally {
    await redis.call("CONFIG", "SET", setting, good);
  }
  await until("readyz is 200", async () => (await said()).startsWith("200"), 10_000);
  return [];
}

const evicting: FaultScenario = {
  name: "eviction",
  fault: "a Redis that evicts keys (allkeys-lru), at the start and at run time",
  lane: "own",
  least: { short: { hits: 2, operations: 1 }, full: { hits: 2, operations: 1 } },
  async run() {
    const evictor = await startRedisServer("--maxmemory-policy", "allkeys-lru");
    const problems = await expectRefused(evictor, /maxmemory-policy.*allkeys-lru/s);
    await evictor.call("CONFIG", "SET", "maxmemory-policy", "noeviction");
    const world = new RedisWorld(evictor, await startReplicas(evictor.url, 1));
    const setting = ["maxmemory-policy", "allkeys-lru", "noeviction"] as const;
    problems.push(...(await expectNotReady(world, setting, /^503.*allkeys-lru/)));
    await world.stop();
    return { hits: 2, operations: 1, figures: "refused at the start; readyz 503", problems };
  },
};

const readOnly: FaultScenario = {
  name: "read-only",
  fault: "a Redis that is a read-only replica",
  lane: "own",
  least: { short: { hits: 1, operations: 0 }, full: { hits: 1, operations: 0 } },
  async run() {
    const master = await startRedisServer();
    const replica = await startRedisServer("--replicaof", `127.0.0.1 ${master.port}`);
    const problems = await expectRefused(replica, /replica/);
    await Promise.all([master.stop(), replica.stop()]);
    return { hits: 1, operations: 0, figures: "refused at the start", problems };
  },
};

const full: FaultScenario = {
  name: "full-memory",
  fault: "a full Redis (maxmemory): writes are refused, reads, renewals and releases go on",
  least: { short: { hits: 5, operations: 20 }, full: { hits: 20, operations: 60 } },
  async run(form: FaultForm) {
    const { redis, bases, storage } = await redisWorld();
    const rounds = form === "short" ? 5 : 20;
    const namespaces = newNamespaces(1);
    const { client } = await openSession(bases, namespaces[0] ?? "");
    await insist(() => client.post("/v1/maps", HASH));
    await insist(() => client.post("/v1/maps", LARGE));
    const value = "07".repeat(LARGE.value_size);
    const used = /used_memory:(\d+)/.exec(String(await redis.call("INFO", "memory")))?.[1];
    await redis.call("CONFIG", "SET", "maxmemory", Number(used) + ROOM);
    const problems: string[] = [];
    let [hits, operations] = [0, 0];
    for (let i = 0; hits < rounds && i < LARGE.max_entries; i++) {
      const answer = await client.put(`/v1/fds/4/elements/u32:${i}`, { value });
      if (answer.fate === "done") {
        operations += 1;
        continue;
      }
      hits += 1;
      if (!/ENOMEM/.test(describeAnswer(answer))) problems.push(describeAnswer(answer));
      for (const path of ["/v1/fds/3", "/v1/session"]) {
        operations += (await insist(() => client.get(path))) ? 1 : 0;
      }
      operations += (await insist(() => client.post("/v1/session/renew"))) ? 1 : 0;
    }
    await insist(() => client.del("/v1/session"));
    await redis.call("CONFIG", "SET", "maxmemory", 0);
    problems.push(...(await checkWorld({ bases, namespaces, storage })));
    return { hits, operations, figures: "507 ENOMEM, everything freed at the end", problems };
  },
};

export const REDIS_SETTINGS = [evicting, readOnly, full];
