import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createKernel, type Kernel } from "../domain/bpf.ts";
import { Unavailable } from "../domain/errno.ts";
import { Sweeper } from "../domain/sweeper.ts";
import { createService } from "./app.ts";
import type { Config } from "./config.ts";
import type { Logger } from "./log.ts";
import type { RequestIds } from "./trace.ts";

/** Starts one process of the service, and stops it without losing a request. */

export interface Running {
  address: AddressInfo;
  stop(): Promise<void>;
}

const STOP_MS = 15_000;
/** Connections that wait to be accepted; a client that finds no place tries again after a second or more. */
const BACKLOG = 4096;

/** Logs the begin and the end of an outage of Redis, however many connections fail in between. */
function logOutages(redis: Kernel["script"]["redis"], log: Logger): void {
  let isAway = false;
  const onAway = (reason: string) => {
    if (isAway) return;
    isAway = true;
    log("error", `Redis is unavailable: ${reason}; trying again until it is back`);
  };
  redis.on("error", (error: Error) => onAway(error.message));
  redis.on("reconnecting", () => onAway("the connection was closed"));
  redis.on("ready", () => {
    if (isAway) log("info", "Redis is back");
    isAway = false;
  });
}

/** @param url address of Redis. @param secret key of all tokens. */
export async function startService(
  config: Config,
  url: string,
  secret: Buffer,
  log: Logger,
): Promise<Running> {
  const kernel = createKernel(url, secret, config.settings);
  const { redis } = kernel.script;
  const onFault = (error: unknown, ids?: RequestIds) =>
    log("error", (error as Error).message, { ...ids, stack: (error as Error).stack });
  const onInvalidDocument = (error: Error) => {
    onFault(error);
    process.exit(1);
  };
  logOutages(redis, log);
  await kernel.script.ready();
  for (const warning of kernel.script.checks.warnings) log("info", warning);
  let draining = false;
  const ready = async () => {
    if (draining) throw new Unavailable("the service is stopping");
    await kernel.script.ping();
  };
  const server = await createService(
    { kernel, keys: config.keys, ready },
    { onFault, access: config.access, compile: "listening", onInvalidDocument },
  );
  const sweeper = new Sweeper(kernel, (error) => log("info", `sweep: ${(error as Error).message}`));
  server.listen({ port: config.port, host: config.host, backlog: BACKLOG });
  await once(server, "listening");
  sweeper.start();
  kernel.warm();
  const address = server.address() as AddressInfo;

  async function stop(): Promise<void> {
    draining = true;
    await new Promise((resolve) => setTimeout(resolve, config.drain));
    const closed = once(server, "close");
    server.close();
    server.closeIdleConnections();
    kernel.wake.stop();
    const limit = setTimeout(() => server.closeAllConnections(), STOP_MS);
    await closed;
    clearTimeout(limit);
    await Promise.all([sweeper.stop(), kernel.renewals.settle()]);
    kernel.disconnect();
  }
  return { address, stop };
}
