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
const CLOCK = ["offset", "tick", "next", "base", "skew"] as const;
type Clock = Record<(typeof CLOCK)[number], string>;

/** The state of the namespace's clock. */
export async function readClock(redis: RedisClient, namespace: string): Promise<Clock> {
  const words = ((await redis.hget(meta(namespace), "time")) ?? "").split(" ");
  return named(CLOCK, words) as Clock;
}

/** Lets time pass for the namespace, in one step. */
export async function passTime(redis: RedisClient, namespace: string, ms: number): Promise<void> {
  const script = `
    local offset, rest = redis.call("HGET", KEYS[1], "time"):match("^(%S+)( .*)$")
    redis.call("HSET", KEYS[1], "time", ("%.0f"):format(offset + ARGV[1]) .. rest)`;
  await redis.eval(script, 1, meta(namespace), ms);
}

export async function readLife(redis: RedisClient, namespace: string, sid: number | string) {
  const life = await redis.hgetBuffer(`bpf:{${namespace}}:session:${sid}`, "life");
  return unpackLife(life ?? Buffer.alloc(17));
}
