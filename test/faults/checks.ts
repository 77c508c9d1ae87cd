import { setTimeout as delay } from "node:timers/promises";
import { differences } from "../support/invariants/invariants.ts";
import { leftKeys } from "../support/left_keys.ts";
import type { RedisClient } from "../support/stored.ts";
import { FaultClient, insist, openSession } from "./http.ts";
import type { Storage } from "./world.ts";

/** What holds after every fault: every kind of request works soon, every count is right, nothing is left. */

/** Every kind of request has to work within this time. */
const LIVENESS_MS = 5000;
/** All that ended sessions held is gone within this time. */
const RELEASE_MS = 15_000;
const POLL_MS = 50;

const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const QUEUE = { map_type: "queue", key_size: 0, value_size: 4, max_entries: 8 };
const RING = { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 };
const PROGRAM = { prog_type: "xdp", asm: ["r0 = 2", "exit"] };
const BATCH = { op: "update", keys: ["u32:2", "u32:3"], values: ["u32:2", "u32:3"] };

/** Every kind of request, in this order: descriptors count from 3 on. The last one ends the session. */
export const REQUESTS: readonly (readonly [method: string, path: string, body?: unknown])[] = [
  ["GET", "/readyz"],
  ["POST", "/v1/maps", HASH],
  ["POST", "/v1/maps", QUEUE],
  ["POST", "/v1/maps", RING],
  ["POST", "/v1/progs", PROGRAM],
  ["PUT", "/v1/fds/3/elements/u32:1", { value: "u32:1" }],
  ["GET", "/v1/fds/3/elements/u32:1"],
  ["POST", "/v1/fds/3/batch", BATCH],
  ["GET", "/v1/fds/3/elements"],
  ["DELETE", "/v1/fds/3/elements/u32:1"],
  ["POST", "/v1/fds/4/push", { value: "u32:1" }],
  ["POST", "/v1/fds/4/pop"],
  ["POST", "/v1/fds/5/records", { records: ["u32:1"] }],
  ["GET", "/v1/fds/5/records"],
  ["POST", "/v1/fds/6/test-run", { data_in: "00".repeat(64) }],
  ["PUT", "/v1/fs?path=/live", { type: "pin", fd: 3 }],
  ["POST", "/v1/fds", { path: "/live" }],
  ["DELETE", "/v1/fs?path=/live"],
  ["GET", "/v1/maps"],
  ["GET", "/v1/progs"],
  ["GET", "/v1/sessions"],
  ["GET", "/v1/namespaces?limit=5"],
  ["POST", "/v1/session/renew"],
  ["DELETE", "/v1/session"],
];

/** Sends each kind of request in a new namespace. Returns the kinds that do not work in time. */
export async function checkLiveness(base: string, namespace: string): Promise<string[]> {
  const end = performance.now() + LIVENESS_MS;
  const left = () => Math.max(1, end - performance.now());
  const nobody = new FaultClient([base]);
  const opening = { namespace, ttl_ms: 10_000 };
  try {
    const { body } = await insist(() => nobody.post("/v1/sessions", opening), left());
    const client = new FaultClient([base], body.token);
    for (const [method, path, content] of REQUESTS) {
      const request = { method, path, body: content, patience: LIVENESS_MS };
      await insist(() => client.send(request), left()).catch((error: Error) => {
        throw new Error(`${method} ${path}: ${error.message}`);
      });
    }
    return [];
  } catch (error) {
    return [`after the fault, within ${LIVENESS_MS} ms: ${(error as Error).message}`];
  }
}

/** Ends the sessions that a lost answer left, and removes the pins. */
async function clear(bases: readonly string[], namespace: string): Promise<void> {
  const { id, client } = await openSession(bases, namespace);
  const root = await insist(() => client.get("/v1/fs?path=/"));
  for (const { name } of root.body.entries ?? []) {
    const path = `/v1/fs?path=/${name}&recursive=true`;
    await insist(() => client.del(path)).catch(ignoreAbsence);
  }
  const { body } = await insist(() => client.get("/v1/sessions?limit=1000"));
  for (const other of body.sessions) {
    if (other.id === id) continue;
    await insist(() => client.del(`/v1/sessions/${other.id}`)).catch(ignoreAbsence);
  }
  await insist(() => client.del("/v1/session"));
}

/** A session may end by itself, and a removal whose answer was lost was done. */
function ignoreAbsence(error: Error): void {
  if (!/ESRCH|ENOENT|EPERM/.test(error.message)) throw error;
}

/** Repeats a check while releases go on. Returns what it finds in the end. */
async function settled(check: () => Promise<string[]>): Promise<string[]> {
  for (const end = performance.now() + RELEASE_MS; ; await delay(POLL_MS)) {
    const found = await check();
    if (found.length === 0 || performance.now() > end) return found;
  }
}

/** The connections are new each time, because a slot or a master may still change. */
function checkCounts({ redisOf, masters }: Storage, namespace: string): Promise<string[]> {
  return settled(async () => {
    const wrong = await differences(await redisOf(namespace), namespace, await masters());
    return wrong.map((text) => `${namespace}: ${text}`);
  });
}

function checkLeft(redis: RedisClient, namespace: string): Promise<string[]> {
  return settled(async () => {
    const left = await leftKeys(redis, namespace);
    return left.length > 0
      ? [`${namespace}: ${left.length} keys are left, such as ${left[0]}`]
      : [];
  });
}

export interface CheckedWorld {
  bases: readonly string[];
  namespaces: readonly string[];
  storage: Storage;
}

/** Checks everything that holds after a fault. The load has been stopped and its sessions have ended. */
export async function checkWorld({ bases, namespaces, storage }: CheckedWorld): Promise<string[]> {
  const found: string[] = [];
  for (const base of bases) {
    const namespace = `live-${bases.indexOf(base)}-${Date.now()}`;
    found.push(...(await checkLiveness(base, namespace)));
    found.push(...(await checkLeft(await storage.redisOf(namespace), namespace)));
  }
  for (const namespace of namespaces) {
    found.push(...(await checkCounts(storage, namespace)));
    await clear(bases, namespace);
    found.push(...(await checkLeft(await storage.redisOf(namespace), namespace)));
    found.push(...(await checkCounts(storage, namespace)));
  }
  return found;
}
