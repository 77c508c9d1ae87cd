import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { NODE_ARGS } from "../domain/threads/worker_thread.ts";
import { type Caller, Tokens } from "../domain/token.ts";
import type { Bare } from "./bare.ts";
import { freePorts } from "./free_ports.ts";
import { type BenchProcess, folder, greeted, START_MS, start } from "./processes.ts";
import type { RedisServer } from "./redis_servers.ts";

/** Starts services, bare handlers and webdis, and sends single requests. */

const SECRET = randomBytes(32).toString("base64");
/** The options of Node in `npm start`, for the service and the bare handler. */
const nodeArgs = ["--no-parallel-scavenge", ...NODE_ARGS];

interface ServiceOptions {
  workers?: number;
  /** The folder of another version of the service. */
  cwd?: string;
}

export function startService(
  { url }: { url: string },
  { workers = 1, ...options }: ServiceOptions = {},
): Promise<BenchProcess> {
  const settings = { REDIS_URL: url, PORT: "0", TOKEN_SECRET: SECRET, LOG_LEVEL: "error" };
  const env = { ...settings, WORKERS: String(workers) };
  return greeted(start(process.execPath, [...nodeArgs, "api/server.ts"], { env, ...options }));
}

export function startBare(bare: Bare): Promise<BenchProcess> {
  const env = { BARE: JSON.stringify(bare) };
  return greeted(start(process.execPath, [...nodeArgs, "bench/bare.ts"], { env }));
}

/** Starts webdis on the unix socket of the same Redis, with one thread, as the service has. */
export async function startWebdis(redis: RedisServer): Promise<BenchProcess> {
  const [port = 0] = await freePorts(1);
  const file = join(folder, "webdis.json");
  const settings = {
    redis_host: redis.socket,
    http_host: "127.0.0.1",
    http_port: port,
    threads: 1,
  };
  const quiet = { daemonize: false, verbosity: 0, logfile: join(folder, "webdis.log") };
  writeFileSync(file, JSON.stringify({ ...settings, pool_size: 20, database: 0, ...quiet }));
  // It logs every connection that wrk closes at the end.
  const { pid = 0 } = start("webdis", [file], { errors: "ignore" });
  const base = `http://127.0.0.1:${port}`;
  for (let end = Date.now() + START_MS; Date.now() < end; await delay(20)) {
    const ok = await fetch(`${base}/PING`)
      .then((answer) => answer.ok)
      .catch(() => false);
    if (ok) return { base, pid };
  }
  throw new Error("webdis does not answer");
}

/** Returns the sid and the hash of a token, as commands get them. */
export function callerOf(token: string): Caller {
  return new Tokens(Buffer.from(SECRET)).read(token);
}

/** Sends one request. @throws unless it succeeds. */
export async function tell(base: string, token: string, method: string, path: string, body = "") {
  const headers = {
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...(body ? { "content-type": "application/json" } : {}),
  };
  const response = await fetch(base + path, { method, headers, ...(body ? { body } : {}) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return { text, headers: response.headers };
}

export async function ask(base: string, token: string, method: string, path: string, body = "") {
  return (await tell(base, token, method, path, body)).text;
}

/** Creates a session of root for a day, with a limit for the fds that a load leaves open. */
export async function newSession(base: string, namespace: string): Promise<string> {
  const body = JSON.stringify({ namespace, ttl_ms: 86_400_000, nofile: 100_000 });
  const text = await ask(base, "", "POST", "/v1/sessions", body);
  return (JSON.parse(text) as { token: string }).token;
}
