import { afterAll, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { startService } from "../../api/service.ts";
import { createKernel } from "../../domain/bpf.ts";
import { Unavailable } from "../../domain/errno.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { DEADLINE_MS, PATIENT, WAIT } from "../support/patience.ts";
import { type RedisProcess, startRedisServer, startSentinel } from "../support/redis_servers.ts";
import { readerOf } from "../support/ring_fixture.ts";
import { Client, TestSession } from "../support/service.ts";

/** The service on a Redis Cluster of three masters, and behind a Sentinel. */

const servers: Pick<RedisProcess, "stop">[] = [];
const TEST_MS = 180_000;
const FOREVER_MS = 600_000;
const ARRAY = { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 8 };
const PROG = { prog_type: "xdp", insns: RETURN_ZERO_HEX, license: "GPL" };
const RINGBUF = {
  ...{ map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 },
  ...{ map_flags: 0, map_name: "", map_extra: "0" },
};
const ROOT = {
  ...{ label: "", ttl_ms: FOREVER_MS, uid: 0, gid: 0, groups: [], umask: 0o022, nofile: 1024 },
  capabilities: "*" as const,
};
const NAMESPACES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];

afterAll(async () => {
  for (const server of servers) await server.stop();
});

/** Opens a session that ends when no request uses its token for `ttl_ms`. */
async function openSession(base: string, namespace: string, ttl_ms: number): Promise<TestSession> {
  const { status, body } = await new Client(base).post("/v1/sessions", { namespace, ttl_ms });
  expect(status, JSON.stringify(body)).toBe(201);
  return new TestSession(base, body);
}

/** Pins, forks, tail calls, an expiry and its sweep, in every namespace at once. */
async function useNamespace(base: string, namespace: string): Promise<void> {
  const observer = await openSession(base, namespace, FOREVER_MS);
  const loader = await openSession(base, namespace, FOREVER_MS);
  expect((await loader.post("/v1/maps", ARRAY)).body).toEqual({ fd: 3, id: 1 });
  expect((await loader.post("/v1/progs", PROG)).status).toBe(201);
  expect((await loader.put("/v1/fds/3/elements/u32:0", { value: { fd: 4 } })).status).toBe(204);
  expect((await loader.put("/v1/fs?path=/jmp", { type: "pin", fd: 3 })).status).toBe(201);
  const child = loader.as((await loader.post("/v1/session/fork")).body);
  expect((await child.get("/v1/fds/3/elements/u32:0")).body.value).toEqual({ id: 1 });
  expect((await child.post("/v1/maps", { ...ARRAY, map_name: "gone" })).status).toBe(201);
  expect((await observer.post("/v1/fds", { path: "/jmp" })).body.id).toBe(1);
  // Short only now: on a loaded machine a second can pass between two requests.
  for (const session of [loader, child]) {
    expect((await session.patch("/v1/session", { ttl_ms: 1000 })).status).toBe(200);
  }
  const sessions = async () => (await observer.get("/v1/sessions")).body.sessions.length;
  await vi.waitFor(async () => expect(await sessions()).toBe(1), WAIT);
  expect((await observer.get("/v1/maps/2")).status).toBe(404);
  expect((await observer.get("/v1/fds/3/elements/u32:0")).body.value).toEqual({ id: 1 });
  expect((await observer.del("/v1/fs?path=/jmp")).status).toBe(204);
  expect((await observer.del("/v1/session")).status).toBe(204);
}

/** Leaves sessions and maps to expire with no further command: only the sweeper can release them. */
async function expectSwept(base: string, count: () => Promise<number>): Promise<void> {
  const before = await count();
  for (const namespace of NAMESPACES) {
    const session = await openSession(base, namespace, FOREVER_MS);
    expect((await session.post("/v1/maps", ARRAY)).status).toBe(201);
    expect((await session.patch("/v1/session", { ttl_ms: 1000 })).status).toBe(200);
  }
  await vi.waitFor(async () => expect(await count()).toBe(before), WAIT);
}

/** The index of namespaces is on one master, each namespace on its own. */
async function expectListedAndDeleted(base: string): Promise<void> {
  const client = new Client(base);
  const names = async () => {
    const { namespaces } = (await client.get("/v1/namespaces")).body;
    return namespaces.map(({ name }: { name: string }) => name);
  };
  for (const namespace of NAMESPACES) {
    const session = await openSession(base, namespace, FOREVER_MS);
    expect((await session.post("/v1/maps", ARRAY)).status).toBe(201);
    expect((await session.put("/v1/fs?path=/jmp", { type: "pin", fd: 3 })).status).toBe(201);
  }
  const wanted = expect.arrayContaining(NAMESPACES);
  await vi.waitFor(async () => expect(await names()).toEqual(wanted), WAIT);
  expect(await names()).toEqual([...(await names())].sort());
  for (const namespace of NAMESPACES) {
    expect((await client.del(`/v1/namespaces/${namespace}`)).status).toBe(204);
    expect((await client.get(`/v1/namespaces/${namespace}`)).status).toBe(404);
  }
  expect(await names()).not.toEqual(expect.arrayContaining([expect.stringMatching(/eta$/)]));
}

/** A message wakes the reader of a ring buffer, whichever node its namespace lives on. */
async function expectWoken(url: string, namespace: string): Promise<void> {
  const kernel = createKernel(url, Buffer.alloc(32, 9), { deadline: DEADLINE_MS });
  await kernel.script.ready();
  kernel.wake.period = 3_600_000;
  const nobody = { namespace, sid: "", hash: "", record: "", fingerprint: "" };
  const { token } = await kernel.sessionCreate(nobody, ROOT);
  const call = { ...nobody, ...kernel.tokens.read(token) };
  const { fd } = await kernel.mapCreate(call, RINGBUF);
  const { channel } = await kernel.ringRead(call, { fd }, undefined, 1);
  const waiter = kernel.wake.open(readerOf(namespace, channel));
  await waiter.sleep();
  for (let n = 1; n <= 3; n++) {
    await kernel.ringOutput(call, fd, [Buffer.alloc(n)], 0);
    await waiter.sleep();
    expect((await kernel.ringRead(call, { fd }, 16 * (n - 1), 1)).records).toHaveLength(1);
  }
  waiter.close();
  await kernel.exit(call);
  kernel.script.redis.disconnect();
}

async function keysOn(nodes: readonly RedisProcess[], pattern: string): Promise<string[]> {
  const lists = await Promise.all(nodes.map((node) => node.call("KEYS", pattern)));
  return (lists as string[][]).flat().sort();
}

async function expectService(url: string, nodes: readonly RedisProcess[]): Promise<void> {
  const errors: string[] = [];
  const log = (level: string, message: string) => level === "error" && errors.push(message);
  const config = readConfig({ ...PATIENT, PORT: "0", REDIS_URL: url });
  const { address, stop } = await startService(config, url, Buffer.alloc(32, 9), log);
  const base = `http://127.0.0.1:${address.port}`;
  try {
    expect((await new Client(base).get("/readyz")).status).toBe(200);
    await Promise.all(NAMESPACES.map((namespace) => useNamespace(base, namespace)));
    await Promise.all(NAMESPACES.map((namespace) => expectWoken(url, namespace)));
    await expectListedAndDeleted(base);
    await expectSwept(base, async () => (await keysOn(nodes, "bpf:*:ids:*")).length);
  } finally {
    await stop();
  }
  expect(errors).toEqual([]);
}

/**
 * Moves a slot from one master to another. Redis runs nothing of the namespace while no key, some keys or
 * all keys are moved; it runs again as soon as the new owner has the slot.
 */
async function expectStillWhileMoved(cluster: TestCluster): Promise<void> {
  const kernel = createKernel(cluster.url, Buffer.alloc(32, 9), { deadline: DEADLINE_MS });
  await kernel.script.ready();
  const nobody = { namespace: "moving", sid: "", hash: "", record: "", fingerprint: "" };
  const { token } = await kernel.sessionCreate(nobody, ROOT);
  const call = { ...nobody, ...kernel.tokens.read(token) };
  const { fd } = await kernel.mapCreate(call, RINGBUF);
  const others = await Promise.all(
    ["one", "two", "three"].map(async (namespace) => {
      const made = await kernel.sessionCreate({ ...nobody, namespace }, ROOT);
      return { ...nobody, ...kernel.tokens.read(made.token) };
    }),
  );
  const before = await keysOn(cluster.nodes, "bpf:{moving}:*");
  const slot = await cluster.slotOf("moving");
  const owner = await cluster.moveSlot(slot, async (done) => {
    if (done === "assigned") return;
    const failed = await kernel.dup(call, fd).catch((error: Error) => error);
    expect(failed).toBeInstanceOf(Unavailable);
    expect(await keysOn(cluster.nodes, "bpf:{moving}:*")).toEqual(before);
  });
  // The new owner has lost its functions, as one that has just joined never had them.
  await owner.call("FUNCTION", "FLUSH");
  // Sent together with calls of namespaces that stay, so that the client redirects none of them.
  const [copy] = await Promise.all([
    kernel.dup(call, fd),
    ...others.map((other) => kernel.sessionGet(other)),
  ]);
  expect(copy.fd).toBe(fd + 1);
  for (const other of others) await kernel.exit(other);
  expect((await kernel.fdList(call, { limit: 10 })).fds).toHaveLength(2);
  await kernel.exit(call);
  kernel.disconnect();
}

/** Kills a master that has no replica: nothing is sent to it, so nothing is unknown. */
async function expectUnavailableWhileAway(cluster: TestCluster): Promise<void> {
  const kernel = createKernel(cluster.url, Buffer.alloc(32, 9), { deadline: DEADLINE_MS });
  await kernel.script.ready();
  const nobody = { namespace: "away", sid: "", hash: "", record: "", fingerprint: "" };
  const { token } = await kernel.sessionCreate(nobody, ROOT);
  const call = { ...nobody, ...kernel.tokens.read(token) };
  const attempt = () => kernel.sessionGet(call).catch((error: Error) => error);
  await (await cluster.masterOf("away")).kill();
  // What was under way when the connection broke may be unknown.
  await attempt();
  for (let n = 0; n < 3; n++) expect(await attempt()).toBeInstanceOf(Unavailable);
  kernel.disconnect();
}

describe("redis+cluster://", () => {
  let cluster: TestCluster;

  it(
    "a cluster serves namespaces on all masters and answers 503 while a slot moves",
    async () => {
      cluster = await startCluster();
      servers.push(cluster);
      await expectService(cluster.url, cluster.nodes);
      await expectStillWhileMoved(cluster);
      for (const node of cluster.nodes) {
        expect(await keysOn([node], "bpf:{*}:meta"), `node ${node.port}`).not.toEqual([]);
        expect(String(await node.call("INFO", "errorstats"))).not.toContain("CROSSSLOT");
      }
    },
    TEST_MS,
  );

  it(
    "a call for a master that is away is unavailable, because it is not sent",
    () => expectUnavailableWhileAway(cluster),
    TEST_MS,
  );
});

describe("redis+sentinel://", () => {
  it(
    "the service finds the master through a sentinel",
    async () => {
      const master = await startRedisServer();
      servers.push(master);
      const sentinel = await startSentinel(master.port);
      servers.push(sentinel);
      await expectService(`redis+sentinel://127.0.0.1:${sentinel.port}/group`, [master]);
    },
    TEST_MS,
  );
});
