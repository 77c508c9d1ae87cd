import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { connect, connected } from "../domain/redis/connection.ts";
import { type Caller, Tokens } from "../domain/token.ts";
import type { Bare } from "./bare.ts";

/** What the bench runs: tools, a Redis of its own, services, bare handlers, webdis. It ends them all. */

export interface Process {
  base: string;
  pid: number;
}

export interface RedisServer {
  url: string;
  socket: string;
  pid: number;
  client: Redis;
  stop(): Promise<void>;
}

const ROOT = join(import.meta.dirname, "..");
const TOOLS = { wrk: "wrk", webdis: "webdis", "redis-benchmark": "redis-tools" };
const SECRET = randomBytes(32).toString("base64");
const START_MS = 20_000;
const folder = mkdtempSync(join(tmpdir(), "bpf-bench-"));
const children = new Set<ChildProcess>();

process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));

const missing = () =>
  Object.entries(TOOLS).filter(([name]) => spawnSync("which", [name]).status !== 0);

/** Debian's packages start their services; policy-rc.d's 101 ("not allowed") keeps them from it. */
function aptInstall(packages: string[]): void {
  const policy = "/usr/sbin/policy-rc.d";
  const ours = !existsSync(policy);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "l" };
  const apt = (...args: string[]) =>
    spawnSync("apt-get", ["-q", ...args], { env, stdio: ["ignore", 2, 2] }).status === 0;
  const install = () => apt("install", "-y", "--no-install-recommends", ...packages);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755, flag: "wx" });
  try {
    if (!install() && apt("update")) install();
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

/** @throws when a tool is missing and cannot be installed. */
export function ensureTools(): void {
  if (missing().length > 0 && process.getuid?.() === 0) aptInstall(missing().map(([, p]) => p));
  const packages = missing().map(([, name]) => name);
  if (packages.length > 0) {
    throw new Error(`missing: sudo apt-get install ${packages.join(" ")} (as root: by itself)`);
  }
}

function start(
  command: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
  errors: "inherit" | "ignore" = "inherit",
): ChildProcess {
  const { REDIS_URL, API_KEYS_FILE, HOST, ...inherited } = process.env;
  const child = spawn(command, args, {
    cwd: ROOT,
    env: { ...inherited, ...env },
    stdio: ["ignore", "pipe", errors],
  });
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

export async function stop({ pid }: { pid: number }): Promise<void> {
  const child = [...children].find((one) => one.pid === pid);
  if (!child) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** @throws when it says no address in time; then it is ended. */
function greeted(child: ChildProcess): Promise<Process> {
  const { pid = 0 } = child;
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      child.kill("SIGKILL");
      reject(new Error(`${child.spawnargs.at(-1)}: ${why}`));
    };
    const timer = setTimeout(() => fail("no address in time"), START_MS);
    let text = "";
    child.stdout?.on("data", (chunk) => {
      text += chunk;
      const base = /at (http:\S+)/.exec(text)?.[1];
      if (!base) return;
      clearTimeout(timer);
      resolve({ base, pid });
    });
    child.once("exit", () => fail("it ended at its start"));
  });
}

const tsx = ["--import", "tsx"];

export function startService(redis: RedisServer, workers = 1): Promise<Process> {
  const env = { REDIS_URL: redis.url, PORT: "0", WORKERS: String(workers), TOKEN_SECRET: SECRET };
  return greeted(
    start(process.execPath, [...tsx, "api/server.ts"], { ...env, LOG_LEVEL: "error" }),
  );
}

export function startBare(bare: Bare): Promise<Process> {
  const env = { BARE: JSON.stringify(bare) };
  return greeted(start(process.execPath, [...tsx, "bench/bare.ts"], env));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === "object" && address ? address.port : 0;
}

/** webdis on the same Redis by its unix socket, as many threads as the service has: one. */
export async function startWebdis(redis: RedisServer): Promise<Process> {
  const port = await freePort();
  const file = join(folder, "webdis.json");
  const settings = {
    redis_host: redis.socket,
    http_host: "127.0.0.1",
    http_port: port,
    threads: 1,
  };
  const quiet = { daemonize: false, verbosity: 0, logfile: join(folder, "webdis.log") };
  writeFileSync(file, JSON.stringify({ ...settings, pool_size: 20, database: 0, ...quiet }));
  // It complains of every connection that wrk has cut at the end.
  const { pid = 0 } = start("webdis", [file], {}, "ignore");
  const base = `http://127.0.0.1:${port}`;
  for (let end = Date.now() + START_MS; Date.now() < end; await delay(20)) {
    const ok = await fetch(`${base}/PING`)
      .then((answer) => answer.ok)
      .catch(() => false);
    if (ok) return { base, pid };
  }
  throw new Error("webdis does not answer");
}

/** Nothing is written to disk: that would measure the disk. */
export async function startRedis(name: string): Promise<RedisServer> {
  const binary =
    spawnSync("which", ["redis-server"]).status === 0 ? "redis-server" : "valkey-server";
  const socket = join(folder, `${name}.sock`);
  const settings = `--port 0 --appendonly no --logfile ${folder}/${name}.log --dir ${folder}`;
  const args = [...settings.split(" "), "--save", "", "--unixsocket", socket];
  const { pid = 0 } = start(binary, args);
  const url = `unix://${socket}`;
  const client = connect(url, START_MS) as Redis;
  client.on("error", () => {}); // until it listens
  await connected(client);
  const end = async () => {
    client.disconnect();
    await stop({ pid });
  };
  return { url, socket, pid, client, stop: end };
}

/** Who the script is told that a token's holder is. */
export function callerOf(token: string): Caller {
  return new Tokens(Buffer.from(SECRET)).read(token);
}

/** A request of the bench's own. @throws when it is refused. */
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

/** A session of root for a day, with room for the fds that a load leaves open. */
export async function newSession(base: string, namespace: string): Promise<string> {
  const body = JSON.stringify({ namespace, ttl_ms: 86_400_000, nofile: 100_000 });
  const text = await ask(base, "", "POST", "/v1/sessions", body);
  return (JSON.parse(text) as { token: string }).token;
}
