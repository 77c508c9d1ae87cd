import { ACCESS } from "../domain/redis/command_access.ts";
import { bundleLua } from "../domain/redis/lua_bundle.ts";
import type { RedisValue } from "../domain/redis/redis_value.ts";
import type { RedisServer } from "./redis_servers.ts";
import { callerOf } from "./world.ts";

/** Sends commands of the library directly to Redis, and measures them by the count of Redis. */

export type DirectArgs = (string | number | Buffer)[];

/** The session that sends the commands, and its Redis. */
export interface Direct {
  redis: RedisServer;
  token: string;
  namespace: string;
}

interface DirectCommands {
  fcallBuffer(...args: DirectArgs): Promise<RedisValue[]>;
}

const PIPELINE = 100;
const { functions } = bundleLua();

export const rootOf = (namespace: string) => `bpf:{${namespace}}:`;

/** The arguments of FCALL before those of the command. */
export function head({ token, namespace }: Omit<Direct, "redis">, command: string): DirectArgs {
  const { sid, hash } = callerOf(token);
  const root = rootOf(namespace);
  return [
    functions[ACCESS.get(command) ?? "grow"],
    2,
    root,
    `${root}meta`,
    command,
    sid,
    hash,
    "",
    "",
    "",
  ];
}

/** Returns the usec per call of one command. @throws unless every call succeeds. */
export async function usec(
  direct: Direct,
  command: string,
  calls: number,
  argsOf: (i: number) => DirectArgs,
): Promise<number> {
  const { client } = direct.redis;
  const first = head(direct, command);
  await client.config("RESETSTAT");
  for (let done = 0; done < calls; done += PIPELINE) {
    const some = Array.from({ length: PIPELINE }, (_, i) =>
      (client as unknown as DirectCommands).fcallBuffer(...first, ...argsOf(done + i)),
    );
    for (const [status, detail] of await Promise.all(some)) {
      if (String(status) > "+") throw new Error(`${command}: ${status} ${detail}`);
    }
  }
  const stats = await client.info("commandstats");
  return Number(/cmdstat_fcall:.*usec_per_call=([\d.]+)/.exec(stats)?.[1]);
}

/** Runs bench/fill.lua in short chunks for the elements from `first`, or 1, to n - 1. */
export async function fillUp(
  { redis, namespace }: Omit<Direct, "token">,
  script: string,
  what: string,
  n: number,
  args: (string | number)[],
  first = 1,
): Promise<void> {
  const CHUNK = 5000;
  for (let from = first; from < n; from += CHUNK) {
    const last = Math.min(from + CHUNK, n) - 1;
    await redis.client.eval(script, 1, rootOf(namespace), what, from, last, ...args);
  }
}
