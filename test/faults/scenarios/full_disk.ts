import { freePorts } from "../../../bench/free_ports.ts";
import { redisOn } from "../../support/redis_servers.ts";
import { SmallDisk } from "../../support/small_disk.ts";
import { describeAnswer, insist, openSession } from "../http.ts";
import { hitUnderLoad, newNamespaces } from "../load.ts";
import { startReplicas } from "../replicas.ts";
import type { FaultForm, FaultOutcome, FaultScenario } from "../scenario.ts";
import { RedisWorld } from "../world.ts";

/** The disk of Redis is full: nothing is written, and nothing is lost when it has room again. */

const DISK_MIB = 64;
/** The last of them is longer than the ttl of the sessions of the load. */
const FULL_MS = { short: [1000], full: [1000, 1000, 8000] };
const MISCONF = /^503 unavailable Redis cannot write its files, so check its disk: MISCONF/;
const READY = /^503 .*MISCONF/;

async function fillUnderLoad(
  world: RedisWorld,
  disk: SmallDisk,
  form: FaultForm,
): Promise<FaultOutcome> {
  const problems: string[] = [];
  const namespaces = newNamespaces(2);
  const { client } = await openSession(world.bases, namespaces[0] ?? "", { ttl_ms: 3_600_000 });
  let refused = 0;
  const outcome = await hitUnderLoad({
    ...{ world, namespaces, hits: FULL_MS[form].length, between: 200 },
    async hit(_, round) {
      disk.fill();
      const end = performance.now() + (FULL_MS[form][round] ?? 0);
      let isFull = false;
      // Redis writes once a turn of its loop, and learns from it that the disk is full.
      for (let tries = 0; performance.now() < end || !isFull; tries++) {
        if (tries > 10_000) throw new Error("Redis does not notice that its disk is full");
        const answer = await client.post("/v1/session/renew");
        const text = describeAnswer(answer);
        if (MISCONF.test(text)) [refused, isFull] = [refused + 1, true];
        else if (isFull) problems.push(`with a full disk: ${text}`);
      }
      const ready = describeAnswer(await client.get("/readyz"));
      if (!READY.test(ready)) problems.push(`readyz with a full disk: ${ready}`);
      disk.empty();
      await insist(() => client.post("/v1/session/renew"));
    },
  });
  const figures = `${refused} x 503 MISCONF to one client; ${outcome.figures}`;
  return { ...outcome, figures, problems: [...problems, ...outcome.problems] };
}

const fullDisk: FaultScenario = {
  name: "full-disk",
  fault: "a full disk of Redis under load, also for longer than the ttl, and room again",
  lane: "own",
  least: { short: { hits: 1, operations: 200 }, full: { hits: 3, operations: 800 } },
  async run(form) {
    const [port = 0] = await freePorts(1);
    // With "always" Redis ends itself when its disk is full.
    const redis = redisOn(port, "--appendonly", "yes", "--appendfsync", "everysec");
    const disk = SmallDisk.mount(redis.dir, DISK_MIB);
    if (typeof disk === "string") {
      return { hits: 0, operations: 0, figures: "", problems: [], skipped: disk };
    }
    try {
      await redis.start();
      const world = new RedisWorld(redis, await startReplicas(redis.url, 1));
      try {
        return await fillUnderLoad(world, disk, form);
      } finally {
        await world.stop();
      }
    } finally {
      disk.unmount();
    }
  },
};

export const FULL_DISK = [fullDisk];
