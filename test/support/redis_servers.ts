import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePorts } from "../../bench/free_ports.ts";
import { connect, type Master } from "../../domain/redis/connection.ts";

/** Starts redis-servers on loopback for tests of failures. This file needs no test runner. */

const START_MS = 20_000;
const POLL_MS = 20;
const CLIENT_DEADLINE = 30_000;

/** The folders of all servers, one of each port. */
const folder = mkdtempSync(join(tmpdir(), "bpf-redis-"));
const children = new Set<ChildProcess>();

// A test that fails may leave servers.
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** Repeats a check until it holds. @throws what the last check threw, or Error with `what`. */
export async function until(
  what: string,
  check: () => boolean | Promise<boolean>,
  limit = START_MS,
): Promise<void> {
  let last: unknown;
  for (const end = performance.now() + limit; performance.now() < end; await delay(POLL_MS)) {
    try {
      if (await check()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
  }
  throw last ?? new Error(`${what}: not within ${limit} ms`);
}

/** A redis-server with a TCP port on loopback, which can be killed, paused and started again. */
export class RedisProcess {
  readonly port: number;
  /** Its files; they stay when it ends, so that it finds its data when it starts again. */
  readonly dir: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #client: Master | undefined;

  constructor(port: number, args: readonly string[]) {
    this.port = port;
    this.dir = join(folder, String(port));
    mkdirSync(this.dir, { recursive: true });
    this.#args = args;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Sends one command; it waits for a server that is paused. */
  async call(...words: (string | number)[]): Promise<unknown> {
    this.#client ??= connect(this.url, CLIENT_DEADLINE) as Master;
    const client = this.#client;
    if (client.listenerCount("error") === 0) client.on("error", () => {});
    const [command = "", ...args] = words.map(String);
    return client.call(command, ...args);
  }

  /** The connection that call() uses, for what needs a client. */
  async client(): Promise<Master> {
    await until(`Redis on ${this.port} answers`, async () => (await this.call("PING")) === "PONG");
    return this.#client as Master;
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const child = spawn("redis-server", [...this.#args, "--dir", this.dir], { stdio: "ignore" });
    children.add(child);
    child.once("exit", () => children.delete(child));
    this.#child = child;
    await this.client();
  }

  signal(name: "SIGSTOP" | "SIGCONT"): void {
    this.#child?.kill(name);
  }

  /** Ends it at once, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    this.#client?.disconnect();
    this.#client = undefined;
    await this.kill();
  }
}

/** Redis without persistence, unless `settings` ask for it. */
export async function startRedisServer(...settings: string[]): Promise<RedisProcess> {
  const [port = 0] = await freePorts(1);
  return startRedisOn(port, ...settings);
}

export async function startRedisOn(port: number, ...settings: string[]): Promise<RedisProcess> {
  const server = redisOn(port, ...settings);
  await server.start();
  return server;
}

/** A server that has not been started. */
export function redisOn(port: number, ...settings: string[]): RedisProcess {
  // A replica is in sync at once.
  const replication = ["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"];
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", ...replication];
  return new RedisProcess(port, [...args, ...settings]);
}

export interface SentinelOptions {
  /** Sentinels that must agree that the master is away. */
  quorum?: number;
  /** ms without an answer after which a sentinel takes the master for away. */
  downAfter?: number;
  /** ms that a failover may take; a sentinel begins no other one within twice this time. */
  failoverTimeout?: number;
}

/** A sentinel of the group "group". */
export async function startSentinel(
  master: number,
  options: SentinelOptions = {},
): Promise<RedisProcess> {
  const { quorum = 1, downAfter = 30_000, failoverTimeout = 10_000 } = options;
  const [port = 0] = await freePorts(1);
  const file = join(folder, `sentinel-${port}.conf`);
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `sentinel monitor group 127.0.0.1 ${master} ${quorum}`,
    `sentinel down-after-milliseconds group ${downAfter}`,
    `sentinel failover-timeout group ${failoverTimeout}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const server = new RedisProcess(port, [file, "--sentinel"]);
  await server.start();
  return server;
}
