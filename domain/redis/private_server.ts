import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/**
 * Starts a private redis-server (or valkey-server) in the data folder. Invariants: a folder has one server;
 * the server ends with the service, however that ends; only processes started here are signalled.
 */

type LogFile = (line: string) => void;
type Mark = { pid: number; start: string }; // a pid alone may have been reused

const SETTINGS =
  "--port 0 --unixsocketperm 700 --protected-mode yes --daemonize no --dir . --logfile redis.log " +
  "--appendonly yes --appendfsync everysec --maxmemory-policy noeviction";
const START_MS = 10_000;
const STOP_MS = 15_000;

/**
 * The sh between the service and the server. It holds the read end of a pipe whose write end only
 * the service has: end of file there means that the service has ended, by kill -9 too.
 * $1 is the folder of the short path, or empty; the rest is the server's command line.
 */
const SUPERVISOR = `
short=$1; shift; exec 3<&0
"$@" </dev/null >>redis.log 2>&1 3<&- & server=$!
echo "$server"; exec >/dev/null 2>&1
( read -r _ <&3; kill -TERM "$server"; n=0
  while [ "$n" -lt 100 ] && kill -0 "$server"; do sleep 0.1; n=$((n+1)); done
  kill -KILL "$server" ) & watch=$!
exec 3<&-; wait "$server"; code=$?; kill "$watch"
[ -z "$short" ] || { rm -f "$short/d"; rmdir "$short"; }
exit "$code"`;

/** `url` is the socket's path, as ioredis and `redis-cli -s` take it; all paths are absolute. */
export async function startPrivateRedis(options: {
  dir: string;
  log?: LogFile;
  /** Called when the server ends without stop(). */
  onEnd?: () => void;
}): Promise<{ url: string; pid: number; stop(): Promise<void> }> {
  const log = options.log ?? (() => {});
  const binary = findBinary();
  const folder = join(resolve(options.dir), "redis");
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { base, short } = shortPath(folder);
  const [pidFile, socket] = [join(folder, "redis.pid"), join(base, "redis.sock")];
  let [lock, child, server, stopping]: Partial<[Server, ChildProcess, Mark, Promise<void>]> = [];

  async function end(): Promise<void> {
    if (server) await stopProcess(server);
    child?.stdin?.destroy();
    if (child) for (const path of [socket, pidFile]) fs.rmSync(path, { force: true });
    await new Promise((done) => (lock ? lock.close(done) : done(null)));
    if (short) fs.rmSync(short, { recursive: true, force: true });
  }

  try {
    lock = await takeLock(folder, base);
    await stopLeftover(pidFile, log);
    const args = [...SETTINGS.split(" "), "--save", "", "--unixsocket", socket];
    // detached: a Ctrl-C of the terminal is for the service, which needs Redis while it drains.
    child = spawn("/bin/sh", ["-c", SUPERVISOR, "sh", short, binary, ...args], {
      cwd: folder,
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    child.on("error", (error) => log(error.message));
    let ready = false;
    child.on("exit", (code) => {
      if (stopping) return;
      log(`the private Redis has ended (code ${code})`);
      if (ready) options.onEnd?.();
    });
    for await (const line of child.stdout ?? []) {
      server = mark(Number(line));
      break;
    }
    if (server) fs.writeFileSync(pidFile, JSON.stringify(server), { mode: 0o600 });
    await waitUntilReady(socket, child, log);
    ready = true;
    child.unref();
    return { url: socket, pid: server?.pid ?? 0, stop: () => (stopping ??= end()) };
  } catch (error) {
    await end();
    if (!child) throw error;
    const lines = fs.readFileSync(join(folder, "redis.log"), "utf8").trim().split("\n");
    throw new Error(`${(error as Error).message}; redis.log: ${lines.slice(-3).join(" / ")}`);
  }
}

function findBinary(): string {
  let found = "none is on PATH";
  for (const name of ["redis-server", "valkey-server"]) {
    const { stdout } = spawnSync(name, ["--version"], { encoding: "utf8" });
    const [, version, major] = /\bv=((\d+)[\d.]*)/.exec(stdout ?? "") ?? [];
    if (Number(major) >= 7) return name;
    if (version) found = `${name} is ${version}`;
  }
  const ways = "install one, or set REDIS_URL to one that runs, or use docker compose up";
  throw new Error(`no redis-server or valkey-server 7.0 or newer (${found}): ${ways}`);
}

/** The folder by a path that fits a socket address and a URL: itself, or a link under tmpdir. */
function shortPath(folder: string): { base: string; short: string } {
  const longest = Buffer.byteLength(join(folder, "lock-4194304-ffffffff.sock"));
  // 103 is what macOS takes, Linux 107.
  if (longest <= 103 && /^[\w./-]+$/.test(folder)) return { base: folder, short: "" };
  const short = fs.mkdtempSync(join(tmpdir(), "bpf-"));
  fs.symlinkSync(folder, join(short, "d"));
  return { base: join(short, "d"), short };
}

/**
 * One service per folder. Each listens on a socket file of its own there, then looks for others
 * that answer: of two, at least one sees the other. A killed service's socket answers no more.
 */
async function takeLock(folder: string, base: string): Promise<Server> {
  const own = `lock-${process.pid}-${randomBytes(4).toString("hex")}.sock`;
  for (let attempt = 1; ; attempt++) {
    const lock = createServer((peer) => peer.on("error", () => {}).end(`${process.pid}`));
    await once(lock.listen({ path: join(base, own), exclusive: true }), "listening");
    let owner: string | undefined;
    for (const name of fs.readdirSync(folder)) {
      if (!/^lock-.*\.sock$/.test(name) || name === own) continue;
      const answer = await request(join(base, name), "");
      if (answer === undefined) fs.rmSync(join(folder, name), { force: true });
      owner = answer ?? owner;
    }
    if (owner === undefined) return lock.unref();
    await new Promise((done) => lock.close(done));
    if (attempt === 5) {
      const user = `another service (process ${owner || "unknown"})`;
      throw new Error(`${folder} is in use by ${user}: stop that, or set another DATA_DIR`);
    }
    await delay(20 + Math.random() * 100); // two services may have started at the same moment
  }
}

/** Sends a line to a socket: the answer's beginning, "" if silent, undefined if nobody listens. */
function request(path: string, line: string): Promise<string | undefined> {
  return new Promise((done) => {
    const peer = connect(path, () => line && peer.write(line));
    peer.setTimeout(1000, () => peer.destroy());
    peer.once("data", (data) => done(data.toString())).once("data", () => peer.destroy());
    peer.once("error", ({ code = "" }: NodeJS.ErrnoException) => {
      done(code === "ECONNREFUSED" || code === "ENOENT" ? undefined : "");
    });
    peer.once("close", () => done(""));
  });
}

/** Stops the server of a killed service, in case its supervisor was killed too. */
async function stopLeftover(pidFile: string, log: LogFile): Promise<void> {
  const text = fs.existsSync(pidFile) ? fs.readFileSync(pidFile, "utf8") : "";
  const [, pid = "", start = ""] = /^{"pid":(\d+),"start":"(.+)"}$/.exec(text) ?? [];
  const server = { pid: Number(pid), start };
  if (isRunning(server)) log(`stopping the Redis (process ${pid}) that a killed service left`);
  await stopProcess(server);
}

async function stopProcess(server: Mark): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    try {
      if (isRunning(server)) process.kill(server.pid, signal);
    } catch {} // it ended in between
    for (const end = Date.now() + STOP_MS; Date.now() < end; await delay(10)) {
      if (!isRunning(server)) return;
    }
  }
  throw new Error(
    `the private Redis (process ${server.pid}) did not end within ${(2 * STOP_MS) / 1000} s`,
  );
}

const isRunning = ({ pid, start }: Mark) => mark(pid)?.start === start;

/** The living process with this pid. */
function mark(pid: number): Mark | undefined {
  try {
    if (process.platform !== "linux") {
      const start = execFileSync("ps", ["-o", "lstart=", "-p", `${pid}`], { encoding: "utf8" });
      return { pid, start: start.trim() };
    }
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "Z", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const boot = fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return "ZX".includes(state) ? undefined : { pid, start: `${boot} ${fields[18]}` };
  } catch {
    return undefined;
  }
}

async function waitUntilReady(socket: string, child: ChildProcess, log: LogFile): Promise<void> {
  let loading = false;
  for (let end = Date.now() + START_MS; Date.now() < end; await delay(loading ? 50 : 5)) {
    if (child.exitCode !== null) throw new Error("the private Redis does not start");
    const answer = await request(socket, "PING\r\n");
    if (answer?.startsWith("+PONG")) return;
    if (!answer?.startsWith("-LOADING")) continue;
    if (!loading) log("the private Redis is loading its data");
    loading = true;
    end = Date.now() + START_MS; // it is making progress while it answers
  }
  throw new Error(`the private Redis does not answer on ${socket}`);
}
