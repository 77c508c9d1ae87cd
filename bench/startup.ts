import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { checkOut, EVALSHA_COMMIT } from "./history.ts";
import { ROOT, stop } from "./processes.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";
import { startService } from "./world.ts";

/** Measures a start, from spawning the service to its greeting, on a running Redis. */

export const NOW = "today";
export const BEFORE = "before (EVALSHA)";
export const STARTS = 5;

/** Version -> ms of each round. */
export type Startup = Record<string, number[]>;

async function startOnce(redis: { url: string }, cwd: string): Promise<number> {
  const began = performance.now();
  const service = await startService(redis, { cwd });
  const ms = performance.now() - began;
  await stop(service);
  return ms;
}

interface Version {
  cwd: string;
  redis: RedisServer;
  remove(): void;
}

async function versions(say: (line: string) => void): Promise<Record<string, Version>> {
  const all: Record<string, Version> = {
    [NOW]: { cwd: ROOT, redis: await startRedis("startup"), remove: () => {} },
  };
  try {
    const { folder, remove } = checkOut();
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    all[BEFORE] = { cwd: folder, redis: await startRedis("startup-before"), remove };
  } catch (error) {
    say(`no service of ${EVALSHA_COMMIT} to compare with: ${(error as Error).message}`);
  }
  return all;
}

export async function startup(say: (line: string) => void): Promise<Startup> {
  say("start-up");
  const all = await versions(say);
  const measured: Startup = {};
  for (let round = -1; round < STARTS; round++) {
    for (const [name, { cwd, redis }] of Object.entries(all)) {
      const ms = await startOnce(redis, cwd);
      if (round >= 0) measured[name] = [...(measured[name] ?? []), ms];
    }
  }
  for (const { redis, remove } of Object.values(all)) {
    await redis.stop();
    remove();
  }
  return measured;
}
