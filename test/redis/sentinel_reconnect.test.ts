import { afterAll, describe, expect, it, vi } from "vitest";
import { connect, connected, type Master } from "../../domain/redis/connection.ts";
import { WAIT } from "../support/patience.ts";
import { type RedisProcess, startRedisServer, startSentinel } from "../support/redis_servers.ts";

/** A client of sentinels, when a failover is announced at the worst moment. */

const servers: RedisProcess[] = [];

afterAll(async () => {
  for (const server of servers) await server.stop();
});

describe("a client of sentinels", () => {
  it("connects again when a failover is announced while it connects", async () => {
    const master = await startRedisServer();
    const sentinel = await startSentinel(master.port);
    servers.push(sentinel, master);
    const url = `redis+sentinel://127.0.0.1:${sentinel.port}/group`;
    const redis = connect(url, 2000) as Master;
    const { connector } = redis as unknown as { connector: { disconnect(): void } };
    redis.on("error", () => {});
    await connected(redis);
    let attempts = 0;
    // An announcement lets ioredis disconnect; here it comes while the client connects.
    redis.on("connecting", () => {
      attempts += 1;
      if (attempts <= 3) setImmediate(() => connector.disconnect());
    });
    redis.disconnect(true);
    await vi.waitFor(() => expect(attempts).toBeGreaterThan(0), WAIT);
    await vi.waitFor(async () => expect(await redis.ping()).toBe("PONG"), WAIT);
    redis.disconnect();
    await vi.waitFor(() => expect(redis.status).toBe("end"), WAIT);
  });
});
