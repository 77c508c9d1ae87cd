import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { startService } from "../../api/service.ts";
import { createKernel } from "../../domain/bpf.ts";
import { reportOf } from "../../domain/redis/server_checks.ts";
import { startCluster } from "../support/cluster.ts";
import { type RedisProcess, startRedisServer } from "../support/redis_servers.ts";
import { Client } from "../support/service.ts";

/** The service refuses a Redis that would lose its data, and names the setting. */

const SECRET = Buffer.alloc(32, "checks");
const servers: Pick<RedisProcess, "stop">[] = [];

afterAll(async () => {
  for (const server of servers) await server.stop();
});

async function redis(...settings: string[]): Promise<RedisProcess> {
  const server = await startRedisServer(...settings);
  servers.push(server);
  return server;
}

/** Starts a service and returns its log, and what `use` returns. */
async function serve<T>(url: string, use: (client: Client) => Promise<T>) {
  const lines: string[] = [];
  const config = readConfig({ PORT: "0", REDIS_URL: url, REDIS_DEADLINE_MS: "20000" });
  const service = await startService(config, url, SECRET, (_, line) => lines.push(line));
  try {
    const result = await use(new Client(`http://127.0.0.1:${service.address.port}`));
    return { lines, result };
  } finally {
    await service.stop();
  }
}

const startError = (url: string) =>
  serve(url, async () => "it has started").then(({ result }) => result, String);

describe("the settings of Redis", () => {
  it("a start refuses a Redis with an eviction policy and names policy and server", async () => {
    const server = await redis("--maxmemory-policy", "allkeys-lru");
    const error = await startError(server.url);
    expect(error).toContain(`Redis at 127.0.0.1:${server.port}: its maxmemory-policy`);
    expect(error).toContain("is allkeys-lru, it must be noeviction");
  });

  it("readyz gives the reason when the policy changes at run time, and is ready again after it", async () => {
    const server = await redis();
    const kernel = createKernel(server.url, SECRET);
    await kernel.script.ready();
    kernel.script.checks.period = 0;
    await kernel.script.ping();
    await server.call("CONFIG", "SET", "maxmemory-policy", "volatile-ttl");
    await expect(kernel.script.ping()).rejects.toThrow(/maxmemory-policy is volatile-ttl/);
    await server.call("CONFIG", "SET", "maxmemory-policy", "noeviction");
    await kernel.script.ping();
    kernel.disconnect();
  });

  it("a start refuses a replica and names its master", async () => {
    const master = await redis();
    const replica = await redis("--replicaof", `127.0.0.1 ${master.port}`);
    const error = await startError(replica.url);
    expect(error).toContain(`it is a replica of 127.0.0.1:${master.port}`);
    expect(error).toContain("REDIS_URL must lead to a master");
  });

  it("readyz is 503 and says so when the master has become a replica", async () => {
    const [server, other] = [await redis(), await redis()];
    await serve(server.url, async (client) => {
      expect((await client.get("/readyz")).status).toBe(200);
      await server.call("REPLICAOF", "127.0.0.1", other.port);
      const { status, body } = await client.get("/readyz");
      expect([status, body.type]).toEqual([503, "/docs/errors/unavailable"]);
      expect(body.detail).toMatch(/^REDIS_URL leads to a replica.*READONLY/);
    });
  });

  it("readyz and mutations name the disk when Redis cannot write its files", async () => {
    const server = await redis("--save", "3600 1", "--dbfilename", "taken");
    await serve(server.url, async (client) => {
      // With a directory in the place of its file a save fails, as on a full disk.
      mkdirSync(join(server.dir, "taken", "in-the-way"), { recursive: true });
      await server.call("BGSAVE");
      await vi.waitFor(async () => {
        expect(String(await server.call("INFO", "persistence"))).toMatch(/last_bgsave_status:err/);
      }, 20_000);
      const replies = [await client.get("/readyz"), await client.post("/v1/sessions", {})];
      for (const { status, body } of replies) {
        expect([status, body.type]).toEqual([503, "/docs/errors/unavailable"]);
        expect(body.detail).toMatch(/^Redis cannot write its files, so check its disk: MISCONF/);
      }
    });
  });

  it("a start warns of a Redis without persistence, and not of one with it", async () => {
    const [memory, kept] = [await redis(), await redis("--appendonly", "yes")];
    const warned = await serve(memory.url, async () => {});
    expect(warned.lines.join("\n")).toMatch(/its appendonly is no and it saves no snapshots/);
    expect((await serve(kept.url, async () => {})).lines.join("\n")).not.toMatch(/appendonly/);
  });

  it("a user without the right to INFO starts with a warning", async () => {
    const server = await redis("--appendonly", "yes");
    await server.call("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-info");
    // A client that is denied INFO takes its own check of readiness for passed.
    const url = server.url.replace("//", "//app:secret@");
    const { lines } = await serve(url, async (client) => {
      expect((await client.get("/readyz")).status).toBe(200);
    });
    expect(lines.join("\n")).toMatch(/its settings cannot be checked: NOPERM/);
  });

  it("in a cluster every master is checked", async () => {
    const cluster = await startCluster();
    servers.push(cluster);
    const [, second] = cluster.nodes;
    await second?.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu");
    expect(await startError(cluster.url)).toContain(
      `Redis at 127.0.0.1:${second?.port}: its maxmemory-policy is allkeys-lfu`,
    );
  });

  it("a version below 7.0 is refused, and Valkey is taken for the version that it names", () => {
    const old = reportOf("host:1", "# Server\r\nredis_version:6.2.14\r\nrole:master\r\n");
    expect(old.refusals).toEqual([
      "Redis at host:1: its version is 6.2.14, it must be 7.0 or newer",
    ]);
    const valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n";
    expect(reportOf("host:1", valkey).refusals).toEqual([]);
  });
});
