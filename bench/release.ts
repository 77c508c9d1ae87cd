import { setTimeout as delay } from "node:timers/promises";
import { type Call, createKernel, type Kernel, UNRECORDED } from "../domain/bpf.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";

/**
 * Measures what the release of sessions costs Redis that are due together: some lookups each release a share of
 * them, then one client sweeps until nothing is left.
 */

export interface ReleaseFigures {
  /** Sessions released in a second of Redis' CPU. */
  perSecond: number;
  /** Commands that the library gave Redis, for each session. */
  commands: number;
  /** ms of Redis: of a lookup that releases a share, and of a sweep. */
  share: number;
  sweep: number;
}

/** What each session holds -> the figures. */
export type ReleaseCosts = Record<string, ReleaseFigures>;

export const SESSIONS = 10_000;
const FDS = 3;
const IN_FLIGHT = 500;
const SHARES = 40;
const LONG_MS = 3_600_000;
const TTL_MS = 15_000;
/** The deadline is later than the ttl by a tenth and a constant (domain/lua/base/session.lua). */
const DUE_MS = TTL_MS * 1.1 + 1000;
const HASH = {
  ...{ map_type: "hash", key_size: 4, value_size: 8, max_entries: 8 },
  ...{ map_flags: 0, map_name: "", map_extra: "0" },
};

export const SHARED = "3 fds of maps that others hold";

type Hold = (kernel: Kernel, call: Call, i: number) => Promise<unknown>;

const HOLDS: Record<string, Hold> = {
  nothing: async () => {},
  [SHARED]: (kernel, call, i) => kernel.objGet(call, `/map${i}`, 0),
  "3 maps of its own": (kernel, call) => kernel.mapCreate(call, HASH),
};

async function newSession(kernel: Kernel, namespace: string): Promise<Call> {
  const nobody = { namespace, sid: "", hash: "", ...UNRECORDED };
  const { token } = await kernel.sessionCreate(nobody, {
    ...{ label: "", ttl_ms: LONG_MS, uid: 0, gid: 0, groups: [], umask: 0o022, nofile: 1024 },
    capabilities: "*",
  });
  return { ...kernel.tokens.read(token), ...UNRECORDED };
}

/** Makes the sessions, all of which are due when it resolves. @returns a session that is not. */
async function fill(kernel: Kernel, namespace: string, hold: Hold): Promise<Call> {
  const keeper = await newSession(kernel, namespace);
  for (let i = 0; i < FDS; i++) {
    const { fd } = await kernel.mapCreate(keeper, HASH);
    await kernel.objPin(keeper, `/map${i}`, fd, 0);
  }
  const calls: Call[] = [];
  const one = async () => {
    const call = await newSession(kernel, namespace);
    for (let i = 0; i < FDS; i++) await hold(kernel, call, i);
    calls.push(call);
  };
  while (calls.length < SESSIONS) await Promise.all(Array.from({ length: IN_FLIGHT }, one));
  for (let i = 0; i < SESSIONS; i += IN_FLIGHT) {
    const some = calls.slice(i, i + IN_FLIGHT);
    await Promise.all(some.map((call) => kernel.sessionSet(call, { ttl_ms: TTL_MS })));
  }
  await delay(DUE_MS);
  return keeper;
}

/** Seconds of CPU, commands of the library, and ms per call of it, since the last reset. */
async function counters({ client }: RedisServer) {
  const [cpu, stats] = [await client.info("cpu"), await client.info("commandstats")];
  const seconds = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(cpu)?.[1]);
  let commands = 0;
  for (const [, name, calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (!/^(fcall|info|config)/.test(name ?? "")) commands += Number(calls);
  }
  const usec = Number(/cmdstat_fcall:.*usec_per_call=([\d.]+)/.exec(stats)?.[1]);
  const main = seconds("used_cpu_user_main_thread") + seconds("used_cpu_sys_main_thread");
  return { cpu: main, commands, ms: usec / 1000 };
}

async function measure(redis: RedisServer, kernel: Kernel, hold: Hold): Promise<ReleaseFigures> {
  const namespace = `release-${Math.random().toString(36).slice(2)}`;
  const keeper = await fill(kernel, namespace, hold);
  // The first call after a while renews its session.
  await kernel.sessionRenew(keeper);
  await redis.client.config("RESETSTAT");
  const before = await counters(redis);
  for (let i = 0; i < SHARES; i++) {
    await kernel.mapUpdateElem(keeper, 3, { key: Buffer.alloc(4), value: Buffer.alloc(8) }, 0, "");
  }
  const shares = await counters(redis);
  await redis.client.config("RESETSTAT");
  while ((await kernel.sweep(namespace)).workLeft);
  const sweeps = await counters(redis);
  return {
    perSecond: SESSIONS / (sweeps.cpu - before.cpu),
    commands: (shares.commands + sweeps.commands) / SESSIONS,
    share: shares.ms,
    sweep: sweeps.ms,
  };
}

export async function releases(say: (line: string) => void): Promise<ReleaseCosts> {
  say("the release of due sessions");
  const redis = await startRedis("release");
  const kernel = createKernel(redis.url, Buffer.alloc(32, 1), { deadline: 10_000 });
  await kernel.script.ready();
  const figures: ReleaseCosts = {};
  for (const [what, hold] of Object.entries(HOLDS))
    figures[what] = await measure(redis, kernel, hold);
  kernel.disconnect();
  await redis.stop();
  return figures;
}
