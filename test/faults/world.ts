import { startCluster, type TestCluster } from "../support/cluster.ts";
import { type RedisProcess, startRedisServer } from "../support/redis_servers.ts";
import type { RedisClient } from "../support/stored.ts";
import { type Replica, startReplicas } from "./replicas.ts";
import type { FaultForm } from "./scenario.ts";

/** The servers and replicas that scenarios use one after another; a scenario that fails gets no successor. */

export interface Storage {
  url: string;
  /** A connection to the Redis that has the namespace. */
  redisOf(namespace: string): Promise<RedisClient>;
  /** A connection to each master that answers. */
  masters(): Promise<RedisClient[]>;
  stop(): Promise<void>;
}

export class FaultWorld {
  readonly storage: Storage;
  readonly replicas: readonly Replica[];

  constructor(storage: Storage, replicas: readonly Replica[]) {
    this.storage = storage;
    this.replicas = replicas;
  }

  get bases(): readonly string[] {
    return this.replicas.map(({ base }) => base);
  }

  async stop(): Promise<void> {
    await Promise.all(this.replicas.map((replica) => replica.stop()));
    await this.storage.stop();
  }
}

export class RedisWorld extends FaultWorld {
  readonly redis: RedisProcess;

  constructor(redis: RedisProcess, replicas: readonly Replica[]) {
    super(
      {
        url: redis.url,
        redisOf: () => redis.client(),
        masters: async () => [await redis.client()],
        stop: () => redis.stop(),
      },
      replicas,
    );
    this.redis = redis;
  }
}

export class ClusterWorld extends FaultWorld {
  readonly cluster: TestCluster;

  constructor(cluster: TestCluster, replicas: readonly Replica[]) {
    super(
      {
        url: cluster.url,
        redisOf: (namespace) => cluster.clientOf(namespace),
        masters: () => cluster.clients(),
        stop: () => cluster.stop(),
      },
      replicas,
    );
    this.cluster = cluster;
  }
}

/** Programs may be checked and may run for longer than sessions of the scenarios live. */
const LONG_WORK = { PROG_COMPLEXITY: "1000000000", RUN_LIMIT_MS: "60000" };
/** Every acknowledged write is on the disk. */
const DURABLE = ["--appendonly", "yes", "--appendfsync", "always"];
const started = new Map<string, Promise<FaultWorld>>();

function shared<World extends FaultWorld>(name: string, start: () => Promise<World>) {
  const world = started.get(name) ?? start();
  started.set(name, world);
  return world as Promise<World>;
}

/** One durable Redis and two replicas of the service. */
export const redisWorld = () =>
  shared("redis", async () => {
    const redis = await startRedisServer(...DURABLE);
    return new RedisWorld(redis, await startReplicas(redis.url, 2, LONG_WORK));
  });

/** Three durable masters, a replica of each, and two replicas of the service. */
export const clusterWorld = () =>
  shared("cluster", async () => {
    const cluster = await startCluster({ masters: 3, replicas: 1, settings: DURABLE });
    return new ClusterWorld(cluster, await startReplicas(cluster.url, 2));
  });

/**
 * For what is measured: in the full form a Redis without a disk and one replica that has served nothing else,
 * in the short form the shared ones.
 */
export async function quietWorld<T>(
  form: FaultForm,
  use: (world: RedisWorld) => Promise<T>,
): Promise<T> {
  if (form === "short") return use(await redisWorld());
  const redis = await startRedisServer();
  const world = new RedisWorld(redis, await startReplicas(redis.url, 1));
  try {
    return await use(world);
  } finally {
    await world.stop();
  }
}

/** Stops the shared worlds; the next scenario starts new ones. */
export async function stopWorlds(): Promise<void> {
  const worlds = await Promise.allSettled(started.values());
  started.clear();
  await Promise.all(
    worlds.map((world) => (world.status === "fulfilled" ? world.value.stop() : {})),
  );
}
