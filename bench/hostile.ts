import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { NODE_ARGS } from "../domain/threads/worker_thread.ts";
import { freePorts } from "./free_ports.ts";
import { HOSTILE_CASES, type HostileRequest, type SendHostile } from "./hostile_cases.ts";
import { ROOT, START_MS } from "./processes.ts";
import { startRedis } from "./redis_servers.ts";
import { head, row } from "./table.ts";
import { newSession } from "./world.ts";

/**
 * Prints how long each hostile request holds the event loop, in CPU time, and Redis: the least of a few
 * repetitions, because other work of the machine only adds. `bench/hostile.ts WORD` runs the cases
 * whose names have the word.
 */

const REPETITIONS = 2;
const SETTLE_MS = 30;
/** Compiling the validators of the document is over so long after the start. */
const WARM_MS = 6_000;

interface Figures {
  status: number;
  /** ms that the event loop was held. */
  loop: number;
  /** ms of the longest script. */
  script: number;
}

async function startService(url: string): Promise<{ base: string; child: ChildProcess }> {
  const [port = 0] = await freePorts(1);
  const probe = join(import.meta.dirname, "hostile_probe.ts");
  const child = fork(join(ROOT, "api/server.ts"), [], {
    execArgv: [...NODE_ARGS, "--import", probe],
    env: { ...process.env, REDIS_URL: url, PORT: String(port), LOG_LEVEL: "error" },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  process.on("exit", () => child.kill("SIGKILL"));
  const base = `http://127.0.0.1:${port}`;
  const isReady = () =>
    fetch(`${base}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  for (const end = Date.now() + START_MS; Date.now() < end && !(await isReady()); ) {
    await delay(SETTLE_MS);
  }
  await delay(WARM_MS);
  return { base, child };
}

/** The longest time since the last call. */
async function longestTurn(child: ChildProcess): Promise<number> {
  const answer = once(child, "message");
  child.send("read");
  return (await answer)[0] as number;
}

async function longestScript(redis: Redis): Promise<number> {
  const log = (await redis.slowlog("GET", -1)) as [number, number, usec: number][];
  await redis.slowlog("RESET");
  return Math.max(0, ...log.map(([, , usec]) => usec)) / 1000;
}

function sender(base: string, token: string): SendHostile {
  return async ({ method, path, body }: HostileRequest) => {
    const type = Buffer.isBuffer(body) ? "application/octet-stream" : "application/json";
    const response = await fetch(base + path, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": type },
      ...(body === undefined ? {} : { body: Buffer.isBuffer(body) ? new Uint8Array(body) : body }),
    }).catch((error: Error) => {
      throw new Error(`${method} ${path}: ${error.message} ${String(error.cause)}`);
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json");
    return { status: response.status, body: isJson && text.length < 1e6 ? JSON.parse(text) : text };
  };
}

interface World {
  child: ChildProcess;
  redis: Redis;
  send: SendHostile;
}

async function measure({ child, redis, send }: World, request: HostileRequest): Promise<Figures> {
  const best = { status: 0, loop: Number.POSITIVE_INFINITY, script: Number.POSITIVE_INFINITY };
  for (let i = 0; i < REPETITIONS; i++) {
    await delay(SETTLE_MS);
    await longestTurn(child);
    await longestScript(redis);
    const { status } = await send(request).catch(() => ({ status: 0 }));
    await delay(SETTLE_MS);
    best.loop = Math.min(best.loop, await longestTurn(child));
    best.script = Math.min(best.script, await longestScript(redis));
    best.status = status;
  }
  return best;
}

const nameOf = ({ method, path, body = "" }: HostileRequest) =>
  `${method} ${path.slice(0, 60)} (${(body.length / 1e6).toFixed(1)} MB)`;

/** Where it is allowed, Redis goes before all other processes, which its clock would count as well. */
function prefer(pid: number): void {
  spawnSync("chrt", ["--fifo", "--all-tasks", "--pid", "1", String(pid)]);
}

async function main(word = ""): Promise<void> {
  const redis = await startRedis("hostile");
  prefer(redis.pid);
  await redis.client.config("SET", "slowlog-log-slower-than", 1000, "slowlog-max-len", 10_000);
  const { base, child } = await startService(redis.url);
  const say = (line: string) => process.stdout.write(`${line}\n`);
  for (const line of head("case", "request", "status", "loop ms", "script ms")) say(line);
  for (const { name, prepare } of HOSTILE_CASES.filter((one) => one.name.includes(word))) {
    const token = await newSession(base, `hostile-${randomBytes(4).toString("hex")}`);
    const send = sender(base, token);
    for (const request of await prepare(send)) {
      const { status, loop, script } = await measure({ child, redis: redis.client, send }, request);
      say(row(name, nameOf(request), status, loop.toFixed(0), script.toFixed(1)));
    }
  }
}

main(process.argv[2]).then(
  () => process.exit(0),
  (error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
