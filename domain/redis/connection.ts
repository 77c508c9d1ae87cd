import { once } from "node:events";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { Unavailable } from "../errno.ts";

/** Connections to Redis of each kind: one server, sentinels, a cluster. */

export type Connection = Redis | Cluster;

/** One server of a cluster, or the only one. */
export type Master = Redis;

/** A call is sent once or not at all, and fails at once when there is no connection. */
const ONCE = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
} satisfies RedisOptions;

/** What a cluster refuses while slots move is sent again a few times, well within a call's deadline. */
const REFUSED = { maxRedirections: 5, retryDelayOnTryAgain: 20, retryDelayOnClusterDown: 20 };

/**
 * `redis://`, `rediss://`, `unix:///path`, `redis+sentinel://host:port,host:port/group` or
 * `redis+cluster://host:port,host:port`.
 *
 * @param deadline ms that a call may take.
 */
export function connect(url: string, deadline: number): Connection {
  const retryStrategy = (tries: number) => Math.min(50 * tries, 1000);
  // A connection that has gone silent is given up: a partition tells nobody.
  const once = { ...ONCE, connectTimeout: 2 * deadline, socketTimeout: 2 * deadline };
  const options = { ...once, retryStrategy, enableAutoPipelining: true };
  const special = /^redis\+(sentinel|cluster):\/\/(?:([^:@]*):([^@]*)@)?([^/]+)(?:\/(.*))?$/.exec(
    url,
  );
  if (!special) {
    return url.startsWith("unix://")
      ? new Redis({ ...options, path: url.slice("unix://".length) })
      : new Redis(url, options);
  }
  const [, kind, username, password, hosts = "", group = ""] = special;
  const nodes = hosts.split(",").map((text) => {
    const [, host = text, port = ""] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
    return { host, port: Number(port) || (kind === "sentinel" ? 26379 : 6379) };
  });
  const login = password ? { ...(username ? { username } : {}), password } : {};
  if (kind === "sentinel") {
    return new Redis({ ...options, ...login, sentinels: nodes, name: group });
  }
  return new Cluster(nodes, {
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    retryDelayOnFailover: 0,
    ...REFUSED,
    clusterRetryStrategy: retryStrategy,
    redisOptions: { ...once, ...login },
  });
}

export const READY_MS = 10_000;

/** Resolves at the first connection. @throws Unavailable when there is none for ten seconds. */
export function connected(redis: Connection): Promise<void> {
  if (redis.status === "ready") return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      redis.disconnect();
      reject(new Unavailable("no connection to Redis within 10 s"));
    }, READY_MS);
    redis.once("ready", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Every master, connected. A cluster's client connects to a node at its first command only. */
export async function mastersOf(redis: Connection): Promise<Master[]> {
  const masters = redis instanceof Cluster ? redis.nodes("master") : [redis];
  await Promise.all(
    masters.map(async (master) => {
      if (master.status === "wait") await master.connect();
      else if (master.status !== "ready") await once(master, "ready");
    }),
  );
  return masters;
}

/** A connection to hear messages on, apart from that of the commands; a cluster's client has its own. */
export function connectSubscriber(redis: Connection): Connection {
  if (!(redis instanceof Redis)) return redis;
  const subscriber = redis.duplicate({ enableAutoPipelining: false, autoResubscribe: false });
  redis.once("end", () => subscriber.disconnect());
  return subscriber;
}
