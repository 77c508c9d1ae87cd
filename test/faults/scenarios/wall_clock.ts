import { bundle } from "../../../domain/redis/lua_bundle.ts";
import { until } from "../../support/redis_servers.ts";
import { type FaultClient, openSession } from "../http.ts";
import { hitUnderLoad, newNamespaces } from "../load.ts";
import type { FaultScenario } from "../scenario.ts";
import { type RedisWorld, redisWorld } from "../world.ts";

/**
 * The wall clock of Redis is set to another hour and back. Only root could set that of the machine, and for all its
 * programs; so the library is loaded with a clock that is off, which is all that it reads of the time.
 */

const HOUR = 3_600_000;
/** Where the clock stands at each hit, in ms from the time. */
const STEPS = { short: [HOUR, 0], full: [HOUR, 0, -HOUR, 0, 24 * HOUR, -24 * HOUR, HOUR, 0] };
const TTL = 1000;
/** ttl + 10 % + 1 s, the allowance of the step, and as much again for a machine under load. */
const ENDED_MS = 2 * (TTL * 1.1 + 1000) + 3000;
/** A heartbeat is at most so old. */
const BEAT_MS = 5000;

const TIME = "return time[1] * 1000 + floor(time[2] / 1000)";

/** Loads the library in place of itself. */
async function stepClock({ redis }: RedisWorld, ms: number): Promise<void> {
  if (!bundle.library.includes(TIME)) throw new Error(`the library has no line ${TIME}`);
  const library = bundle.library.replace(TIME, `${TIME} + ${ms}`);
  await redis.call("FUNCTION", "LOAD", "REPLACE", library);
}

/** Resolves when a heartbeat has been written by the clock that is off by `ms`. */
async function untilBeats(world: RedisWorld, heartbeat: string, ms: number): Promise<void> {
  const { redis } = world;
  await until(`a beat by a clock that is off by ${ms} ms`, async () => {
    const [, , tick] = String(await redis.call("GET", heartbeat)).split(" ");
    return Math.abs(Number(tick) - ms - Date.now()) < BEAT_MS;
  });
}

/** Opens a session that nobody renews. Returns a check that it has ended in time. */
async function openIdle(bases: readonly string[], namespace: string, observer: FaultClient) {
  const { id } = await openSession(bases, namespace, { ttl_ms: TTL });
  return async (): Promise<string[]> => {
    const isEnded = async () => (await observer.get(`/v1/sessions/${id}`)).status === 404;
    const ended = until("an idle session ends", isEnded, ENDED_MS);
    return ended.then(
      () => [],
      (error: Error) => [error.message],
    );
  };
}

const steppedClock: FaultScenario = {
  name: "wall-clock",
  fault: "the wall clock of Redis set to another hour or day and back under load",
  least: { short: { hits: 2, operations: 100 }, full: { hits: 8, operations: 400 } },
  async run(form) {
    const world = await redisWorld();
    const [heartbeat = ""] = (await world.redis.call("KEYS", "bpf:heartbeat:*")) as string[];
    const namespaces = newNamespaces(2);
    const observer = await openSession(world.bases, namespaces[0] ?? "", { ttl_ms: HOUR });
    const problems: string[] = [];
    try {
      const outcome = await hitUnderLoad({
        ...{ world, namespaces, hits: STEPS[form].length },
        async hit(_, round) {
          const ms = STEPS[form][round] ?? 0;
          const ended = await openIdle(world.bases, namespaces[0] ?? "", observer.client);
          await stepClock(world, ms);
          await untilBeats(world, heartbeat, ms);
          problems.push(...(await ended()));
        },
      });
      return { ...outcome, problems: [...problems, ...outcome.problems] };
    } finally {
      await stepClock(world, 0);
    }
  },
};

export const WALL_CLOCK = [steppedClock];
