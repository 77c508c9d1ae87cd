import cluster, { type Worker } from "node:cluster";
import { startPrivateRedis } from "../domain/redis/private_server.ts";
import { type Config, readConfig } from "./config.ts";
import { createLog } from "./log.ts";
import { tokenSecret } from "./token_secret.ts";

/**
 * The program: it reads the environment, connects to Redis or starts one, listens, and exits with code 0
 * on SIGTERM. With WORKERS above 1 the first process keeps Redis and the secret, the others share a port.
 */

const read = (): Config => {
  try {
    return readConfig(process.env);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(1);
  }
};

const config = read();
const log = createLog(config.logLevel);

function onStop(stop: () => Promise<void>): void {
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log("info", `${signal}: stopping`);
      stop().then(
        () => process.exit(0),
        (error: Error) => {
          log("error", error.message);
          process.exit(1);
        },
      );
    });
  }
}

function greet(host: string, port: number): void {
  const base = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  process.stdout.write(
    `bpf objects at ${base}   (API reference: ${base}/docs)\n\n` +
      `TOKEN=$(curl -s -X POST ${base}/v1/sessions | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')\n` +
      `curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' ` +
      `-d '{"map_type":"hash","key_size":4,"value_size":8,"max_entries":16}' ${base}/v1/maps\n` +
      `curl -s -H "Authorization: Bearer $TOKEN" ${base}/v1/fds/3\n`,
  );
}

/** Serves as a worker process. Its environment has the URL of Redis and the secret. */
async function work(): Promise<void> {
  const { startService } = await import("./service.ts");
  const service = await startService(config, config.redisUrl ?? "", tokenSecret(config), log);
  onStop(service.stop);
}

// Workers accept connections themselves. With node's default, the first process passes them on, and a
// connection passed to a worker that has just died hangs for ever.
cluster.schedulingPolicy = cluster.SCHED_NONE;

/** Waits so long before a worker is replaced, so that a crash loop does not take all CPUs. */
const REPLACE_MS = 1000;

function listening(worker: Worker): Promise<number> {
  return new Promise((resolve, reject) => {
    worker.once("listening", ({ port }) => resolve(port));
    worker.once("exit", (code) => reject(new Error(`a worker ended with code ${code}`)));
  });
}

async function startWorkers(url: string, secret: Buffer) {
  const env = { REDIS_URL: url, TOKEN_SECRET: secret.toString() };
  const workers = Array.from({ length: config.workers }, () => cluster.fork(env));
  const [port = 0] = await Promise.all(workers.map(listening));
  let stopping = false;
  cluster.on("exit", (worker) => {
    if (stopping) return;
    log("error", `worker ${worker.process.pid} ended; starting a new one`);
    setTimeout(() => stopping || cluster.fork(env), REPLACE_MS);
  });
  const stop = async () => {
    stopping = true;
    const living = Object.values(cluster.workers ?? {}).flatMap((worker) => worker ?? []);
    const ended = living.map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
    for (const worker of living) worker.process.kill("SIGTERM");
    await Promise.all(ended);
  };
  return { port, stop };
}

/** Stops what has been started so far in reverse order, so a signal may come at any time. */
function createStopStack() {
  const started: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (let undo = started.pop(); undo; undo = started.pop()) await undo();
  };
  return { started, stop };
}

async function startRedis() {
  const onEnd = () => {
    log("error", "the private Redis has ended: stopping; the next start uses the same data");
    process.exit(1);
  };
  const { dataDir } = config;
  return startPrivateRedis({ dir: dataDir, log: (line) => log("info", line), onEnd });
}

async function main(): Promise<void> {
  const { started, stop } = createStopStack();
  onStop(stop);
  const secret = tokenSecret(config);
  // Redis starts while the service's modules load. A process that only keeps workers needs no modules.
  const [own, service] = await Promise.all([
    config.redisUrl ? undefined : startRedis(),
    config.workers > 1 ? undefined : import("./service.ts"),
  ]);
  if (own) started.push(own.stop);
  const url = config.redisUrl ?? `unix://${own?.url}`;
  try {
    const running = service
      ? await service.startService(config, url, secret, log)
      : await startWorkers(url, secret);
    started.push(running.stop);
    greet(config.host, "port" in running ? running.port : running.address.port);
  } catch (error) {
    await stop();
    throw error;
  }
}

(cluster.isPrimary ? main() : work()).catch((error: Error) => {
  const hint = error.message.includes("EADDRINUSE") ? ": set another PORT" : "";
  log("error", `${error.message}${hint}`, { cause: String(error.cause ?? "") });
  process.exit(1);
});
