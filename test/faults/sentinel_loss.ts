import { setTimeout as delay } from "node:timers/promises";
import { readConfig } from "../../api/config.ts";
import { startService } from "../../api/service.ts";
import { until } from "../support/redis_servers.ts";
import { startSentinelGroup } from "../support/sentinels.ts";
import { Client, TestSession } from "../support/service.ts";

/**
 * Measures what a Sentinel group loses when its master is killed, or replaced while it lives, under load:
 * node_modules/.bin/tsx test/faults/sentinel_loss.ts
 */

const CLIENTS = 8;
const LOAD_MS = 1000;
const SERVED = 50;
const QUEUE = { map_type: "queue", key_size: 0, value_size: 8, max_entries: 1_000_000 };

type Fault = "kill -9" | "failover";

/** Pushes numbered values from several clients; keeps those that were acknowledged. */
class Writers {
  readonly acknowledged = new Set<number>();
  readonly statuses: Record<string, number> = {};
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(session: TestSession) {
    const clients = Array.from({ length: CLIENTS }, (_, i) => this.#run(session, i));
    this.#running = Promise.all(clients);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(session: TestSession, client: number): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const value = client * 1_000_000 + n;
      const { status, body } = await session.post("/v1/fds/3/push", { value: `u64:${value}` });
      const name = `${status} ${body?.type ?? ""}`.replace("/docs/errors/", "").trim();
      this.statuses[name] = (this.statuses[name] ?? 0) + 1;
      if (status === 204) this.acknowledged.add(value);
    }
  }
}

async function drain(session: TestSession): Promise<Set<number>> {
  const values = new Set<number>();
  for (;;) {
    const { status, body } = await session.post("/v1/fds/3/pop");
    if (status === 503) await delay(100);
    else if (status !== 200) return values;
    else values.add(Number(Buffer.from(body.value, "hex").readBigUInt64LE()));
  }
}

async function measure(fault: Fault, minReplicas: number): Promise<void> {
  const group = await startSentinelGroup({ minReplicas });
  const config = readConfig({ PORT: "0", REDIS_URL: group.url });
  const service = await startService(config, group.url, Buffer.alloc(32, 9), () => {});
  const client = new Client(`http://127.0.0.1:${service.address.port}`);
  const opened = await client.post("/v1/sessions", { ttl_ms: 3_600_000 });
  const session = new TestSession(client.base, opened.body);
  await session.post("/v1/maps", QUEUE);
  const writers = new Writers(session);
  await delay(LOAD_MS);
  const begin = performance.now();
  if (fault === "kill -9") await (await group.master()).kill();
  else await group.beginFailover();
  const before = writers.acknowledged.size;
  const isServed = () => writers.acknowledged.size > before + SERVED;
  await until("the service writes again", isServed, 60_000);
  const ms = Math.round(performance.now() - begin);
  await delay(LOAD_MS);
  await writers.stop();
  const values = await drain(session);
  const lost = [...writers.acknowledged].filter((value) => !values.has(value)).length;
  const result = { fault, minReplicas, acknowledged: writers.acknowledged.size, lost, ms };
  process.stdout.write(`${JSON.stringify({ ...result, statuses: writers.statuses })}\n`);
  await service.stop();
  await group.stop();
}

async function main(): Promise<void> {
  for (const minReplicas of [0, 1]) {
    for (const fault of ["kill -9", "failover"] as const) await measure(fault, minReplicas);
  }
  process.exit(0);
}

void main();
