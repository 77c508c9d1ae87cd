import { Cluster, Command, Redis, type RedisOptions } from "ioredis";
import { Unavailable } from "../errno.ts";
import type { Argument, RedisValue } from "./redis_value.ts";
import { keepPipelinesWhole } from "./whole_pipelines.ts";

/** Connects to Redis: one server, sentinels or a cluster. */

export type Connection = Redis | Cluster;

/** One server of a cluster, or the only one. */
export type Master = Redis;

/** A call is sent once or not at all, and fails at once when there is no connection. */
const ONCE = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
} satisfies RedisOptions;

/**
 * A call that a cluster rejects while slots move is sent again a few times, well within its deadline.
 * ioredis redirects a pipeline only as a whole; the rest needs a new map of the slots.
 */
const REFUSED = {
  maxRedirections: 5,
  retryDelayOnTryAgain: 20,
  retryDelayOnClusterDown: 20,
  slotsRefreshInterval: 5000,
};

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
    // A master that a partition hides from the sentinels still answers; their message ends its connection.
    const sentinel = { sentinels: nodes, name: group, failoverDetector: true };
    return new Redis({ ...options, ...login, ...sentinel });
  }
  const cluster = new Cluster(nodes, {
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    retryDelayOnFailover: 0,
    ...REFUSED,
    clusterRetryStrategy: retryStrategy,
    redisOptions: { ...once, ...login },
  });
  return keepPipelinesWhole(cluster);
}

/** Calls a function without the pipeline, which would copy long calls that are under way into one piece. */
export async function fcallByItself(
  redis: Connection,
  name: string,
  keys: number,
  words: readonly Argument[],
): Promise<RedisValue[]> {
  const command = new Command("fcall", [name, keys, ...words], { replyEncoding: null });
  return redis.sendCommand(command) as Promise<RedisValue[]>;
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

const CONNECT_MS = 2000;

/** Connects a node, because the cluster client connects one only at its first command. */
function connectMaster(master: Master): Promise<Master> {
  if (master.status === "ready") return Promise.resolve(master);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => settle(new Error(`no answer within ${CONNECT_MS} ms`)),
      CONNECT_MS,
    );
    const onReady = () => settle();
    const onEnd = () => settle(new Error("the connection ended"));
    function settle(error?: Error): void {
      clearTimeout(timer);
      master.off("ready", onReady).off("end", onEnd);
      if (error) reject(error);
      else resolve(master);
    }
    master.on("ready", onReady).on("end", onEnd);
    if (master.status === "wait") master.connect().catch(settle);
  });
}

/** The masters that can be reached. @throws Unavailable when none can. */
export async function mastersOf(redis: Connection): Promise<Master[]> {
  const masters = redis instanceof Cluster ? redis.nodes("master") : [redis];
  const results = await Promise.allSettled(masters.map(connectMaster));
  const reached = results.flatMap((result) =>
    result.status === "fulfilled" ? [result.value] : [],
  );
  if (reached.length === 0) throw new Unavailable("no master of Redis can be reached");
  return reached;
}

/** The nodes of each slot of a cluster, its master first; undefined for a Redis without slots. */
export function slotTable(redis: Connection): readonly string[][] | undefined {
  return redis instanceof Cluster ? redis.slots : undefined;
}

/** Reads again from a cluster which master has which slots. */
export function refreshSlots(redis: Connection): Promise<void> {
  if (!(redis instanceof Cluster)) return Promise.resolve();
  return new Promise((resolve) => redis.refreshSlotsCache(() => resolve()));
}

/** A separate connection for messages; the cluster client already has one of its own. */
export function connectSubscriber(redis: Connection): Connection {
  if (!(redis instanceof Redis)) return redis;
  const subscriber = redis.duplicate({ enableAutoPipelining: false, autoResubscribe: false });
  redis.once("end", () => subscriber.disconnect());
  return subscriber;
}
