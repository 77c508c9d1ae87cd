import { setTimeout as delay } from "node:timers/promises";
import { checkWorld } from "../checks.ts";
import { insist, openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import type { FaultScenario } from "../scenario.ts";
import { forEachAtOnce } from "../sleepers.ts";
import { type RedisWorld, redisWorld } from "../world.ts";

/** Thousands of sessions are due at one moment; nobody sees what they held. */

const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
/** Least time to give each session the rest of its life, so that all end together. */
const COUNTDOWN_MS = { short: 2000, full: 10_000 };
/** One request for each session, after the four that opened it. */
const COUNTED_SHARE = 0.5;
const SESSIONS = { short: 60, full: 4000 };
/** A session ends by ttl + 10 % + 1 s; the ttl here is at most the countdown. */
const lateness = (countdown: number) => countdown * 0.1 + 1000;
const POLL_MS = 5;
const HOUR = 3_600_000;
const GRACE_MS = 1000;

async function cpuSeconds({ redis }: RedisWorld): Promise<number> {
  const info = String(await redis.call("INFO", "cpu"));
  const used = (kind: string) => Number(new RegExp(`used_cpu_${kind}:([\\d.]+)`).exec(info)?.[1]);
  return used("user") + used("sys");
}

const dueTogether: FaultScenario = {
  name: "due-together",
  fault: "sessions with a map and three descriptors each, all due at one moment",
  least: { short: { hits: 60, operations: 20 }, full: { hits: 4000, operations: 200 } },
  async run(form) {
    const world = await redisWorld();
    const { bases, storage } = world;
    const namespaces = newNamespaces(1);
    const [namespace = ""] = namespaces;
    const observer = await openSession(bases, namespace, { ttl_ms: HOUR });
    const ids = Array.from({ length: SESSIONS[form] }, () => 0);
    const problems: string[] = [];
    const clients = ids.map(() => observer.client);
    const began = performance.now();
    await forEachAtOnce(ids, async (_, i) => {
      const { client } = await openSession(bases, namespace, { ttl_ms: HOUR }, i);
      const made = await insist(() => client.post("/v1/maps", HASH));
      ids[i] = made.body.id;
      for (const fd of [3, 3]) await insist(() => client.post(`/v1/fds/${fd}/dup`));
      clients[i] = client;
    });
    const opening = performance.now() - began;
    const countdown = Math.max(COUNTDOWN_MS[form], Math.round(opening * COUNTED_SHARE));
    const due = Date.now() + countdown;
    await forEachAtOnce(clients, async (client) => {
      const body = { ttl_ms: Math.max(1000, due - Date.now()) };
      await insist(() => client.send({ method: "PATCH", path: "/v1/session", body }));
    });
    const late = Date.now() + 1000 - due;
    if (late > 0) problems.push(`the last session ends ${late} ms after the moment`);
    await delay(Math.max(0, due - Date.now() - 200));
    const cpu = await cpuSeconds(world);
    let [lastSeen, operations] = [0, 0];
    for (let i = 0; Date.now() < due + lateness(countdown) + GRACE_MS; i++) {
      const sent = Date.now();
      const answer = await observer.client.get(`/v1/maps/${ids[(i * 7) % ids.length]}`);
      if (answer.status === 200 || answer.status === 404) operations += 1;
      if (answer.status === 200) lastSeen = sent;
      await delay(POLL_MS);
    }
    const used = (await cpuSeconds(world)) - cpu;
    const seenFor = Math.max(0, lastSeen - due);
    if (seenFor > lateness(countdown)) {
      problems.push(`a map of a session was seen ${seenFor} ms after its end`);
    }
    await insist(() => observer.client.del("/v1/session"));
    problems.push(...(await checkWorld({ bases, namespaces, storage })));
    const rate = Math.round(ids.length / used);
    const figures = `last seen ${seenFor} ms after the end; ${rate} sessions a CPU second of Redis`;
    return { hits: ids.length, operations, figures, problems };
  },
};

export const RELEASES = [dueTogether];
