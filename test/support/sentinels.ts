import { type RedisProcess, startRedisServer, startSentinel, until } from "./redis_servers.ts";

/** A master with replicas that three sentinels watch, whose master can be replaced. This file needs no test runner. */

const SENTINELS = 3;
const QUORUM = 2;
const DOWN_AFTER_MS = 1000;
/** A sentinel begins no failover within twice this time of another one. */
const FAILOVER_MS = 3000;
const SETTLED_MS = 60_000;

export interface SentinelGroupOptions {
  /** Replicas that a master needs for a write; 0 for none. */
  minReplicas?: number;
  replicas?: number;
}

export class SentinelGroup {
  readonly #servers: readonly RedisProcess[];
  readonly #sentinels: readonly RedisProcess[];

  constructor(servers: readonly RedisProcess[], sentinels: readonly RedisProcess[]) {
    this.#servers = servers;
    this.#sentinels = sentinels;
  }

  get url(): string {
    const hosts = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return `redis+sentinel://${hosts}/group`;
  }

  /** The master, by the word of all sentinels. */
  async master(): Promise<RedisProcess> {
    let found: RedisProcess | undefined;
    await until("the sentinels agree on the master", async () => {
      const ports = await Promise.all(this.#sentinels.map(portOfMaster));
      found = this.#servers.find(({ port }) => ports.every((one) => one === port));
      return found !== undefined;
    });
    return found as RedisProcess;
  }

  /** Resolves when the sentinels know all servers and every replica is in sync with the master. */
  async untilInSync(): Promise<void> {
    const isInSync = async () => {
      const info = String(await (await this.master()).call("INFO", "replication"));
      const online = info.match(/state=online/g)?.length ?? 0;
      const texts = await Promise.all(this.#sentinels.map((one) => one.call("INFO", "sentinel")));
      const known = `status=ok,.*slaves=${this.#servers.length - 1},sentinels=${SENTINELS}`;
      const isKnown = texts.every((text) => new RegExp(known).test(String(text)));
      return isKnown && online === this.#servers.length - 1;
    };
    await until("every replica is in sync", isInSync, SETTLED_MS);
  }

  /** Begins to replace a master that lives. */
  async beginFailover(): Promise<void> {
    await this.#sentinels[0]?.call("SENTINEL", "FAILOVER", "group");
  }

  /** Resolves when the sentinels agree on another master than `former`. */
  async untilReplaced(former: RedisProcess): Promise<void> {
    const isReplaced = async () => (await this.master()) !== former;
    await until("another server is the master", isReplaced, SETTLED_MS);
  }

  async stop(): Promise<void> {
    for (const server of [...this.#sentinels, ...this.#servers]) await server.stop();
  }
}

async function portOfMaster(sentinel: RedisProcess): Promise<number> {
  const address = await sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "group");
  return Number((address as string[])[1]);
}

/** Starts the servers and the sentinels, and waits until they know each other. */
export async function startSentinelGroup(
  options: SentinelGroupOptions = {},
): Promise<SentinelGroup> {
  const { minReplicas = 0, replicas = 2 } = options;
  const settings = ["--appendonly", "yes", "--min-replicas-to-write", String(minReplicas)];
  const master = await startRedisServer(...settings);
  const replicaOf = ["--replicaof", `127.0.0.1 ${master.port}`];
  const others = Array.from({ length: replicas }, () =>
    startRedisServer(...settings, ...replicaOf),
  );
  const servers = [master, ...(await Promise.all(others))];
  const timing = { quorum: QUORUM, downAfter: DOWN_AFTER_MS, failoverTimeout: FAILOVER_MS };
  const watching = Array.from({ length: SENTINELS }, () => startSentinel(master.port, timing));
  const group = new SentinelGroup(servers, await Promise.all(watching));
  await group.untilInSync();
  return group;
}
