import { setTimeout as delay } from "node:timers/promises";
import { startCluster, type TestCluster } from "../../support/cluster.ts";
import { leftKeys } from "../../support/left_keys.ts";
import { insist, openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import { startReplicas } from "../replicas.ts";
import type { FaultScenario } from "../scenario.ts";

/** A master is away: namespaces of the others are made, swept and forgotten meanwhile. */

const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const TTL = 1000;
/** ttl + 10 % + 1 s, and as much again for a machine under load. */
const SWEPT_MS = 2 * (TTL * 1.1 + 1000) + 3000;
const MASTERS = 3;

/** Names of namespaces that live on another master than the one. */
async function namesElsewhere(cluster: TestCluster, away: unknown, count: number) {
  const found: string[] = [];
  while (found.length < count) {
    const [name = ""] = newNamespaces(1);
    if ((await cluster.masterOf(name)) !== away) found.push(name);
  }
  return found;
}

async function untilSwept(cluster: TestCluster, namespace: string): Promise<string[]> {
  const redis = await cluster.clientOf(namespace);
  for (const end = performance.now() + SWEPT_MS; ; await delay(50)) {
    const left = await leftKeys(redis, namespace);
    if (left.length === 0) return [];
    if (performance.now() > end) {
      return [`${namespace} was not swept while another master was away: ${left.length} keys`];
    }
  }
}

const awayMaster: FaultScenario = {
  name: "registry",
  fault: "each master of a cluster away in turn while idle namespaces of the others are due",
  lane: "own",
  least: { short: { hits: 1, operations: 4 }, full: { hits: 3, operations: 30 } },
  async run(form) {
    const cluster = await startCluster({
      settings: ["--cluster-require-full-coverage", "no", "--appendonly", "yes"],
    });
    const replicas = await startReplicas(cluster.url, 1);
    const bases = replicas.map(({ base }) => base);
    const problems: string[] = [];
    let [hits, operations] = [0, 0];
    const count = form === "short" ? 2 : 5;
    for (const master of cluster.nodes.slice(0, form === "short" ? 1 : MASTERS)) {
      const before = await namesElsewhere(cluster, master, count);
      const during = await namesElsewhere(cluster, master, count);
      const open = async (namespace: string) => {
        const { client } = await openSession(bases, namespace, { ttl_ms: TTL });
        await insist(() => client.post("/v1/maps", HASH));
        operations += 1;
      };
      for (const namespace of before) await open(namespace);
      await master.kill();
      hits += 1;
      for (const namespace of during) await open(namespace);
      for (const namespace of [...before, ...during]) {
        problems.push(...(await untilSwept(cluster, namespace)));
      }
      await master.start();
      await cluster.untilFormed();
    }
    await Promise.all(replicas.map((replica) => replica.stop()));
    await cluster.stop();
    return { hits, operations, figures: `${operations} idle namespaces swept`, problems };
  },
};

export const REGISTRY = [awayMaster];
