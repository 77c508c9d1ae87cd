import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type DirectArgs, fillUp, usec } from "./direct.ts";
import { type HttpRequest, type LoadSample, median, rounds, wrk } from "./load.ts";
import { type BenchProcess, stop } from "./processes.ts";
import { type RedisServer, startRedis } from "./redis_servers.ts";
import { ask, newSession, startService } from "./world.ts";

/**
 * Measures how cost grows with n: a namespace with n elements in a map, n pins in a directory and n
 * sessions, each n in its own Redis, with requests for random ones.
 */

export const SIZES = [100, 10_000, 1_000_000];
const NAMESPACE = "growth";
const ROUNDS = 7;
const HTTP_ROUNDS = 3;
const CALLS = 3000;

interface GrowthPlace {
  n: number;
  namespace: string;
  redis: RedisServer;
  service: BenchProcess;
  token: string;
  fd: number;
}

export interface Growth {
  /** Command -> usec per call by the count of Redis, for each size the rounds. */
  redis: Record<string, number[][]>;
  /** Operation -> the samples of each size. */
  http: Record<string, LoadSample[][]>;
  /** MB of Redis memory at the largest size. */
  memory: number;
}

function keyOf(i: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(i);
  return key;
}

const json = JSON.stringify;

/** Makes one of each with the service's commands, and the rest as copies. */
async function fill(place: Omit<GrowthPlace, "fd">): Promise<number> {
  const { n, service, token } = place;
  const map = { map_type: "hash", key_size: 4, value_size: 8, max_entries: 2 * n };
  const made = JSON.parse(await ask(service.base, token, "POST", "/v1/maps", json(map)));
  const { fd, id } = made as { fd: number; id: number };
  const value = json({ value: "76616c7565303030" });
  await ask(service.base, token, "PUT", `/v1/fds/${fd}/elements/00000000`, value);
  await ask(service.base, token, "PUT", "/v1/fs?path=/d", json({ type: "directory" }));
  const pin = await ask(service.base, token, "PUT", "/v1/fs?path=/d/p0", json({ type: "pin", fd }));
  const directory = await ask(service.base, token, "GET", "/v1/fs?path=/d&entries=false");
  const ino = (text: string) => (JSON.parse(text) as { ino: number }).ino;
  await newSession(service.base, NAMESPACE);
  const script = readFileSync(join(import.meta.dirname, "fill.lua"), "utf8");
  const what: [string, (string | number)[]][] = [
    ["elements", [id]],
    ["pins", [id, ino(directory), ino(pin)]],
    ["sessions", [2]],
  ];
  for (const [name, args] of what) await fillUp(place, script, name, n, args);
  return fd;
}

/** @throws unless the service can read the copies. */
async function check({ n, service, token, fd }: GrowthPlace): Promise<void> {
  const get = async (path: string) => JSON.parse(await ask(service.base, token, "GET", path));
  const last = n - 1;
  const { value } = await get(`/v1/fds/${fd}/elements/${keyOf(last).toString("hex")}`);
  const { id } = await get(`/v1/fs?path=/d/p${last}`);
  const { refcnt, usercnt } = await get(`/v1/fds/${fd}`);
  const { sessions } = await get(`/v1/sessions?cursor=${n}&limit=1`);
  await ask(service.base, token, "DELETE", `/v1/fs?path=/d/p${last}`);
  await ask(service.base, token, "PUT", `/v1/fs?path=/d/p${last}`, json({ type: "pin", fd }));
  const right = value === "76616c7565303030" && id > 0 && refcnt === n + 1 && usercnt === n + 1;
  if (!right || sessions[0]?.id !== n + 1)
    throw new Error(`the filled namespace of ${n} is not right`);
}

async function build(n: number): Promise<GrowthPlace> {
  const redis = await startRedis(`growth-${n}`);
  const service = await startService(redis);
  const token = await newSession(service.base, NAMESPACE);
  const place = { n, namespace: NAMESPACE, redis, service, token };
  const full = { ...place, fd: await fill(place) };
  await check(full);
  return full;
}

let fresh = 0;

/** Repeats each command; the next one closes or unlinks what one opens or pins. */
async function round(place: GrowthPlace): Promise<Record<string, number>> {
  const { n, fd } = place;
  const random = () => Math.floor(Math.random() * n);
  const base = ++fresh;
  const of = (command: string, argsOf: (i: number) => DirectArgs) =>
    usec(place, command, CALLS, argsOf);
  const lookup = await of("map_lookup_elem", () => [fd, keyOf(random()), 0, "", 0]);
  const pin = await of("obj_pin", (i) => [`/d/n${base}-${i}`, fd, 0]);
  const unlink = await of("unlink", (i) => [`/d/n${base}-${i}`]);
  const obj_get = await of("obj_get", () => [`/d/p${random()}`, 0]);
  const close = await of("close", (i) => [fd + 1 + i]);
  return { lookup, pin, unlink, obj_get, close };
}

function httpRequests(fd: number): Record<string, HttpRequest[]> {
  const body = json({ type: "pin", fd });
  return {
    lookup: [{ method: "GET", path: `/v1/fds/${fd}/elements/{key}` }],
    "pin + unlink": [
      { method: "PUT", path: "/v1/fs?path=/d/n{n}", body },
      { method: "DELETE", path: "/v1/fs?path=/d/n{n}" },
    ],
    "obj_get + close": [
      { method: "POST", path: "/v1/fds", body: '{"path":"/d/p{i}"}' },
      { method: "DELETE", path: "/v1/fds/{fd}" },
    ],
  };
}

async function overHttp(places: GrowthPlace[]): Promise<Growth["http"]> {
  const http: Growth["http"] = {};
  for (const name of Object.keys(httpRequests(0))) {
    const contenders = places.map((place) => {
      const { n, service, redis, token, fd } = place;
      const watched = { server: service.pid, redis: redis.pid };
      const load = { base: service.base, token, elements: n, seconds: 1, watched };
      return [n, () => wrk({ ...load, requests: httpRequests(fd)[name] ?? [] })] as const;
    });
    const results = await rounds(HTTP_ROUNDS, Object.fromEntries(contenders));
    http[name] = places.map(({ n }) => results[n] ?? []);
  }
  return http;
}

export async function growth(say: (line: string) => void): Promise<Growth> {
  const places: GrowthPlace[] = [];
  try {
    for (const n of SIZES) {
      say(`filling a namespace with ${n} elements, pins and sessions`);
      places.push(await build(n));
    }
    say("measuring growth");
    const redis: Growth["redis"] = {};
    for (let i = 0; i <= ROUNDS; i++) {
      for (const [at, place] of places.entries()) {
        for (const [command, value] of Object.entries(await round(place))) {
          redis[command] ??= SIZES.map(() => []);
          if (i > 0) redis[command][at]?.push(value); // round 0 warms up
        }
      }
    }
    const http = await overHttp(places);
    const info = (await places.at(-1)?.redis.client.info("memory")) ?? "";
    const memory = Math.round(Number(/used_memory:(\d+)/.exec(info)?.[1]) / 1e6);
    return { redis, http, memory };
  } finally {
    for (const place of places) {
      await stop(place.service);
      await place.redis.stop();
    }
  }
}

/** Returns the median over rounds of the ratio to the first size in the same round. */
export function growthRatio(sizes: number[][], at: number): number {
  return median((sizes[at] ?? []).map((value, i) => value / (sizes[0]?.[i] ?? Number.NaN)));
}
