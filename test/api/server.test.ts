import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setImmediate } from "node:timers/promises";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { NODE_ARGS } from "../../domain/threads/worker_thread.ts";
import { WAIT } from "../support/patience.ts";
import { Client, TestSession } from "../support/service.ts";

/** The program rejects wrong settings, greets, stops in order, and leaves nothing behind. */

const ROOT = join(import.meta.dirname, "../..");
/** A program needs seconds of CPU to start. */
const STARTED = { ...WAIT, timeout: 110_000 };
const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };

let dir: string;

/** Runs a program that ends by itself. */
async function run(more: object) {
  const child = spawn(process.execPath, [...NODE_ARGS, "api/server.ts"], {
    cwd: ROOT,
    env: environment(more),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [status] = await ended;
  return { status, stdout, stderr };
}

/** It waits for ten seconds, so it is started before the other tests. */
const ownDir = mkdtempSync(join(tmpdir(), "bpf-server-"));
const withDeadPort = run({ REDIS_URL: "redis://127.0.0.1:1", DATA_DIR: ownDir });
afterAll(() => rmSync(ownDir, { recursive: true, force: true }));

const started: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "bpf-server-"));
});
afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  }
  const pid = redisPid();
  if (pid) await vi.waitFor(() => expect(isAlive(pid)).toBe(false), WAIT);
  rmSync(dir, { recursive: true, force: true });
});

interface ServerProgram {
  child: ChildProcess;
  base: string;
  greeting: string;
  /** Resolves to the exit code. */
  exited: Promise<number | null>;
}

function environment(more: object) {
  const { REDIS_URL: _, API_KEYS_FILE: __, ...rest } = process.env;
  return { ...rest, PORT: "0", DATA_DIR: dir, LOG_LEVEL: "error", ...more };
}

async function start(more: object = {}): Promise<ServerProgram> {
  const child = spawn(process.execPath, [...NODE_ARGS, "api/server.ts"], {
    cwd: ROOT,
    env: environment(more),
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(child);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  let greeting = "";
  child.stdout.on("data", (chunk) => {
    greeting += String(chunk);
  });
  await vi.waitFor(() => expect(greeting).toContain("/v1/fds/3\n"), STARTED);
  const base = /^bpf objects at (\S+)/.exec(greeting)?.[1] ?? "";
  return { child, base, greeting, exited };
}

async function session(base: string): Promise<TestSession> {
  return new TestSession(base, (await new Client(base).post("/v1/sessions")).body);
}

/** The pid of the private Redis; undefined once it has ended in order. */
function redisPid(): number | undefined {
  const file = join(dir, "redis/redis.pid");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).pid : undefined;
}

function isAlive(pid: number | undefined): boolean {
  return pid !== undefined && existsSync(`/proc/${pid}`);
}

const refused = (base: string, path: string) =>
  new Client(base).get(path).then(
    ({ status }) => status,
    () => "refused",
  );

/** What the program says of a setting before it ends. */
function complaintOf(more: Record<string, string>): string {
  try {
    readConfig({ PORT: "0", DATA_DIR: dir, ...more });
    return "";
  } catch (error) {
    return `${(error as Error).message}\n`;
  }
}

describe("settings", () => {
  it.each<[string, Record<string, string>, RegExp]>([
    ["a port", { PORT: "http" }, /^PORT=http: must be an integer from 0 to 65535\n$/],
    ["a port out of range", { PORT: "65536" }, /PORT=65536: must be an integer from 0 to 65535/],
    ["the number of workers", { WORKERS: "0" }, /WORKERS=0: must be an integer from 1 to 64/],
    ["a log level", { LOG_LEVEL: "loud" }, /LOG_LEVEL=loud: must be one of error, info/],
    [
      "a short secret",
      { TOKEN_SECRET: "short" },
      /TOKEN_SECRET: must have at least 32 characters, got 5/,
    ],
    ["an open host without keys", { HOST: "0.0.0.0" }, /^HOST=0\.0\.0\.0: .*loopback only.*\n$/],
    [
      "a keys file that is not there",
      { API_KEYS_FILE: "/nowhere.json" },
      /^API_KEYS_FILE=\/nowhere\.json: .*no such file.*\n$/,
    ],
    [
      "a REDIS_URL that is none",
      { REDIS_URL: "http://me:secret@host" },
      /^REDIS_URL=\*{3}@host: must be redis:.*\n$/,
    ],
    ["a value of two lines", { CPUS: "1\n2" }, /^CPUS="1\\n2": must be an integer from 1 to 64\n$/],
  ])("a wrong setting (%s) is refused with a message", (_, more, message) => {
    expect(complaintOf(more)).toMatch(message);
  });

  it("wrong settings end the program with one line for each and exit code 1", async () => {
    const wrong = { WORKERS: "x", HOST: "::", TOKEN_SECRET: "short", LOG_LEVEL: "loud" };
    const { status, stderr, stdout } = await run(wrong);
    expect(stderr).toMatch(
      /^(WORKERS=x|HOST=::|TOKEN_SECRET|LOG_LEVEL=loud): .*\n((?!\1)[A-Z_]+(=\S+)?: .*\n){3}$/,
    );
    expect(stderr, "a message, not a stack").not.toMatch(/\n {4}at /);
    expect([status, stdout]).toEqual([1, ""]);
    expect(redisPid()).toBeUndefined();
  });

  it("a keys file of the wrong shape is rejected with the reason", () => {
    const file = join(dir, "keys.json");
    writeFileSync(file, JSON.stringify({ keys: [{ id: "a" }] }));
    expect(complaintOf({ API_KEYS_FILE: file })).toMatch(/keys\.json: .*sha256/);
  });

  it("a port in use ends the program and its Redis", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const other = mkdtempSync(join(tmpdir(), "bpf-server-"));
    const PORT = String((taken.address() as AddressInfo).port);
    const { status, stderr } = await run({ PORT, DATA_DIR: other });
    taken.close();
    expect([status, stderr]).toEqual([1, expect.stringMatching(/EADDRINUSE.*set another PORT/)]);
    expect(existsSync(join(other, "redis/redis.pid"))).toBe(false);
    rmSync(other, { recursive: true });
  });
});

it("a truncated token secret is rejected", async () => {
  writeFileSync(join(dir, "token-secret"), "");
  const { status, stderr } = await run({});
  expect([status, stderr]).toEqual([1, expect.stringContaining("token-secret is too short")]);
});

describe("a REDIS_URL where nothing listens", () => {
  it("a dead port is logged once, with the reason, before the start gives up", async () => {
    const { status, stderr } = await withDeadPort;
    const lines = stderr.trimEnd().split("\n");
    expect([status, ...lines.map((line) => JSON.parse(line).message)]).toEqual([
      1,
      "Redis is unavailable: connect ECONNREFUSED 127.0.0.1:1; trying again until it is back",
      "no connection to Redis within 10 s",
    ]);
  });
});

describe("the greeting", () => {
  it("the greeting has three curl lines that work in sh, and a second SIGTERM changes nothing", async () => {
    const { child, exited, greeting } = await start({ DRAIN_MS: "200" });
    const lines = greeting.split("\n").filter((line) => line.includes("curl"));
    expect(lines).toHaveLength(3);
    const { stdout, stderr } = spawnSync("sh", { input: lines.join("\necho\n"), encoding: "utf8" });
    expect(stderr).toBe("");
    const [, created = "", info = ""] = stdout.split("\n");
    expect(JSON.parse(created)).toEqual({ fd: 3, id: 1 });
    expect(JSON.parse(info)).toMatchObject({ kind: "map", id: 1, map_type: "hash", fd: 3 });
    // A second SIGTERM changes nothing.
    child.kill("SIGTERM");
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
  });
});

describe("SIGTERM", () => {
  it("SIGTERM fails readyz, finishes running requests, stops Redis and exits with 0", async () => {
    const { child, base, exited } = await start({ DRAIN_MS: "2500" });
    const root = await session(base);
    const pid = redisPid();
    expect(isAlive(pid)).toBe(true);
    const slow = begin(base, root);
    await slow.connected;

    child.kill("SIGTERM");
    await vi.waitFor(async () => expect(await refused(base, "/readyz")).toBe(503), WAIT);
    // Requests are served until the balancer has noticed.
    expect((await root.post("/v1/maps", HASH)).status).toBe(201);
    expect(await refused(base, "/livez")).toBe(200);
    await vi.waitFor(async () => expect(await refused(base, "/livez")).toBe("refused"), WAIT);
    expect(child.exitCode).toBeNull();
    slow.finish();
    expect(await slow.answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(await exited).toBe(0);
    expect([isAlive(pid), redisPid()]).toEqual([false, undefined]);
  });
});

/** A request whose body comes in two halves. */
function begin(base: string, { token }: TestSession) {
  const body = JSON.stringify(HASH);
  const socket = connect(Number(new URL(base).port), "127.0.0.1");
  let received = "";
  socket.on("data", (chunk) => {
    received += String(chunk);
  });
  socket.write(
    `POST /v1/maps HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
  );
  // The server's 100 Continue says that it has taken the request.
  const connected = vi.waitFor(() => expect(received).toContain("100 Continue"), WAIT);
  const answer = once(socket, "close").then(() =>
    received.replace(/^HTTP\/1\.1 100 .*\r\n\r\n/, ""),
  );
  return { connected, answer, finish: () => socket.write(body) };
}

describe("a private Redis that dies", () => {
  it("the death of the private Redis ends the program with 1; the next start has the data", async () => {
    const first = await start({ LOG_LEVEL: "error" });
    const root = await session(first.base);
    await root.post("/v1/maps", HASH);
    process.kill(Number(redisPid()), "SIGKILL");
    expect(await first.exited).toBe(1);
    const second = await start();
    const again = new TestSession(second.base, {
      session: { id: root.id },
      token: String(root.token),
    });
    expect((await again.get("/v1/fds/3")).body.map_type).toBe("hash");
  });
});

describe("kill -9", () => {
  it("kill -9 leaves no Redis; the next start has data, sessions and tokens", async () => {
    const first = await start();
    const root = await session(first.base);
    await root.post("/v1/maps", HASH);
    await root.put("/v1/fds/3/elements/u32:1", { value: "01020304" });
    await root.put("/v1/fs?path=/pin", { type: "pin", fd: 3 });
    const pid = redisPid();
    first.child.kill("SIGKILL");
    await first.exited;
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), WAIT);

    const second = await start();
    const again = new TestSession(second.base, {
      session: { id: root.id },
      token: String(root.token),
    });
    expect((await again.get("/v1/fds/3/elements/u32:1")).body.value).toBe("01020304");
    expect((await again.get("/v1/maps/1")).body).toMatchObject({ refcnt: 2, usercnt: 2 });
  });
});

describe("WORKERS=2", () => {
  it("WORKERS=2 serves one port from two processes, replaces one that dies, exits with 0", async () => {
    const { child, base, exited } = await start({ WORKERS: "2" });
    const root = await session(base);
    await root.post("/v1/maps", HASH);
    const pids = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8");
    const workers = pids.trim().split(" ").map(Number).filter(isWorker);
    expect(workers).toHaveLength(2);
    process.kill(workers[0] as number, "SIGKILL");
    // Connections that the dead worker had accepted are reset at once, and none hangs.
    const outcomes = await connections(root);
    expect(outcomes.filter((outcome) => outcome === 200).length).toBeGreaterThan(50);
    await vi.waitFor(async () => expect(await statuses(root)).toEqual([200]), WAIT);
    const pid = redisPid();
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect([isAlive(pid), ...workers.map(isAlive)]).toEqual([false, false, false]);
  });
});

function isWorker(pid: number): boolean {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("server.ts");
}

/** Each request has its own connection, because undici's pool may keep one of the killed worker. */
const get = (root: TestSession) => root.get("/v1/fds/3", { connection: "close" });

/** Two in each turn of the event loop, so that some arrive while a worker dies. */
async function connections(root: TestSession): Promise<(number | "reset")[]> {
  const status = () =>
    get(root).then(
      ({ status }) => status,
      () => "reset" as const,
    );
  const begun: Promise<number | "reset">[] = [];
  for (let turn = 0; turn < 50; turn++) {
    begun.push(status(), status());
    await setImmediate();
  }
  return Promise.all(begun);
}

async function statuses(root: TestSession): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(root)));
  return [...new Set(answers.map(({ status }) => status))];
}
