import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ACCESS } from "../domain/redis/command_access.ts";
import { bundleLua } from "../domain/redis/lua_bundle.ts";
import type { RedisValue } from "../domain/redis/redis_value.ts";
import { type DirectArgs, rootOf } from "./direct.ts";
import { checkOut } from "./history.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";

/**
 * The contenders that run the commands of one session directly in Redis: the library, the script of the
 * last commit before it, and functions written by hand for one operation.
 */

/** Sends one command for the session of the bench. */
export type Send = (command: string, args: DirectArgs) => Promise<RedisValue[]>;

export interface Contender {
  redis: RedisServer;
  /** The name in INFO commandstats. */
  stat: "fcall" | "evalsha";
  send: Send;
}

interface Raw {
  fcallBuffer(...args: DirectArgs): Promise<RedisValue[]>;
  evalshaBuffer(...args: DirectArgs): Promise<RedisValue[]>;
}

export const ROOT = rootOf("calls");
export const TOKEN = "t".repeat(43);
/** The session, after it is created. */
const WHO = ["1", TOKEN, "", ""];
const NOBODY = ["", "", "", ""];

const raw = ({ client }: RedisServer) => client as unknown as Raw;
const who = (command: string) =>
  command === "session_create" || command === "sweep" ? NOBODY : WHO;

export async function library(name: string): Promise<Contender> {
  const redis = await startRedis(name);
  const { library: text, functions, masterFunction } = bundleLua();
  await redis.client.function("LOAD", text);
  const keys = ["heartbeat", "due", "names"].map((noun) => `bpf:${noun}:{0}`);
  const [beat = ""] = (await redis.client.fcall(masterFunction, 3, ...keys, "beat", 0)) as string[];
  const send: Send = (command, args) => {
    const called = functions[ACCESS.get(command) ?? "grow"];
    const words = [command, ...who(command), beat, ...args];
    return raw(redis).fcallBuffer(called, 2, ROOT, `${ROOT}meta`, ...words);
  };
  return { redis, stat: "fcall", send };
}

interface OldImage {
  joinLua(): { text: string; modules: Map<string, string> };
}

/** @throws if the git history is missing. */
export async function evalshaScript(): Promise<Contender> {
  const { folder, remove } = checkOut(["domain/lua", "domain/image.ts"]);
  try {
    const { joinLua } = (await import(join(folder, "domain/image.ts"))) as OldImage;
    const { text, modules } = joinLua();
    const redis = await startRedis("calls-script");
    const sha = String(await redis.client.script("LOAD", text));
    const send: Send = (command, args) => {
      const module = modules.get(command) ?? "";
      const words = [ROOT, module, command, ...who(command), ...args];
      return raw(redis).evalshaBuffer(sha, 1, ...words);
    };
    return { redis, stat: "evalsha", send };
  } finally {
    remove();
  }
}

/** @param layout selects functions of by_hand.lua, which run on the other contender's data. */
export async function byHand({ redis }: Contender, layout: "plain" | "packed"): Promise<Contender> {
  const text = readFileSync(join(import.meta.dirname, "by_hand.lua"), "utf8");
  await redis.client.function("LOAD", "REPLACE", text);
  const send: Send = (command, [fd = 0, key = "", value = ""]) => {
    const name = `${layout}_${command === "map_lookup_elem" ? "lookup" : "update"}`;
    const words = ["1", TOKEN, fd, key, ...(name.endsWith("update") ? [value] : [])];
    return raw(redis).fcallBuffer(name, 2, ROOT, `${ROOT}meta`, ...words);
  };
  return { redis, stat: "fcall", send };
}

/** @throws if the command fails. */
export async function good(call: Promise<RedisValue[]>): Promise<RedisValue[]> {
  const [status, ...values] = await call;
  if (String(status) > "+") throw new Error(`${status} ${values[0]}`);
  return values;
}

/** Creates a session for a day. One sweep for a day replaces the sweeper: its absence counts as an outage. */
export async function begin({ send }: Contender): Promise<void> {
  const cred = [0, 0, ",", "*", 18, 100_000];
  await good(send("session_create", ["seed", "", 2, TOKEN, "", 86_400_000, ...cred]));
  await good(send("sweep", [86_400_000]));
}
