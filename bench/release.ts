import { setTimeout as delay } from "node:timers/promises";
import { type Call, createKernel, type Kernel, UNRECORDED } from "../domain/bpf.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";

/**
 * Measures how much of Redis the release of sessions costs that are due together: all of them expire, and one
 * client sweeps until nothing is left.
 */

export interface ReleaseFigures {
  sessions: number;
  /** Sessions released in a second of Redis' CPU. */
  perSecond: number;
  /** Commands that the library gave Redis, for each session. */
  commands: number;
  /** Scripts that it took. */
  scripts: number;
  /** The longest of them in ms. */
  longest: number;
}

/** What each session holds -> the figures. */
export type ReleaseCosts = Record<string, ReleaseFigures>;

const SESSIONS = 4000;
const FDS = 3;
const IN_FLIGHT = 500;
let spaces = 0;
const TTL_MS = 10_000;
/** The deadline is later than the ttl by a tenth and a constant (domain/lua/base/session.lua). */
const DUE_MS = TTL_MS * 1.1 + 1000;
const HASH = {
  ...{ map_type: "hash", key_size: 4, value_size: 8, max_entries: 8 },
  ...{ map_flags: 0, map_name: "", map_extra: "0" },
};

type Hold = (kernel: Kernel, call: Call, i: number) => Promise<unknown>;

const HOLDS: Record<string, Hold> = {
  nothing: async () => {},
  "3 fds of maps that others hold": (kernel, call, i) => kernel.objGet(call, `/map${i}`, 0),
  "3 maps of its own": (kernel, call) => kernel.mapCreate(call, HASH),
};

async function newSession(kernel: Kernel, namespace: string, ttl_ms: number): Promise<Call> {
  const nobody = { namespace, sid: "", hash: "", ...UNRECORDED };
  const { token } = await kernel.sessionCreate(nobody, {
    ...{ label: "", ttl_ms, uid: 0, gid: 0, groups: [], umask: 0o022, nofile: 1024 },
    capabilities: "*",
  });
  return { ...kernel.tokens.read(token), ...UNRECORDED };
}

async function fill(kernel: Kernel, namespace: string, hold: Hold): Promise<void> {
  const keeper = await newSession(kernel, namespace, 3_600_000);
  for (let i = 0; i < FDS; i++) {
    const { fd } = await kernel.mapCreate(keeper, HASH);
    await kernel.objPin(keeper, `/map${i}`, fd, 0);
  }
  // The clock of a namespace stands still until a sweep.
  await kernel.sweep(namespace);
  const calls: Call[] = [];
  const one = async () => {
    const call = await newSession(kernel, namespace, 3_600_000);
    for (let i = 0; i < FDS; i++) await hold(kernel, call, i);
    calls.push(call);
  };
  while (calls.length < SESSIONS) await Promise.all(Array.from({ length: IN_FLIGHT }, one));
  await Promise.all(calls.map((call) => kernel.sessionSet(call, { ttl_ms: TTL_MS })));
}

async function counters({ client }: RedisServer) {
  const [cpu, stats] = [await client.info("cpu"), await client.info("commandstats")];
  const seconds = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(cpu)?.[1]);
  let commands = 0;
  for (const [, name, calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (!/^(fcall|info|config|slowlog)/.test(name ?? "")) commands += Number(calls);
  }
  return {
    cpu: seconds("used_cpu_user_main_thread") + seconds("used_cpu_sys_main_thread"),
    commands,
  };
}

async function longestScript({ client }: RedisServer): Promise<number> {
  const log = (await client.slowlog("GET", -1)) as [number, number, number, string[]][];
  return Math.max(...log.map(([, , usec]) => usec)) / 1000;
}

async function measure(redis: RedisServer, kernel: Kernel, hold: Hold): Promise<ReleaseFigures> {
  const namespace = `release-${spaces++}`;
  await fill(kernel, namespace, hold);
  await delay(DUE_MS);
  await redis.client.config("RESETSTAT");
  await redis.client.slowlog("RESET");
  const before = await counters(redis);
  let scripts = 0;
  do scripts += 1;
  while ((await kernel.sweep(namespace)).workLeft);
  const after = await counters(redis);
  return {
    sessions: SESSIONS,
    perSecond: SESSIONS / (after.cpu - before.cpu),
    commands: (after.commands - before.commands) / SESSIONS,
    scripts,
    longest: await longestScript(redis),
  };
}

export async function releases(say: (line: string) => void): Promise<ReleaseCosts> {
  say("release of due sessions");
  const redis = await startRedis("release");
  await redis.client.config("SET", "slowlog-log-slower-than", 100, "slowlog-max-len", 100_000);
  const kernel = createKernel(redis.url, Buffer.alloc(32, 1), { deadline: 10_000 });
  await kernel.script.ready();
  const figures: ReleaseCosts = {};
  for (const [what, hold] of Object.entries(HOLDS))
    figures[what] = await measure(redis, kernel, hold);
  kernel.disconnect();
  await redis.stop();
  return figures;
}
