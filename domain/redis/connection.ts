import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";

/** Connections to Redis of each kind: one server, sentinels, a cluster. */

export type Connection = Redis | Cluster;

type Scripts = NonNullable<ClusterOptions["scripts"]>;

/** A call is sent once or not at all, and fails at once when there is no connection. */
const ONCE = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
} satisfies RedisOptions;

/**
 * `redis://`, `rediss://`, `unix:///path`, `redis+sentinel://host:port,host:port/group` or
 * `redis+cluster://host:port,host:port`.
 *
 * @param deadline ms that a call may take.
 */
export function open(url: string, scripts: Scripts, deadline: number): Connection {
  const retryStrategy = (tries: number) => Math.min(50 * tries, 1000);
  // A connection that has gone silent is given up: a partition tells nobody.
  const once = { ...ONCE, connectTimeout: 2 * deadline, socketTimeout: 2 * deadline };
  const options = { ...once, retryStrategy, enableAutoPipelining: true, scripts };
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
    clusterRetryStrategy: retryStrategy,
    scripts,
    redisOptions: { ...once, ...login },
  });
}

/** A connection to hear messages on, apart from that of the commands; a cluster's client has its own. */
export function connectSubscriber(redis: Connection): Connection {
  if (!(redis instanceof Redis)) return redis;
  const subscriber = redis.duplicate({ enableAutoPipelining: false, autoResubscribe: false });
  redis.once("end", () => subscriber.disconnect());
  return subscriber;
}
