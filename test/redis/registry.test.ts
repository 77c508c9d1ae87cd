import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { type Running, startService } from "../../api/service.ts";
import { createKernel, type Kernel } from "../../domain/bpf.ts";
import { keysOf } from "../../domain/redis/anchors.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { WAIT } from "../support/patience.ts";
import { type RedisProcess, until } from "../support/redis_servers.ts";
import { Client, type TestReply, TestSession } from "../support/service.ts";

/** Each master of a cluster registers its own namespaces, while others are away and after slots have moved. */

const TEST_MS = 120_000;
const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };

let cluster: TestCluster;
let service: Running;
let kernel: Kernel;
let client: Client;

beforeAll(async () => {
  // A master without replicas that is away takes its own slots alone.
  const settings = ["--cluster-require-full-coverage", "no"];
  cluster = await startCluster({ masters: 3, nodeTimeout: 60_000, settings });
  const config = readConfig({ PORT: "0" });
  const secret = Buffer.alloc(32, 9);
  service = await startService(config, cluster.url, secret, () => {});
  client = new Client(`http://127.0.0.1:${service.address.port}`);
  kernel = createKernel(cluster.url, secret);
  await kernel.script.ready();
}, TEST_MS);

afterAll(async () => {
  kernel?.disconnect();
  await service?.stop();
  await cluster?.stop();
});

/** A namespace of each master, by the port of the master. */
async function namespaceOn(port: number, name: string): Promise<string> {
  for (let n = 0; ; n++) {
    const namespace = `${name}-${n}`;
    const owner = await cluster.masterOf(namespace);
    if (owner.port === port) return namespace;
  }
}

const create = (namespace: string, ttl_ms: number): Promise<TestReply> =>
  client.post("/v1/sessions", { namespace, ttl_ms });

/** Makes a session that nobody uses again, with a map. While the cluster changes, nothing may be done at first. */
async function leave(namespace: string, ttl_ms: number): Promise<void> {
  const body = await vi.waitFor(async () => {
    const created = await create(namespace, ttl_ms);
    expect(created.status, JSON.stringify(created.body)).toBe(201);
    return created.body;
  }, WAIT);
  expect((await new TestSession(client.base, body).post("/v1/maps", HASH)).status).toBe(201);
}

/** Asks the servers but `away`, because one that stands still does not answer. */
async function untilSwept(namespace: string, away?: RedisProcess): Promise<void> {
  const nodes = cluster.nodes.filter((node) => node !== away);
  const pattern = `bpf:{${namespace}}:*`;
  await vi.waitFor(async () => {
    const lists = await Promise.all(nodes.map((node) => node.call("KEYS", pattern)));
    const keys = (lists as string[][]).flat();
    expect(keys.filter((key) => !/:meta$|:ended:\d+$/.test(key))).toEqual([]);
  }, WAIT);
}

describe("a master that is away", () => {
  it(
    "the others register namespaces and end sessions, and nothing is done on the one",
    async () => {
      const [away, ...others] = await cluster.masters();
      if (!away) throw new Error("no master");
      const lost = await namespaceOn(away.port, "lost");
      const here = await Promise.all(others.map(({ port }) => namespaceOn(port, "here")));
      away.signal("SIGSTOP");
      try {
        for (const namespace of here) {
          await leave(namespace, 1000);
          await untilSwept(namespace, away);
        }
        const { status, body } = await create(lost, 1000);
        expect([status, body.type]).toEqual([503, "/docs/errors/unavailable"]);
      } finally {
        away.signal("SIGCONT");
      }
      await until(
        "the master is used again",
        async () => (await create(lost, 1000)).status === 201,
      );
      await untilSwept(lost);
    },
    TEST_MS,
  );
});

describe("slots that move", () => {
  it(
    "a namespace is swept that was registered at an anchor which has moved away",
    async () => {
      const [master] = await cluster.masters();
      const namespace = await namespaceOn(master?.port ?? 0, "anchored");
      const anchor = kernel.script.anchors.registryOf(namespace);
      await leave(namespace, 4000);
      const target = await cluster.moveSlot(anchor.slot);
      expect(target).not.toBe(master);
      await untilSwept(namespace);
      await until("nothing is left at the anchor", async () => {
        const names = await target.call("ZRANGE", keysOf(anchor)[2], 0, -1);
        return (names as string[]).length === 0;
      });
    },
    TEST_MS,
  );

  it(
    "a master without an anchor has its namespaces registered on another, and they are swept",
    async () => {
      const [master] = await cluster.masters();
      if (!master) throw new Error("no master");
      const namespace = await namespaceOn(master.port, "small");
      for (const { slot } of kernel.script.anchors.all()) {
        if ((await cluster.ownerOf(slot)) === master) await cluster.moveSlot(slot);
      }
      expect((await cluster.masterOf(namespace)).port).toBe(master.port);
      await leave(namespace, 1000);
      const { namespaces } = (await client.get("/v1/namespaces?limit=200")).body;
      expect(namespaces).toContainEqual(expect.objectContaining({ name: namespace }));
      await untilSwept(namespace);
    },
    TEST_MS,
  );
});
