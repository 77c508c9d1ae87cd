import { setTimeout as delay } from "node:timers/promises";
import { FaultProxy } from "../../support/proxy.ts";
import { Dice } from "../../support/random.ts";
import { hitUnderLoad } from "../load.ts";
import { startReplicas } from "../replicas.ts";
import type { FaultForm, FaultScenario } from "../scenario.ts";
import { FaultWorld, redisWorld } from "../world.ts";

/** Redis, replicas and connections end, stand still and lose messages under load. */

/** Longer than the deadline of a call. */
const STALL_MS = 1500;
/** Longer than the ttl of the sessions of the load. */
const LONG_STALL_MS = 6000;
/** In the short form the sessions of the load live for less, and the stall is shorter. */
const SHORT_TTL_MS = 2500;
const SHORT_LONG_STALL_MS = 4000;
const pick = (form: FaultForm, short: number, full: number) => (form === "short" ? short : full);

const killedRedis: FaultScenario = {
  name: "redis-kill",
  fault: "kill -9 of Redis (appendfsync always) under load, and a new start",
  least: { short: { hits: 2, operations: 100 }, full: { hits: 20, operations: 1000 } },
  async run(form) {
    const world = await redisWorld();
    return hitUnderLoad({
      ...{ world, hits: pick(form, 2, 20) },
      async hit() {
        await world.redis.kill();
        await world.redis.start();
      },
    });
  },
};

const stoppedRedis: FaultScenario = {
  name: "redis-stall",
  fault: `SIGSTOP of Redis under load for ${STALL_MS / 1000} s and ${LONG_STALL_MS / 1000} s, longer than the ttl`,
  least: { short: { hits: 1, operations: 100 }, full: { hits: 6, operations: 1500 } },
  async run(form) {
    const world = await redisWorld();
    return hitUnderLoad({
      ...{ world, hits: pick(form, 1, 6), between: pick(form, 60, 300) },
      async hit(_, round) {
        world.redis.signal("SIGSTOP");
        await delay(round % 2 === 0 ? STALL_MS : LONG_STALL_MS);
        world.redis.signal("SIGCONT");
      },
    });
  },
};

const killedReplica: FaultScenario = {
  name: "replica-kill",
  fault: "kill -9 of one of two replicas of the service under load, and a new start",
  least: { short: { hits: 1, operations: 100 }, full: { hits: 10, operations: 600 } },
  async run(form) {
    const world = await redisWorld();
    return hitUnderLoad({
      ...{ world, hits: pick(form, 1, 10) },
      async hit(_, round) {
        const replica = world.replicas[round % world.replicas.length];
        await replica?.kill();
        await replica?.start();
      },
    });
  },
};

const stoppedReplicas: FaultScenario = {
  name: "replica-stall",
  fault: "SIGSTOP of all replicas of the service under load for longer than the ttl",
  least: { short: { hits: 1, operations: 100 }, full: { hits: 3, operations: 200 } },
  async run(form) {
    const world = await redisWorld();
    return hitUnderLoad({
      ...{ world, hits: pick(form, 1, 3) },
      ...(form === "short" ? { traffic: { ttl: SHORT_TTL_MS } } : {}),
      async hit() {
        for (const replica of world.replicas) replica.signal("SIGSTOP");
        await delay(pick(form, SHORT_LONG_STALL_MS, LONG_STALL_MS));
        for (const replica of world.replicas) replica.signal("SIGCONT");
      },
    });
  },
};

const LOST_IN = 60;

const lostMessages: FaultScenario = {
  name: "lost-messages",
  fault: `requests to Redis and its replies lost on the way, one packet in ${LOST_IN}`,
  least: { short: { hits: 2, operations: 200 }, full: { hits: 40, operations: 4000 } },
  async run(form) {
    const { redis, storage } = await redisWorld();
    const proxy = new FaultProxy(redis.port);
    const replicas = await startReplicas(await proxy.listen(), 1);
    const dice = new Dice(7);
    const outcome = await hitUnderLoad({
      world: new FaultWorld(storage, replicas),
      hits: pick(form, 2, 8),
      async hit(traffic, round) {
        const side = round % 2 === 0 ? "onReply" : "onRequest";
        proxy[side] = () => (dice.oneIn(LOST_IN) ? "cut" : "pass");
        await traffic.untilDone(pick(form, 150, 600));
        proxy.heal();
      },
    });
    await replicas[0]?.stop();
    await proxy.close();
    return { ...outcome, hits: proxy.hits };
  },
};

const lostLibrary: FaultScenario = {
  name: "flush",
  fault: "SCRIPT FLUSH and FUNCTION FLUSH under load",
  least: { short: { hits: 6, operations: 200 }, full: { hits: 60, operations: 3000 } },
  async run(form) {
    const world = await redisWorld();
    return hitUnderLoad({
      ...{ world, hits: pick(form, 6, 60) },
      hit: (_, round) => world.redis.call(round % 2 === 0 ? "FUNCTION" : "SCRIPT", "FLUSH"),
    });
  },
};

export const CRASHES = [
  ...[killedRedis, stoppedRedis, killedReplica, stoppedReplicas, lostMessages, lostLibrary],
];
