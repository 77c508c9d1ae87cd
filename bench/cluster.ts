import { rootOf } from "./direct.ts";
import { type LoadSample, rounds, wrk } from "./load.ts";
import { type BenchOperation, furnish, operations } from "./operations.ts";
import { type BenchProcess, stop } from "./processes.ts";
import { type RedisServer, startCluster, startTcpRedis } from "./redis_servers.ts";
import { newSession, startService } from "./world.ts";

/**
 * Measures a service on a cluster of three masters beside one on a single server, with the same load on
 * the same namespaces, which are spread evenly over the masters.
 */

export const CLUSTER = "three masters";
export const SINGLE = "one server";
export const NAMESPACES = 12;
const OPERATIONS = ["lookup", "update", "obj_get + close"];
const ROUNDS = 6;

/** Operation -> contender -> rounds. */
export type Clusters = Record<string, Record<string, LoadSample[]>>;

interface Side {
  service: BenchProcess;
  servers: RedisServer[];
  /** The tokens of a session in each namespace, separated by commas. */
  tokens: string;
  list: BenchOperation[];
}

/** Returns names of namespaces, the same number for each master. */
async function evenNames({ client }: RedisServer, masters: number): Promise<string[]> {
  const names: string[][] = Array.from({ length: masters }, () => []);
  for (let i = 0; names.flat().length < NAMESPACES; i++) {
    const name = `cluster-${i}`;
    const slot = Number(await client.call("CLUSTER", "KEYSLOT", rootOf(name)));
    const some = names[Math.floor((slot * masters) / 16384)];
    if (some && some.length < NAMESPACES / masters) some.push(name);
  }
  return names.flat();
}

/** @throws unless all namespaces have the same fd, because the load uses one fd for all. */
async function side(url: string, servers: RedisServer[], names: string[]): Promise<Side> {
  const service = await startService({ url });
  const tokens: string[] = [];
  const fds = new Set<number>();
  for (const name of names) {
    const token = await newSession(service.base, name);
    fds.add(await furnish(service.base, token));
    tokens.push(token);
  }
  const [fd = 0] = fds;
  if (fds.size > 1) throw new Error("namespaces of the cluster are not furnished alike");
  const list = await operations(service.base, tokens[0] ?? "", fd);
  return { service, servers, tokens: tokens.join(","), list };
}

function load({ service, servers, tokens, list }: Side, operation: string) {
  const { requests = [] } = list.find(({ name }) => name === operation) ?? {};
  const redis = servers.map(({ pid }, i) => [`redis ${i}`, pid] as const);
  const watched = { server: service.pid, ...Object.fromEntries(redis) };
  return () => wrk({ base: service.base, token: tokens, requests, seconds: 1, watched });
}

export async function cluster(say: (line: string) => void): Promise<Clusters> {
  say("a cluster of three masters");
  const several = await startCluster("cluster");
  const single = await startTcpRedis("single");
  const names = await evenNames(several.masters[0] as RedisServer, several.masters.length);
  const sides = {
    [CLUSTER]: await side(several.url, several.masters, names),
    [SINGLE]: await side(single.url, [single], names),
  };
  const measured: Clusters = {};
  for (const operation of OPERATIONS) {
    const contenders = Object.entries(sides).map(([name, one]) => [name, load(one, operation)]);
    measured[operation] = await rounds(ROUNDS, Object.fromEntries(contenders));
  }
  for (const { service } of Object.values(sides)) await stop(service);
  await several.stop();
  await single.stop();
  return measured;
}
