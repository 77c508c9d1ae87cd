import type { Kernel } from "../../domain/bpf.ts";
import { CRED, MAP_ATTR } from "../../domain/redis/records.ts";

/** Reads and changes the fields that the Lua packs, see domain/redis/records.ts. */

export type RedisClient = Kernel["script"]["redis"];

export type RecordFields = Record<string, string>;

const named = (fields: readonly string[], words: readonly string[]): RecordFields =>
  Object.fromEntries(fields.map((field, i) => [field, words[i] ?? ""]));

/** Unpacks the field `life` of a session: two doubles and the hash of its token. */
export function unpackLife(life: Buffer): RecordFields {
  const token = life.subarray(16, life.indexOf(0, 16)).toString();
  return { deadline: String(life.readDoubleLE(0)), ttl: String(life.readDoubleLE(8)), token };
}

export const unpackCred = (cred: string): RecordFields => named(CRED, cred.split(" "));

export function unpackAttr(attr: string): RecordFields {
  const fields = named(MAP_ATTR, attr.split(" "));
  return Object.fromEntries(Object.entries(fields).filter(([, word]) => word !== "-"));
}

export function unpackInode(text: string): RecordFields {
  const [kind = "", mode = "", uid = "", gid = "", nlink = "", ...object] = text.split(" ");
  return { kind, mode, uid, gid, nlink, object: object.join(" ") };
}

const meta = (namespace: string) => `bpf:{${namespace}}:meta`;
const CLOCK = ["skew", "tick", "allowance", "next"] as const;
type Clock = Record<(typeof CLOCK)[number], number>;

export async function readClock(redis: RedisClient, namespace: string): Promise<Clock> {
  const words = ((await redis.hget(meta(namespace), "clock")) ?? "").split(" ").map(Number);
  return Object.fromEntries(CLOCK.map((field, i) => [field, words[i] ?? Number.NaN])) as Clock;
}

/** Advances parts of the namespace's clock in one step. */
export async function shiftClock(
  redis: RedisClient,
  namespace: string,
  by: Partial<Clock>,
): Promise<void> {
  const script = `
    local words, i = {}, 0
    for word in redis.call("HGET", KEYS[1], "clock"):gmatch("%S+") do
      i = i + 1
      words[i] = ("%.0f"):format(tonumber(word) + tonumber(ARGV[i]))
    end
    redis.call("HSET", KEYS[1], "clock", table.concat(words, " "))`;
  await redis.eval(script, 1, meta(namespace), ...CLOCK.map((field) => by[field] ?? 0));
}

export async function readLife(redis: RedisClient, namespace: string, sid: number | string) {
  const life = await redis.hgetBuffer(`bpf:{${namespace}}:session:${sid}`, "life");
  return unpackLife(life ?? Buffer.alloc(17));
}
