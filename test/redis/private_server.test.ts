// The private Redis: its data survives, it ends with its service, and a folder has one service.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startPrivateRedis } from "../../domain/redis/private_server.ts";
import { NODE_ARGS } from "../../domain/threads/worker_thread.ts";
import { WAIT } from "../support/patience.ts";

let dir: string;
const started: ChildProcess[] = [];
const servers: { stop(): Promise<void> }[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "redis-server-test-"));
});

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  for (const server of servers.splice(0)) await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function start(log?: (line: string) => void) {
  const server = await startPrivateRedis({ dir, ...(log && { log }) });
  servers.push(server);
  return server;
}

/** Sends one inline command and gives the reply's first lines. */
function redis(url: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(url, () => socket.write(`${command}\r\n`));
    socket.once("error", reject);
    socket.once("data", (data) => {
      socket.destroy();
      resolve(data.toString());
    });
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !(
      existsSync(`/proc/${pid}/stat`) && / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
    );
  } catch {
    return false;
  }
}

/** Waits for a process to end; the milliseconds that took. */
async function gone(pid: number): Promise<number> {
  const begin = performance.now();
  while (isAlive(pid)) {
    if (performance.now() - begin > WAIT.timeout) throw new Error(`process ${pid} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - begin;
}

interface PrivateService {
  child: ChildProcess;
  url: string;
  pid: number;
}

/** A service of its own process that has started the private Redis of `dir`. */
async function startService(): Promise<PrivateService> {
  const module = join(import.meta.dirname, "../../domain/redis/private_server.ts");
  const script = join(dir, "service.mjs");
  writeFileSync(
    script,
    `import { startPrivateRedis } from ${JSON.stringify(module)};
     const redis = await startPrivateRedis({ dir: ${JSON.stringify(dir)} });
     process.on("SIGTERM", async () => { await redis.stop(); process.exit(0); });
     setInterval(() => {}, 1000);
     console.log(JSON.stringify(redis));`,
  );
  const child = spawn(process.execPath, [...NODE_ARGS, script], {
    cwd: join(import.meta.dirname, "../.."),
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, ...JSON.parse(line) };
  }
  throw new Error("the service has not started");
}

/** The pids of the sh processes between a service and its server. */
function supervisors(serverPid: number): number[] {
  const [, parent] = /\) \S (\d+)/.exec(readFileSync(`/proc/${serverPid}/stat`, "utf8")) ?? [];
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, "utf8");
  const pids = children.trim().split(" ").map(Number);
  return [Number(parent), ...pids.filter((pid) => pid !== serverPid)];
}

test("is set up to lose nothing and to be reached by its socket only", async () => {
  const { url, pid } = await start();
  expect(await redis(url, "CONFIG GET appendonly")).toContain("yes");
  expect(await redis(url, "CONFIG GET appendfsync")).toContain("everysec");
  expect(await redis(url, "CONFIG GET maxmemory-policy")).toContain("noeviction");
  expect(await redis(url, "CONFIG GET save")).toMatch(/\$0\r\n\r\n$/);
  expect(await redis(url, "CONFIG GET port")).toContain("$1\r\n0\r\n");
  expect(await redis(url, "INFO server")).toContain(`process_id:${pid}\r\n`);
});

test("the data survives stop and start, and stop leaves no process and no socket", async () => {
  const first = await start();
  await redis(first.url, "SET kept yes");
  await first.stop();
  expect(isAlive(first.pid)).toBe(false);
  expect(readdirSync(join(dir, "redis")).sort()).toEqual(["appendonlydir", "redis.log"]);

  const second = await start();
  expect(await redis(second.url, "GET kept")).toContain("yes");
  await second.stop();
  await second.stop(); // a second call does nothing
});

test("kill -9 of the service ends the server, and the next start has the data", async () => {
  const service = await startService();
  await redis(service.url, "SET kept yes");
  service.child.kill("SIGKILL");
  const next = await start(); // at once: the old server may still be ending
  expect(next.pid).not.toBe(service.pid);
  expect(isAlive(service.pid)).toBe(false);
  expect(await redis(next.url, "GET kept")).toContain("yes");
});

test("kill -9 of the service leaves no process behind, without a next start", async () => {
  const service = await startService();
  const shells = process.platform === "linux" ? supervisors(service.pid) : [];
  service.child.kill("SIGKILL");
  expect(await gone(service.pid)).toBeLessThan(3000);
  for (const pid of shells) await gone(pid);
});

test.runIf(process.platform === "linux")(
  "a server left alone by kill -9 of service and supervisors is stopped by the next start",
  async () => {
    const service = await startService();
    await redis(service.url, "SET kept yes");
    for (const pid of supervisors(service.pid)) process.kill(pid, "SIGKILL");
    service.child.kill("SIGKILL");
    await once(service.child, "exit");
    expect(isAlive(service.pid)).toBe(true);

    const lines: string[] = [];
    const next = await start((line) => lines.push(line));
    expect(lines[0]).toContain(`process ${service.pid}`);
    expect(isAlive(service.pid)).toBe(false);
    expect(await redis(next.url, "GET kept")).toContain("yes");
  },
);

test("a pid file that names somebody else's process harms nobody", async () => {
  const first = await start();
  await first.stop();
  const other = spawn("sleep", ["60"]);
  started.push(other);
  const mark = JSON.stringify({ pid: other.pid, start: "another boot 1" });
  writeFileSync(join(dir, "redis", "redis.pid"), mark);
  await start();
  expect(other.pid && isAlive(other.pid)).toBe(true);
});

test("ends with the service at SIGTERM", async () => {
  const service = await startService();
  service.child.kill("SIGTERM");
  const [code] = await once(service.child, "exit");
  expect(code).toBe(0);
  expect(isAlive(service.pid)).toBe(false);
});

test("a second service on the same folder is refused, and the first goes on", async () => {
  const service = await startService();
  const refused = start();
  await expect(refused).rejects.toThrow(/in use by another service \(process \d+\)/);
  await expect(refused).rejects.toThrow(`process ${service.child.pid}`);
  expect(await redis(service.url, "PING")).toBe("+PONG\r\n");
});

test("of services that start on one folder at the same moment exactly one gets it", async () => {
  const results = await Promise.allSettled([start(), start(), start()]);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a folder whose path is too long for a socket works, and keeps its lock", async () => {
  const root = dir;
  dir = join(root, "folder with spaces".repeat(6));
  try {
    const server = await start();
    expect(Buffer.byteLength(server.url)).toBeLessThan(104);
    expect(await redis(server.url, "PING")).toBe("+PONG\r\n");
    await expect(start()).rejects.toThrow("in use by another service");
    await server.stop();
    expect(existsSync(server.url)).toBe(false);
    expect(existsSync(join(server.url, "../.."))).toBe(false);
  } finally {
    dir = root;
  }
});

test("a server that cannot start is reported with the reason from its log", async () => {
  const first = await start();
  await first.stop();
  writeFileSync(join(dir, "redis/appendonlydir/appendonly.aof.manifest"), "nonsense\n");
  await expect(start()).rejects.toThrow(/does not start; redis.log: .*manifest/s);
});
