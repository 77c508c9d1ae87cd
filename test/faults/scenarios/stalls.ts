import { setTimeout as delay } from "node:timers/promises";
import { startSleepers } from "../asleep.ts";
import { checkWorld } from "../checks.ts";
import { insist, type OpenedSession, openSession } from "../http.ts";
import { newNamespaces } from "../load.ts";
import type { FaultForm, FaultOutcome, FaultScenario } from "../scenario.ts";
import { forEachAtOnce } from "../sleepers.ts";
import { redisWorld } from "../world.ts";

/** Redis or all replicas stand still while many namespaces are idle and sessions renew late. */

const HOUR = 3_600_000;
const TTL = 3000;
const SIZES: Record<FaultForm, { idle: number; sleepers: number; stalls: number[] }> = {
  short: { idle: 100, sleepers: 40, stalls: [1200] },
  full: { idle: 1000, sleepers: 300, stalls: [1200, 1200, 1200, 5000, 5000] },
};

type Paused = { signal(name: "SIGSTOP" | "SIGCONT"): void };

async function stallAll(paused: readonly Paused[], form: FaultForm): Promise<FaultOutcome> {
  const { storage, bases } = await redisWorld();
  const { idle, sleepers: count, stalls } = SIZES[form];
  const idleSessions: OpenedSession[] = [];
  await forEachAtOnce(newNamespaces(idle), async (namespace, i) => {
    idleSessions.push(await openSession(bases, namespace, { ttl_ms: HOUR }, i));
  });
  const namespaces = newNamespaces(4);
  const stopSleepers = await startSleepers({ bases, namespaces, count, ttl: TTL });
  for (const ms of stalls) {
    await delay(TTL);
    for (const one of paused) one.signal("SIGSTOP");
    await delay(ms);
    for (const one of paused) one.signal("SIGCONT");
  }
  await delay(TTL);
  const { lost, renewals, problems } = await stopSleepers();
  await forEachAtOnce(idleSessions, async ({ client }) => {
    await insist(() => client.del("/v1/session"));
  });
  const wrong = await checkWorld({ bases, namespaces, storage });
  return {
    hits: stalls.length,
    operations: renewals,
    figures: `${lost} of ${count} sessions lost, ${idle} idle namespaces`,
    problems: [...problems, ...wrong],
  };
}

const least = { short: { hits: 1, operations: 60 }, full: { hits: 5, operations: 2000 } };

const redisStalls: FaultScenario = {
  name: "idle-redis-stall",
  fault:
    "SIGSTOP of Redis for 1.2 s and 5 s with many idle namespaces; clients renew at 80 % of a ttl of 3 s",
  least,
  run: async (form) => stallAll([(await redisWorld()).redis], form),
};

const replicaStalls: FaultScenario = {
  name: "idle-replica-stall",
  fault: "SIGSTOP of all replicas of the service for 1.2 s and 5 s, with the same sessions",
  least,
  run: async (form) => stallAll((await redisWorld()).replicas, form),
};

export const STALLS = [redisStalls, replicaStalls];
