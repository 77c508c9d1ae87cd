import { begin, byHand, type Contender, evalshaScript, good, library } from "./contenders.ts";
import type { DirectArgs } from "./direct.ts";
import { EVALSHA_COMMIT } from "./history.ts";
import { median } from "./load.ts";

/** Measures the cost of a call by the count of Redis; contenders take turns, each with its own Redis. */

const CALLS = 2000;
const PIPELINE = 100;
const KEY = "key0";
const VALUE = "value000";
const MAP = ["hash", 4, 8, 1000, 0, "", "0", "", "", "", 0, 0, 0, 0];

type CallStep = [command: string, args: (i: number) => DirectArgs];

/** Operation -> its command. The operations that undo others are measured as well. */
const STEPS: Record<string, CallStep> = {
  lookup: ["map_lookup_elem", () => [3, KEY, 0, "", 0]],
  update: ["map_update_elem", () => [3, KEY, VALUE, 0, ""]],
  "next key": ["map_get_next_key", () => [3, KEY]],
  "info by fd": ["obj_get_info_by_fd", () => [3]],
  obj_get: ["obj_get", () => ["/pin", 0]],
  close: ["close", (i) => [4 + i]],
  pin: ["obj_pin", (i) => [`/p${i}`, 3, 0]],
  unlink: ["unlink", (i) => [`/p${i}`]],
  map_create: ["map_create", () => MAP],
  "close that frees": ["close", (i) => [4 + i]],
  renew: ["session_renew", () => []],
  "fs stat": ["stat", () => ["/pin", 1, 1, "0", "", 1000]],
};

export const LIBRARY = "library";
export const SCRIPT = "EVALSHA before";
export const HAND = "by hand, a field at a time";
export const HAND_PACKED = "by hand, packed fields";
const BY_HAND = ["lookup", "update"];

/** Contender -> operation -> usec per call in each round. */
export type CallTimes = Record<string, Record<string, number[]>>;

/** Makes a session and a map with two elements, at fd 3 and pinned to /pin. */
async function furnish(contender: Contender): Promise<void> {
  const { send } = contender;
  await begin(contender);
  await good(send("map_create", MAP));
  for (const key of [KEY, "key1"]) await good(send("map_update_elem", [3, key, VALUE, 0, ""]));
  await good(send("obj_pin", ["/pin", 3, 0]));
}

async function measure(
  { redis, stat, send }: Contender,
  [command, args]: CallStep,
): Promise<number> {
  await redis.client.config("RESETSTAT");
  for (let done = 0; done < CALLS; done += PIPELINE) {
    const some = Array.from({ length: PIPELINE }, (_, i) => good(send(command, args(done + i))));
    await Promise.all(some);
  }
  const stats = await redis.client.info("commandstats");
  const found = new RegExp(`cmdstat_${stat}:calls=(\\d+),usec=(\\d+)`).exec(stats);
  return Number(found?.[2]) / Number(found?.[1]);
}

type Contenders = Record<string, Contender>;

async function contenders(say: (line: string) => void): Promise<Contenders> {
  const ours = await library("calls-library");
  await furnish(ours);
  const old = await evalshaScript().catch((error: Error) => {
    say(`no script of ${EVALSHA_COMMIT} to compare with: ${error.message}`);
  });
  if (old) await furnish(old);
  return {
    [LIBRARY]: ours,
    ...(old && { [SCRIPT]: old, [HAND]: await byHand(old, "plain") }),
    [HAND_PACKED]: await byHand(ours, "packed"),
  };
}

/** Runs one round: each operation by all contenders. An operation undoes what the previous one made. */
async function round(all: Contenders, results: CallTimes): Promise<void> {
  for (const [operation, step] of Object.entries(STEPS)) {
    for (const [name, contender] of Object.entries(all)) {
      const isByHand = name === HAND || name === HAND_PACKED;
      if (isByHand && !BY_HAND.includes(operation)) continue;
      const of = results[name] ?? {};
      results[name] = of;
      of[operation] = [...(of[operation] ?? []), await measure(contender, step)];
    }
  }
}

export async function calls(say: (line: string) => void, rounds: number): Promise<CallTimes> {
  say("what a call costs Redis");
  const all = await contenders(say);
  const results: CallTimes = {};
  await round(all, {}); // warms up
  for (let i = 0; i < rounds; i++) await round(all, results);
  for (const redis of new Set(Object.values(all).map((one) => one.redis))) await redis.stop();
  return results;
}

/** The median over rounds of the ratio within a round; NaN if one of them is missing. */
export function callRatio(results: CallTimes, operation: string, of: string, to: string): number {
  const [above = [], below = []] = [results[of]?.[operation], results[to]?.[operation]];
  return median(above.map((value, i) => value / (below[i] ?? Number.NaN)));
}
