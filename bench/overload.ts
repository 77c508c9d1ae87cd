import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { cpuTime, median } from "./load.ts";
import { type BenchProcess, stop } from "./processes.ts";
import { startRedis } from "./redis_servers.ts";
import { ask, newSession, startService } from "./world.ts";

/**
 * Measures what more and more connections of batches get done, while sessions of another namespace are
 * renewed by their clients. Run it by itself: node_modules/.bin/tsx bench/overload.ts
 */

const FEW = 32;
const MANY = 2000;
const CONNECTIONS = [FEW, MANY, FEW, MANY, FEW, MANY];
const SECONDS = 8;
const ELEMENTS = 100;
const SESSIONS = 50;
const TTL_MS = 2000;
const AGAIN_MS = 20;
const OK = 200;
const GONE = 410;
const NO_ANSWER = { status: 0 };
const run = promisify(execFile);

interface Goodput {
  connections: number;
  /** Batches done a second. */
  rate: number;
  /** Batches done in a second of the service's CPU, which other work on the machine does not change. */
  perCpu: number;
  unavailable: number;
  unknown: number;
  other: number;
  /** Connections that failed, and answers that did not come within two seconds. */
  failed: number;
}

interface BatchTarget {
  service: BenchProcess;
  token: string;
  fd: number;
}

async function load({ service, token, fd }: BatchTarget, connections: number): Promise<Goodput> {
  const file = join(import.meta.dirname, "overload.lua");
  const args = ["-t1", `-c${connections}`, `-d${SECONDS}s`, "-s", file, service.base, "--"];
  const before = cpuTime(service.pid);
  const { stdout } = await run("wrk", [...args, token, String(fd), String(ELEMENTS)]);
  const cpu = cpuTime(service.pid) - before;
  const words = (/RESULT (.*)/.exec(stdout)?.[1] ?? "").split(" ").map(Number);
  const [duration = 1, done = 0, unavailable = 0, unknown = 0, other = 0, failed = 0] = words;
  const rates = { rate: (done * 1e6) / duration, perCpu: (done * 1e6) / cpu };
  return { connections, ...rates, unavailable, unknown, other, failed };
}

async function openSession(base: string): Promise<string> {
  const body = JSON.stringify({ namespace: "living", ttl_ms: TTL_MS });
  return (JSON.parse(await ask(base, "", "POST", "/v1/sessions", body)) as { token: string }).token;
}

/** Renews sessions every half ttl, as their clients would, and counts answers by status. */
async function keepAlive(base: string, until: AbortSignal): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {};
  const live = async () => {
    const token = await openSession(base);
    const headers = { authorization: `Bearer ${token}` };
    while (!until.aborted) {
      const { status } = await fetch(`${base}/v1/session/renew`, { method: "POST", headers }).catch(
        () => NO_ANSWER,
      );
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status === GONE) return;
      await delay(status === OK ? TTL_MS / 2 : AGAIN_MS);
    }
  };
  await Promise.all(Array.from({ length: SESSIONS }, live));
  return statuses;
}

async function main(): Promise<void> {
  const redis = await startRedis("overload");
  const service = await startService(redis);
  const token = await newSession(service.base, "overload");
  const map = { map_type: "hash", key_size: 8, value_size: 8, max_entries: 2 * ELEMENTS };
  const made = await ask(service.base, token, "POST", "/v1/maps", JSON.stringify(map));
  const { fd } = JSON.parse(made) as { fd: number };
  const target = { service, token, fd };
  await load(target, FEW);
  const end = new AbortController();
  const renewals = keepAlive(service.base, end.signal);
  const points: Goodput[] = [];
  for (const connections of CONNECTIONS) {
    const point = await load(target, connections);
    points.push(point);
    process.stdout.write(`${JSON.stringify(point)}\n`);
  }
  end.abort();
  const statuses = await renewals;
  process.stdout.write(`renewals by status: ${JSON.stringify(statuses)}\n`);
  for (const unit of ["rate", "perCpu"] as const) {
    const [few, many] = [FEW, MANY].map((connections) =>
      median(points.flatMap((point) => (point.connections === connections ? [point[unit]] : []))),
    );
    const ratio = ((many ?? 0) / (few ?? 1)).toFixed(2);
    process.stdout.write(`${unit} at ${MANY} connections / at ${FEW}: ${ratio}\n`);
  }
  await stop(service);
  await redis.stop();
}

await main();
