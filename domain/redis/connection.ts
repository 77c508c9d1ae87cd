import { Cluster, Redis, type RedisOptions } from "ioredis";
import { Unavailable } from "../errno.ts";
import { keepConnecting } from "./sentinel_reconnect.ts";

/** Connects to Redis: one server, sentinels or a cluster. */

export type Connection = Redis | Cluster;

/** One server of a cluster, or the only one. */
export type Master = Redis;

export const isCluster = (redis: Connection): redis is Cluster => redis instanceof Cluster;

/** A call is sent once or not at all, and fails at once when there is no connection. */
const ONCE = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
} satisfies RedisOptions;

/** ms after which the cluster client reads by itself which master has which slots. */
const SLOTS_REFRESH_MS = 5000;

/**
 * `redis://`, `rediss://`, `unix:///path`, `redis+sentinel://host:port,host:port/group` or
 * `redis+cluster://host:port,host:port`.
 *
 * @param deadline ms that a call may take.
 */
export function connect(url: string, deadline: number): Connection {
  const retryStrategy = (tries: number) => Math.min(50 * tries, 1000);
  // A silent connection is closed, because a network partition raises no error.
  const once = { ...ONCE, connectTimeout: 2 * deadline, socketTimeout: 2 * deadline };
  const options = { ...once, retryStrategy };
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
    // A master that a partition hides from the sentinels still answers; their message ends its connection.
    const sentinelCommandTimeout = 2 * deadline;
    const sentinel = {
      sentinels: nodes,
      name: group,
      failoverDetector: true,
      sentinelCommandTimeout,
    };
    return keepConnecting(new Redis({ ...options, ...login, ...sentinel, lazyConnect: true }));
  }
  return new Cluster(nodes, {
    enableOfflineQueue: false,
    retryDelayOnFailover: 0,
    slotsRefreshInterval: SLOTS_REFRESH_MS,
    slotsRefreshTimeout: Math.ceil(deadline / 4),
    clusterRetryStrategy: retryStrategy,
    redisOptions: { ...once, ...login },
  });
}

export const READY_MS = 10_000;

/** Resolves at the first connection. @throws Unavailable after ten seconds without one. */
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

/** A separate connection for messages; the cluster client already has one of its own. */
export function connectSubscriber(redis: Connection): Connection {
  if (!(redis instanceof Redis)) return redis;
  const subscriber = redis.duplicate({ autoResubscribe: false });
  redis.once("end", () => subscriber.disconnect());
  if (subscriber.options.sentinels) keepConnecting(subscriber);
  return subscriber;
}
