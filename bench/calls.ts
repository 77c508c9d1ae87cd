import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ACCESS } from "../domain/redis/commands.ts";
import { bundleLua } from "../domain/redis/lua_bundle.ts";
import type { Value } from "../domain/redis/script.ts";
import { median } from "./load.ts";
import { type Args, rootOf } from "./script.ts";
import { type RedisServer, startRedis } from "./world.ts";

/**
 * What a call costs Redis: the library, the script of the last commit before it, and functions written by
 * hand for one operation, by Redis' own count, each in a Redis of its own.
 */

/** The last commit that ran domain/lua as a script, by EVALSHA. */
const EVALSHA_COMMIT = "408fd25";
const NAMESPACE = "calls";
const ROOT = rootOf(NAMESPACE);
const ROUNDS = 15;
const CALLS = 2000;
const PIPELINE = 100;
const TOKEN = "t".repeat(43);
const KEY = "key0";
const VALUE = "value000";

/** Sends one command for the session of the bench. */
type Send = (command: string, args: Args) => Promise<Value[]>;

interface Contender {
  redis: RedisServer;
  /** As INFO commandstats names it. */
  stat: "fcall" | "evalsha";
  send: Send;
}

interface Raw {
  fcallBuffer(...args: Args): Promise<Value[]>;
  evalshaBuffer(...args: Args): Promise<Value[]>;
}

const raw = ({ client }: RedisServer) => client as unknown as Raw;
/** The session, if it is there yet. */
const WHO = ["1", TOKEN, "", ""];
const NOBODY = ["", "", "", ""];
const who = (command: string) =>
  command === "session_create" || command === "sweep" ? NOBODY : WHO;

async function library(): Promise<Contender> {
  const redis = await startRedis("calls-library");
  const { library: text, functions } = bundleLua();
  await redis.client.function("LOAD", text);
  const send: Send = (command, args) => {
    const name = functions[ACCESS.get(command) ?? "grow"];
    return raw(redis).fcallBuffer(name, 2, ROOT, `${ROOT}meta`, command, ...who(command), ...args);
  };
  return { redis, stat: "fcall", send };
}

interface OldImage {
  joinLua(): { text: string; modules: Map<string, string> };
}

/** @throws where the history is not there: a copy without git, a shallow clone. */
async function oldScript(): Promise<Contender> {
  const folder = mkdtempSync(join(tmpdir(), "bpf-bench-old-"));
  try {
    const paths = ["domain/lua", "domain/image.ts"];
    const archive = execFileSync("git", ["archive", EVALSHA_COMMIT, ...paths], {
      cwd: join(import.meta.dirname, ".."),
      maxBuffer: 64 << 20,
      stdio: ["ignore", "pipe", "ignore"],
    });
    execFileSync("tar", ["-x", "-C", folder], { input: archive });
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
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param layout whose functions of by_hand.lua: on another contender's data, in its Redis. */
async function byHand({ redis }: Contender, layout: "plain" | "packed"): Promise<Contender> {
  const text = readFileSync(join(import.meta.dirname, "by_hand.lua"), "utf8");
  await redis.client.function("LOAD", "REPLACE", text);
  const send: Send = (command, [fd = 0, key = "", value = ""]) => {
    const name = `${layout}_${command === "map_lookup_elem" ? "lookup" : "update"}`;
    const words = ["1", TOKEN, fd, key, ...(name.endsWith("update") ? [value] : [])];
    return raw(redis).fcallBuffer(name, 2, ROOT, `${ROOT}meta`, ...words);
  };
  return { redis, stat: "fcall", send };
}

/** A session, and a map with two elements and a pin: fd 3, /pin. */
async function furnish({ send }: Contender): Promise<void> {
  const cred = [0, 0, ",", "*", 18, 100_000];
  await good(send("session_create", ["seed", "", 2, TOKEN, "", 86_400_000, ...cred]));
  await good(send("map_create", ["hash", 4, 8, 1000, 0, "", "0", "", "", ""]));
  for (const key of [KEY, "key1"]) {
    await good(send("map_update_elem", [3, key, VALUE, 0, ""]));
  }
  await good(send("obj_pin", ["/pin", 3, 0]));
  // There is no sweeper, whose silence would count as an outage.
  await good(send("sweep", [86_400_000]));
}

async function good(call: Promise<Value[]>): Promise<Value[]> {
  const [status, ...values] = await call;
  if (String(status) > "+") throw new Error(`${status} ${values[0]}`);
  return values;
}

type Step = [command: string, args: (i: number) => Args];

/** Operation -> what is measured, and what takes it back, which is measured, too. */
const STEPS: Record<string, Step> = {
  lookup: ["map_lookup_elem", () => [3, KEY, 0, "", 0]],
  update: ["map_update_elem", () => [3, KEY, VALUE, 0, ""]],
  "next key": ["map_get_next_key", () => [3, KEY]],
  "info by fd": ["obj_get_info_by_fd", () => [3]],
  obj_get: ["obj_get", () => ["/pin", 0]],
  close: ["close", (i) => [4 + i]],
  pin: ["obj_pin", (i) => [`/p${i}`, 3, 0]],
  unlink: ["unlink", (i) => [`/p${i}`]],
  map_create: ["map_create", () => ["hash", 4, 8, 1000, 0, "", "0", "", "", ""]],
  "close that frees": ["close", (i) => [4 + i]],
  renew: ["session_renew", () => []],
  "fs stat": ["stat", () => ["/pin", 1, 1, "0", "", 1000]],
};
const BY_HAND = ["lookup", "update"];

async function measure({ redis, stat, send }: Contender, [command, args]: Step): Promise<number> {
  await redis.client.config("RESETSTAT");
  for (let done = 0; done < CALLS; done += PIPELINE) {
    const some = Array.from({ length: PIPELINE }, (_, i) => good(send(command, args(done + i))));
    await Promise.all(some);
  }
  const stats = await redis.client.info("commandstats");
  const found = new RegExp(`cmdstat_${stat}:calls=(\\d+),usec=(\\d+)`).exec(stats);
  return Number(found?.[2]) / Number(found?.[1]);
}

export const LIBRARY = "library";
export const SCRIPT = "EVALSHA before";
export const HAND = "by hand, a field at a time";
export const HAND_PACKED = "by hand, packed fields";

/** Contender -> operation -> usec a call, each round's. */
export type Calls = Record<string, Record<string, number[]>>;

export async function calls(say: (line: string) => void): Promise<Calls> {
  say("calls of Redis: library, script, by hand");
  const ours = await library();
  const old = await oldScript().catch((error: Error) => {
    say(`no script of ${EVALSHA_COMMIT} to compare with: ${error.message}`);
  });
  for (const contender of old ? [ours, old] : [ours]) await furnish(contender);
  const contenders: Record<string, Contender> = { [LIBRARY]: ours };
  if (old) Object.assign(contenders, { [SCRIPT]: old, [HAND]: await byHand(old, "plain") });
  contenders[HAND_PACKED] = await byHand(ours, "packed");
  const results: Calls = {};
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, contender] of Object.entries(contenders)) {
      const hand = contender.send !== ours.send && contender.send !== old?.send;
      for (const [operation, step] of Object.entries(STEPS)) {
        if (hand && !BY_HAND.includes(operation)) continue;
        const usec = await measure(contender, step);
        if (round < 0) continue;
        results[name] ??= {};
        results[name][operation] ??= [];
        results[name][operation].push(usec);
      }
    }
  }
  for (const { redis } of old ? [ours, old] : [ours]) await redis.stop();
  return results;
}

/** The median over rounds of the ratio within a round; NaN without one of the two. */
export function callRatio(results: Calls, operation: string, of: string, to: string): number {
  const [above = [], below = []] = [results[of]?.[operation], results[to]?.[operation]];
  return median(above.map((value, i) => value / (below[i] ?? Number.NaN)));
}
