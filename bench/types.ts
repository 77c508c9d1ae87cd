import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Direct, fillUp, usec } from "./direct.ts";
import { type LoadSample, rounds, wrk } from "./load.ts";
import { type BenchProcess, stop } from "./processes.ts";
import { startRedis } from "./redis_servers.ts";
import { ask, newSession, startService } from "./world.ts";

/** Measures types whose cost must not grow with their elements: LPM tries and full LRU hashes. */

export const PREFIXES = [100, 10_000, 1_000_000];
export const CAPACITIES = [1000, 1_000_000];
const NAMESPACE = "types";
const ROUNDS = 5;
const HTTP_ROUNDS = 3;
const CALLS = 2000;
const VALUE = "value000";

export interface Types {
  lpm: {
    /** Usec per lookup by the count of Redis, for each size the rounds. */
    calls: number[][];
    http: LoadSample[][];
  };
  /** Usec per update of a new key, in full LRU hashes of each capacity and in a hash that is not full. */
  lru: number[][];
  hash: number[];
}

interface TypePlace extends Direct {
  service: BenchProcess;
}

interface MadeMap {
  fd: number;
  id: number;
  n: number;
}

const fillScript = readFileSync(join(import.meta.dirname, "fill.lua"), "utf8");
const json = JSON.stringify;

async function request(place: TypePlace, method: string, path: string, body?: object) {
  const text = await ask(place.service.base, place.token, method, path, body && json(body));
  return text === "" ? {} : JSON.parse(text);
}

async function make(place: TypePlace, n: number, attr: object): Promise<MadeMap> {
  const map = { key_size: 8, value_size: VALUE.length, ...attr };
  return { ...(await request(place, "POST", "/v1/maps", map)), n };
}

/** @throws unless the service can read the copies. */
function expect(right: boolean, what: string): void {
  if (!right) throw new Error(`${what} is not right`);
}

/** Makes IPv4 prefixes of 8 to 32 bits, and a default route that matches every address. */
async function trie(place: TypePlace, n: number): Promise<MadeMap> {
  const made = await make(place, n, { map_type: "lpm_trie", map_flags: 1, max_entries: 2 * n });
  const path = `/v1/fds/${made.fd}`;
  await request(place, "PUT", `${path}/elements/u32:0+ip4:0.0.0.0`, { value: `str:${VALUE}` });
  await fillUp(place, fillScript, "prefixes", n, [made.id]);
  const { entries } = await request(place, "GET", path);
  const { elements } = await request(place, "GET", `${path}/elements?limit=1000`);
  const one = `${path}/elements/${elements.at(-2).key}`;
  expect(entries === n && elements.length > 90, `the trie of ${n}`);
  expect((await request(place, "GET", one)).value === elements.at(-2).value, `the trie of ${n}`);
  await request(place, "DELETE", one);
  await request(place, "PUT", one, { value: `str:${VALUE}` });
  return made;
}

function address(): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt32LE(32);
  key.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), 4);
  return key;
}

async function overHttp(place: TypePlace, tries: MadeMap[]): Promise<LoadSample[][]> {
  const { service, redis, token } = place;
  const watched = { server: service.pid, redis: redis.pid };
  const load = { base: service.base, token, elements: 2 ** 32, seconds: 1, watched };
  const contenders = tries.map(({ fd, n }) => {
    const requests = [{ method: "GET", path: `/v1/fds/${fd}/elements/20000000{key}` }];
    return [n, () => wrk({ ...load, requests })] as const;
  });
  const results = await rounds(HTTP_ROUNDS, Object.fromEntries(contenders));
  return tries.map(({ n }) => results[n] ?? []);
}

async function lpm(place: TypePlace): Promise<Types["lpm"]> {
  const tries: MadeMap[] = [];
  for (const n of PREFIXES) tries.push(await trie(place, n));
  const measured: number[][] = tries.map(() => []);
  for (let i = 0; i <= ROUNDS; i++) {
    for (const [at, { fd }] of tries.entries()) {
      const us = await usec(place, "map_lookup_elem", CALLS, () => [fd, address(), 0, "", 0]);
      if (i > 0) measured[at]?.push(us); // round 0 warms up
    }
  }
  const http = await overHttp(place, tries);
  for (const { fd } of tries) await request(place, "DELETE", `/v1/fds/${fd}`);
  return { calls: measured, http };
}

async function full(place: TypePlace, n: number): Promise<MadeMap> {
  const made = await make(place, n, { map_type: "lru_hash", max_entries: n });
  await fillUp(place, fillScript, "recent", n, [made.id], 0);
  const path = `/v1/fds/${made.fd}`;
  const { value } = await request(place, "GET", `${path}/elements/u64:${n - 1}`);
  expect(value === Buffer.from(VALUE).toString("hex"), `the LRU hash of ${n}`);
  return made;
}

let fresh = 2 ** 32;

function newKey(): Buffer {
  const key = Buffer.alloc(8);
  key.writeBigUInt64LE(BigInt(++fresh));
  return key;
}

/** @throws unless the map stays full and all updates except the last few have evicted. */
async function checkEvictions(
  place: TypePlace,
  { fd, n }: MadeMap,
  updates: number,
): Promise<void> {
  const { entries, evictions } = await request(place, "GET", `/v1/fds/${fd}`);
  expect(entries <= n && entries > n - 256, `entries of the LRU hash of ${n}: ${entries}`);
  expect(evictions >= updates - 256, `evictions of the LRU hash of ${n}: ${evictions}`);
}

async function lru(place: TypePlace): Promise<Pick<Types, "lru" | "hash">> {
  const maps: MadeMap[] = [];
  for (const n of CAPACITIES) maps.push(await full(place, n));
  const room = { map_type: "hash", max_entries: 10 * CALLS * (ROUNDS + 1) };
  maps.push(await make(place, 0, room));
  const measured: number[][] = maps.map(() => []);
  for (let i = 0; i <= ROUNDS; i++) {
    for (const [at, { fd }] of maps.entries()) {
      const argsOf = () => [fd, newKey(), VALUE, 0, ""];
      const us = await usec(place, "map_update_elem", CALLS, argsOf);
      if (i > 0) measured[at]?.push(us);
    }
  }
  const updates = CALLS * (ROUNDS + 1);
  for (const made of maps.slice(0, -1)) await checkEvictions(place, made, updates);
  return { lru: measured.slice(0, -1), hash: measured.at(-1) ?? [] };
}

export async function types(say: (line: string) => void): Promise<Types> {
  const redis = await startRedis("types");
  const service = await startService(redis);
  const token = await newSession(service.base, NAMESPACE);
  const place = { redis, service, token, namespace: NAMESPACE };
  say("LPM tries of 10^2, 10^4 and 10^6 prefixes");
  const tries = await lpm(place);
  say("full LRU hashes of 10^3 and 10^6");
  const tables = await lru(place);
  await stop(service);
  await redis.stop();
  return { lpm: tries, ...tables };
}
