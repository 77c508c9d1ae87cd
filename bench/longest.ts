import { PAGE_INSNS, STEP_PAGES } from "../domain/redis/records.ts";
import type { RedisValue } from "../domain/redis/redis_value.ts";
import { begin, type Contender, good, library, ROOT } from "./contenders.ts";
import type { DirectArgs } from "./direct.ts";

/**
 * Measures the longest calls that the limits allow, in usec by the count of Redis, which does nothing else
 * while a call runs.
 */

/** Case -> repetitions, each with the usec of the same calls in their order. */
export type Longest = Record<string, number[][]>;

export interface LongestCalls {
  /** Compared with the target. */
  limited: Longest;
  /** For comparison. */
  others: Longest;
}

const REPETITIONS = 9;
const VALUE = "value000";
const INSNS = 1_000_000;
const INSN_BYTES = 8;
const VALUE_BYTES = 4 << 20;
const LPM_BITS = 2048;
const LRU_KEY = 60_000;
const LRU_ENTRIES = 600;
/** The nodes that the kernel frees at once, so that this many updates include a refill. */
const REFILL = 128;

type LongestCall = (command: string, ...args: DirectArgs) => Promise<void>;

interface Bench {
  call: LongestCall;
  /** Makes a map and returns its fd. */
  map(type: string, key: number, value: number, entries: number, flags?: number): Promise<number>;
  /** Repeats a step and returns the calls of each repetition. */
  repeat(work: (i: number) => Promise<void>): Promise<number[][]>;
}

type LogEntry = [id: number, time: number, usec: number, words: string[]];

function benchOf({ redis, send }: Contender): Bench {
  const { client } = redis;
  const call: LongestCall = async (command, ...args) => void (await good(send(command, args)));
  return {
    call,
    map: async (type, key, value, entries, flags = 0) => {
      const attr = [type, key, value, entries, flags, "", "0", "", "", "", 0, 0, 0, 0];
      return Number((await good(send("map_create", attr)))[0]);
    },
    repeat: async (work) => {
      const all: number[][] = [];
      for (let i = 0; i < REPETITIONS; i++) {
        await client.slowlog("RESET");
        await work(i);
        const log = (await client.slowlog("GET", -1)) as LogEntry[];
        const calls = log.filter(([, , , words]) => /^fcall$/i.test(words[0] ?? ""));
        all.push(calls.map(([, , usec]) => usec).reverse()); // the log has the newest first
      }
      return all;
    },
  };
}

const json = JSON.stringify;

/** Pages of the instructions of a long program, and its other arguments. */
function longProgram() {
  const page = Buffer.alloc(PAGE_INSNS * INSN_BYTES, Buffer.from("b700000000000000", "hex"));
  const last = page.subarray(0, (INSNS % PAGE_INSNS) * INSN_BYTES);
  const pages = [...Array<Buffer>(Math.floor(INSNS / PAGE_INSNS)).fill(page), last];
  const named = { prog_type: "xdp", license: "GPL", prog_name: "" };
  const attr = json({ ...named, prog_flags: 0, expected_attach_type: 0, log_level: 0 });
  return { pages, attr, verdict: json({ refs: [], ids: [], tag: "tag", log: "" }) };
}

/** Sends and reads a program in steps, as domain/commands/prog.ts and domain/commands/run.ts do. */
async function program({ call, repeat }: Bench, { redis, send }: Contender): Promise<Longest[]> {
  const { pages, attr, verdict } = longProgram();
  const loaded: RedisValue[][] = [];
  const loading = await repeat(async () => {
    await call("prog_admit", attr, INSNS);
    await call("prog_resolve", attr, INSNS, verdict);
    for (let at = 0; at < pages.length; at += STEP_PAGES) {
      await call("prog_stage", "draft", at, ...pages.slice(at, at + STEP_PAGES));
    }
    loaded.push(await good(send("prog_load", [attr, "", verdict, INSNS, "draft"])));
  });
  const id = Number(loaded[0]?.[1]);
  const time = (await redis.client.hget(`${ROOT}prog:${id}`, "load_time")) ?? "";
  const reading = await repeat(async () => {
    for (let at = 0; at < pages.length; at += STEP_PAGES) await call("prog_pages", id, time, at);
  });
  const closing = await repeat((i) => call("close", Number(loaded[i]?.[0])));
  return [
    { "loading 10^6 instructions": loading },
    { "reading 10^6 instructions": reading, "closing a program of 10^6 instructions": closing },
  ];
}

/** Two elements of 4 MiB, of which only one was written. */
async function array({ call, map, repeat }: Bench): Promise<Longest[]> {
  const fd = await map("array", 4, VALUE_BYTES, 4);
  const key = (i: number) => Buffer.from([i, 0, 0, 0]);
  const lookup = (i: number) => repeat(() => call("map_lookup_elem", fd, key(i), 0, "", 0));
  const value = Buffer.alloc(VALUE_BYTES, 7);
  const never = await lookup(0);
  const update = await repeat(() => call("map_update_elem", fd, key(1), value, 0, ""));
  const written = await lookup(1);
  return [
    { "lookup of a 4 MiB array element never written": never },
    {
      "update of a 4 MiB array element": update,
      "lookup of a 4 MiB array element that was written": written,
    },
  ];
}

/** Prefixes of every length, all of which match the key of the lookup. */
async function trie({ call, map, repeat }: Bench): Promise<Longest> {
  const fd = await map("lpm_trie", 4 + LPM_BITS / 8, VALUE.length, 2 * LPM_BITS, 1);
  const key = Buffer.alloc(4 + LPM_BITS / 8, 0xaa);
  for (let length = 0; length <= LPM_BITS; length++) {
    key.writeUInt32LE(length);
    await call("map_update_elem", fd, Buffer.from(key), VALUE, 0, "");
  }
  const lookup = () => call("map_lookup_elem", fd, key, 0, "", 0);
  return { [`lookup in an LPM trie with all ${LPM_BITS + 1} lengths`]: await repeat(lookup) };
}

/** A full LRU hash with long keys; among the updates of a repetition there is at least one refill. */
async function lru({ call, map, repeat }: Bench): Promise<Longest> {
  const fd = await map("lru_hash", LRU_KEY, VALUE.length, LRU_ENTRIES);
  const key = Buffer.alloc(LRU_KEY, 1);
  let fresh = 0;
  const update = () => {
    key.writeUInt32LE(fresh++);
    return call("map_update_elem", fd, Buffer.from(key), VALUE, 0, "");
  };
  for (let i = 0; i < LRU_ENTRIES; i++) await update();
  const refills = await repeat(async () => {
    for (let i = 0; i < REFILL; i++) await update();
  });
  return { "update that refills an LRU hash with keys of 60 KB": refills };
}

export async function longest(say: (line: string) => void): Promise<LongestCalls> {
  say("the longest calls");
  const contender = await library("longest");
  const { client } = contender.redis;
  await begin(contender);
  await client.config("SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 10_000);
  const bench = benchOf(contender);
  const [load, programs] = await program(bench, contender);
  const tries = await trie(bench);
  const refills = await lru(bench);
  const [never, arrays] = await array(bench);
  await contender.redis.stop();
  return {
    limited: { ...load, ...tries, ...refills, ...never },
    others: { ...programs, ...arrays },
  };
}

/** Returns the longest call; `pick` chooses among its repetitions, so that one slow moment does not count. */
export function longestCall(repetitions: number[][], pick: (values: number[]) => number): number {
  const calls = repetitions[0] ?? [];
  return Math.max(...calls.map((_, at) => pick(repetitions.map((one) => one[at] ?? Number.NaN))));
}
