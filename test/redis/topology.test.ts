import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { startService } from "../../api/service.ts";
import { createKernel } from "../../domain/bpf.ts";
import { Unavailable } from "../../domain/errno.ts";
import { Client, TestSession } from "../support/service.ts";

/** The same service on a Redis Cluster of three masters, and behind a Sentinel. */

const dir = mkdtempSync(join(tmpdir(), "bpf-topology-"));
const servers: ChildProcess[] = [];
const WAIT = { timeout: 15_000, interval: 50 };
const ARRAY = { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 8 };
const PROG = { prog_type: "xdp", insns: "b7000000000000009500000000000000", license: "GPL" };
const RINGBUF = {
  ...{ map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 },
  ...{ map_flags: 0, map_name: "", map_extra: "0" },
};
const ROOT = {
  ...{ label: "", ttl_ms: 60_000, uid: 0, gid: 0, groups: [], umask: 0o022, nofile: 1024 },
  capabilities: "*" as const,
};
const NAMESPACES = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];

afterAll(async () => {
  for (const child of servers) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
  rmSync(dir, { recursive: true, force: true });
});

async function freePorts(count: number): Promise<number[]> {
  const held = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(held.map((server) => once(server, "listening")));
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  for (const server of held) server.close();
  return ports;
}

const ask = (port: number, ...words: string[]) =>
  execFileSync("redis-cli", ["-p", String(port), ...words], { encoding: "utf8" });

async function startRedis(port: number, ...more: string[]): Promise<void> {
  const common = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, "--save", ""];
  servers.push(spawn("redis-server", [...common, ...more], { stdio: "ignore" }));
  await vi.waitFor(() => expect(ask(port, "PING")).toBe("PONG\n"), WAIT);
}

/** Pins, forks, tail calls, an expiry and its sweep, in every namespace at once. */
async function story(base: string, namespace: string): Promise<void> {
  const client = new Client(base);
  const start = async (ttl_ms: number) => {
    const { status, body } = await client.post("/v1/sessions", { namespace, ttl_ms });
    expect(status, JSON.stringify(body)).toBe(201);
    return new TestSession(base, body);
  };
  const [observer, loader] = [await start(600_000), await start(1000)];
  expect((await loader.post("/v1/maps", ARRAY)).body).toEqual({ fd: 3, id: 1 });
  expect((await loader.post("/v1/progs", PROG)).status).toBe(201);
  expect((await loader.put("/v1/fds/3/elements/u32:0", { value: { fd: 4 } })).status).toBe(204);
  expect((await loader.put("/v1/fs?path=/jmp", { type: "pin", fd: 3 })).status).toBe(201);
  const child = loader.as((await loader.post("/v1/session/fork")).body);
  expect((await child.get("/v1/fds/3/elements/u32:0")).body.value).toEqual({ id: 1 });
  expect((await child.post("/v1/maps", { ...ARRAY, map_name: "gone" })).status).toBe(201);
  expect((await observer.post("/v1/fds", { path: "/jmp" })).body.id).toBe(1);
  const sessions = async () => (await observer.get("/v1/sessions")).body.sessions.length;
  await vi.waitFor(async () => expect(await sessions()).toBe(1), WAIT);
  expect((await observer.get("/v1/maps/2")).status).toBe(404);
  expect((await observer.get("/v1/fds/3/elements/u32:0")).body.value).toEqual({ id: 1 });
  expect((await observer.del("/v1/fs?path=/jmp")).status).toBe(204);
  expect((await observer.del("/v1/session")).status).toBe(204);
}

/** Nobody sends a command any more: what is left over goes by the sweeper alone. */
async function swept(base: string, count: () => number): Promise<void> {
  const before = count();
  for (const namespace of NAMESPACES) {
    const { body } = await new Client(base).post("/v1/sessions", { namespace, ttl_ms: 1000 });
    await new TestSession(base, body).post("/v1/maps", ARRAY);
  }
  expect(count()).toBeGreaterThan(before);
  await vi.waitFor(() => expect(count()).toBe(before), WAIT);
}

/** Who waits for records is woken by a message, whichever node the namespace lives on. */
async function woken(url: string, namespace: string): Promise<void> {
  const kernel = createKernel(url, Buffer.alloc(32, 9));
  await kernel.script.ready();
  kernel.wake.period = 3_600_000;
  const nobody = { namespace, sid: "", hash: "", record: "", fingerprint: "" };
  const { token } = await kernel.sessionCreate(nobody, ROOT);
  const call = { ...nobody, ...kernel.tokens.read(token) };
  const { fd } = await kernel.mapCreate(call, RINGBUF);
  const waiter = kernel.wake.open((await kernel.ringRead(call, fd, undefined, 1)).channel);
  await waiter.sleep();
  for (let n = 1; n <= 3; n++) {
    await kernel.ringOutput(call, fd, [Buffer.alloc(n)], 0);
    await waiter.sleep();
    expect((await kernel.ringRead(call, fd, 16 * (n - 1), 1)).records).toHaveLength(1);
  }
  waiter.close();
  await kernel.exit(call);
  kernel.script.redis.disconnect();
}

async function run(url: string, ports: number[]): Promise<void> {
  const errors: string[] = [];
  const log = (level: string, message: string) => level === "error" && errors.push(message);
  const config = readConfig({ PORT: "0", REDIS_URL: url });
  const { address, stop } = await startService(config, url, Buffer.alloc(32, 9), log);
  const base = `http://127.0.0.1:${address.port}`;
  try {
    expect((await new Client(base).get("/readyz")).status).toBe(200);
    await Promise.all(NAMESPACES.map((namespace) => story(base, namespace)));
    await Promise.all(NAMESPACES.map((namespace) => woken(url, namespace)));
    const objects = (port: number) => ask(port, "--scan", "--pattern", "bpf:*:ids:*");
    await swept(base, () => ports.flatMap((port) => objects(port).match(/\n/g) ?? []).length);
  } finally {
    await stop();
  }
  expect(errors).toEqual([]);
}

/**
 * A slot on its way from one master to another, at each stage: with no key moved, all moved, and the new
 * owner told. Redis runs nothing of the namespace until the move is done.
 */
async function moved(url: string, nodes: number[]): Promise<void> {
  const kernel = createKernel(url, Buffer.alloc(32, 9));
  await kernel.script.ready();
  const nobody = { namespace: "moving", sid: "", hash: "", record: "", fingerprint: "" };
  const { token } = await kernel.sessionCreate(nobody, ROOT);
  const call = { ...nobody, ...kernel.tokens.read(token) };
  const { fd } = await kernel.mapCreate(call, RINGBUF);
  const [first = 0] = nodes;
  const slot = ask(first, "CLUSTER", "KEYSLOT", "bpf:{moving}:").trim();
  const owner =
    nodes.find((port) => ask(port, "--scan", "--pattern", "bpf:{moving}:*") !== "") ?? 0;
  const target = nodes.find((port) => port !== owner) ?? 0;
  const idOf = (port: number) => ask(port, "CLUSTER", "MYID").trim();
  const [ownerId, targetId] = [idOf(owner), idOf(target)];
  const refused = async () => {
    const failed = await kernel.dup(call, fd).catch((error: Error) => error);
    expect(failed).toBeInstanceOf(Unavailable);
    const keys = nodes.flatMap((port) => ask(port, "--scan", "--pattern", "bpf:{moving}:*"));
    return keys.join("").split("\n").filter(Boolean).sort();
  };
  ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ownerId);
  ask(owner, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetId);
  const before = await refused();
  const half = ask(owner, "CLUSTER", "GETKEYSINSLOT", slot, "3").split("\n").filter(Boolean);
  ask(owner, "MIGRATE", "127.0.0.1", String(target), "", "0", "5000", "KEYS", ...half);
  expect(await refused()).toEqual(before);
  const rest = ask(owner, "CLUSTER", "GETKEYSINSLOT", slot, "100").split("\n").filter(Boolean);
  ask(owner, "MIGRATE", "127.0.0.1", String(target), "", "0", "5000", "KEYS", ...rest);
  expect(await refused()).toEqual(before);
  // The new owner has lost its functions, as one that has just joined never had them.
  ask(target, "FUNCTION", "FLUSH");
  const others = await Promise.all(
    ["one", "two", "three"].map(async (namespace) => {
      const made = await kernel.sessionCreate({ ...nobody, namespace }, ROOT);
      return { ...nobody, ...kernel.tokens.read(made.token) };
    }),
  );
  for (const port of [target, owner]) ask(port, "CLUSTER", "SETSLOT", slot, "NODE", targetId);
  // Sent together with calls of namespaces that stay, so that the client redirects none of them.
  const [moved] = await Promise.all([
    kernel.dup(call, fd),
    ...others.map((other) => kernel.sessionGet(other)),
  ]);
  expect(moved.fd).toBe(fd + 1);
  for (const other of others) await kernel.exit(other);
  expect((await kernel.fdList(call, 3, 10)).fds).toHaveLength(2);
  await kernel.exit(call);
  kernel.disconnect();
}

describe("redis+cluster://", () => {
  it("namespaces live on all masters, do all they do, and stand still while their slot moves", async () => {
    const ports = await freePorts(6);
    const [nodes, buses] = [ports.slice(0, 3), ports.slice(3)];
    await Promise.all(
      nodes.map((port, i) =>
        startRedis(
          port,
          ...["--cluster-enabled", "yes", "--cluster-config-file", `nodes-${i}.conf`],
          ...["--cluster-port", String(buses[i])],
        ),
      ),
    );
    const ranges = ["0 5460", "5461 10922", "10923 16383"];
    for (const [i, port] of nodes.entries()) {
      ask(port, "CLUSTER", "SET-CONFIG-EPOCH", String(i + 1));
      ask(port, "CLUSTER", "ADDSLOTSRANGE", ...(ranges[i] ?? "").split(" "));
      ask(port, "CLUSTER", "MEET", "127.0.0.1", String(nodes[0]), String(buses[0]));
    }
    const formed = (port: number) => {
      const info = ask(port, "CLUSTER", "INFO");
      expect(info).toContain("cluster_state:ok");
      expect(info).toContain("cluster_known_nodes:3");
    };
    await vi.waitFor(() => nodes.forEach(formed), WAIT);
    const url = `redis+cluster://${nodes.map((port) => `127.0.0.1:${port}`).join(",")}`;
    await run(url, nodes);
    await moved(url, nodes);
    for (const port of nodes) {
      expect(ask(port, "--scan", "--pattern", "bpf:{*}:meta"), `node ${port}`).not.toBe("");
      expect(ask(port, "INFO", "errorstats")).not.toContain("CROSSSLOT");
    }
  });
});

describe("redis+sentinel://", () => {
  it("the master is found through the sentinel", async () => {
    const [master = 0, sentinel = 0] = await freePorts(2);
    await startRedis(master);
    const conf = join(dir, "sentinel.conf");
    writeFileSync(conf, `sentinel monitor group 127.0.0.1 ${master} 1\n`);
    const args = [conf, "--sentinel", "--port", String(sentinel), "--dir", dir];
    servers.push(spawn("redis-server", args, { stdio: "ignore" }));
    await vi.waitFor(() => expect(ask(sentinel, "PING")).toBe("PONG\n"), WAIT);
    await run(`redis+sentinel://127.0.0.1:${sentinel}/group`, [master]);
  });
});
