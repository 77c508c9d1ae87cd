import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "../../api/config.ts";
import { type Running, startService } from "../../api/service.ts";
import { type RedisProcess, startRedisServer } from "../support/redis_servers.ts";
import { Client, TestSession } from "../support/service.ts";

/** Stalls of Redis beside 1,000 idle namespaces end no session whose client renews it at 80 % of its ttl. */

const IDLE = 1000;
const SESSIONS = 60;
const TTL_MS = 1000;
const HOUR = 3_600_000;

let redis: RedisProcess;
let service: Running;
let client: Client;

beforeAll(async () => {
  redis = await startRedisServer("--appendonly", "yes");
  const config = readConfig({ PORT: "0" });
  service = await startService(config, redis.url, Buffer.alloc(32, 6), () => {});
  client = new Client(`http://127.0.0.1:${service.address.port}`);
  for (let n = 0; n < IDLE; n += 50) {
    const some = Array.from({ length: 50 }, (_, i) => open(`idle-${n + i}`, HOUR));
    await Promise.all(some);
  }
}, 120_000);

afterAll(async () => {
  await service?.stop();
  await redis?.stop();
});

/** A request that a stall refuses is sent again. */
async function open(namespace: string, ttl_ms: number): Promise<TestSession> {
  for (;;) {
    const { status, body } = await client.post("/v1/sessions", { namespace, ttl_ms });
    if (status === 201) return new TestSession(client.base, body);
    expect(status, JSON.stringify(body)).toBe(503);
  }
}

/** Renews a session at 80 % of its ttl until stopped; answers its last status, 200 while it lives. */
async function renew(session: TestSession, isStopped: () => boolean): Promise<number> {
  while (!isStopped()) {
    const { status } = await session.get("/v1/session");
    if (status === 200) await delay(0.8 * TTL_MS);
    else if (status !== 503) return status;
  }
  return 200;
}

async function stall(ms: number): Promise<void> {
  redis.signal("SIGSTOP");
  await delay(ms);
  redis.signal("SIGCONT");
}

describe("sessions that are renewed at 80 % of their ttl", () => {
  // Several stalls in a row, each longer than the ttl; the last is the longest.
  it.each([[[1200, 1200, 1200]], [[5000]]])(
    "none of them ends by stalls of %j ms",
    async (stalls) => {
      const sessions = await Promise.all(
        Array.from({ length: SESSIONS }, (_, i) => open(`busy-${stalls.length}-${i}`, TTL_MS)),
      );
      let isStopped = false;
      const clients = sessions.map((session) => renew(session, () => isStopped));
      for (const ms of stalls) {
        await delay(TTL_MS / 2);
        await stall(ms);
      }
      // Whatever the stalls made due is released by now.
      await delay(TTL_MS);
      isStopped = true;
      const statuses = await Promise.all(clients);
      expect(statuses.filter((status) => status !== 200)).toEqual([]);
    },
  );
});
