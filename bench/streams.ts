import { readFileSync } from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { greeted, ROOT, start, stop } from "./processes.ts";
import { startRedis } from "./redis_servers.ts";

/**
 * Measures idle event streams: CPU of the service and of Redis, memory a stream, and how long a record and
 * the end of a session take to arrive. Run alone, with a limit of open files above the number of streams:
 * `node --import tsx bench/streams.ts [streams] [sessions] [namespaces] [seconds]`.
 */

const [streams = 10_000, sessions = 100, namespaces = 1, seconds = 20] = process.argv
  .slice(2)
  .map(Number);
const AT_ONCE = 25;
const TICKS_A_SECOND = 100;

/** Seconds of CPU that a process has used. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13);
  return (Number(user) + Number(system)) / TICKS_A_SECOND;
}

function rssOf(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib) * 1024;
}

interface Session {
  base: string;
  token: string;
}

async function post(base: string, path: string, body: object, token?: string) {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  const response = await fetch(base + path, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json() as Promise<{ token: string }>;
}

/** A session whose fd 3 is a ring buffer. */
async function newSession(base: string, namespace: string): Promise<Session> {
  const { token } = await post(base, "/v1/sessions", { namespace });
  const ring = { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 };
  await post(base, "/v1/maps", ring, token);
  return { base, token };
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

function openStream({ base, token }: Session): Promise<IncomingMessage> {
  const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
  return new Promise((resolve, reject) => {
    get(`${base}/v1/fds/3/records`, { agent, headers }, (res) => {
      if (res.statusCode === 200) resolve(res.resume());
      else reject(new Error(`a stream got ${res.statusCode}`));
    }).on("error", reject);
  });
}

async function inTurns<T, R>(list: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < list.length; at += AT_ONCE) {
    results.push(...(await Promise.all(list.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}

/** ms until the first stream of the session gets something of its own, after this. */
async function delayOf(stream: IncomingMessage, cause: () => Promise<unknown>): Promise<number> {
  const arrived = new Promise((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      if (!chunk.toString().startsWith(":")) resolve(undefined);
    });
  });
  const startedAt = performance.now();
  await cause();
  await arrived;
  return Math.round(performance.now() - startedAt);
}

async function measure(base: string, pids: Record<string, number>): Promise<void> {
  const service = pids.service ?? 0;
  const numbers = Array.from({ length: sessions }, (_, i) => i);
  const all = await inTurns(numbers, (i) => newSession(base, `streams-${i % namespaces}`));
  const before = rssOf(service);
  const owners = Array.from({ length: streams }, (_, i) => all[i % all.length] as Session);
  const opened = await inTurns(owners, openStream);
  // The first seconds are those of the opening: garbage, first looks, first renewals.
  await delay(5000);
  const memory = (rssOf(service) - before) / streams / 1024;
  const used = Object.entries(pids).map(([name, pid]) => [name, pid, cpuOf(pid)] as const);
  await delay(seconds * 1000);
  const idle = `${streams} idle streams of ${sessions} sessions in ${namespaces} namespaces`;
  for (const [name, pid, start] of used) {
    const share = (100 * (cpuOf(pid) - start)) / seconds;
    console.log(`${idle}: ${name} ${share.toFixed(1)} % of a core`);
  }
  console.log(`${memory.toFixed(1)} KiB of memory a stream`);
  const [first, second] = [all[0], all[1]].map((session) => session as Session);
  const [streamOfFirst, streamOfSecond] = [opened[0], opened[1]].map(
    (one) => one as IncomingMessage,
  );
  const written = await delayOf(streamOfFirst as IncomingMessage, () =>
    post(base, "/v1/fds/3/records", { records: ["aa"] }, first?.token),
  );
  console.log(`a record arrives after ${written} ms`);
  const ended = await delayOf(streamOfSecond as IncomingMessage, () =>
    fetch(`${base}/v1/session`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${second?.token}` },
    }),
  );
  console.log(`the end of a session arrives after ${ended} ms`);
}

const redis = await startRedis("streams");
const env = { REDIS_URL: redis.url, PORT: "0", LOG_LEVEL: "error", REDIS_DEADLINE_MS: "10000" };
const server = ["--no-parallel-scavenge", "--import", "tsx", "api/server.ts"];
const service = await greeted(start(process.execPath, server, { env, cwd: ROOT }));
try {
  await measure(service.base, { service: service.pid, redis: redis.pid });
} finally {
  agent.destroy();
  await stop(service);
  await redis.stop();
}
