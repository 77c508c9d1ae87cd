import { type RedisClient, unpackInode } from "./stored.ts";

/** What is left of a namespace when all sessions have ended and all pins are removed. */

/** These keys may remain: counters, and records that expire by themselves. */
const COUNTERS = /:meta$/;
const EXPIRING = /:(ended|idem|draft):[^:]+/;

/** Returns the keys that should not be there. */
export async function leftKeys(redis: RedisClient, namespace: string): Promise<string[]> {
  const root = `bpf:{${namespace}}:`;
  const left: string[] = [];
  for (const key of await redis.keys(`${root}*`)) {
    if (COUNTERS.test(key)) continue;
    if (EXPIRING.test(key) && (await redis.pttl(key)) > 0) continue;
    if (key === `${root}inode:1` && unpackInode((await redis.get(key)) ?? "").nlink === "2")
      continue;
    left.push(key);
  }
  return left;
}
