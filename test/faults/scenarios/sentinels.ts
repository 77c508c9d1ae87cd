import { startSentinelGroup } from "../../support/sentinels.ts";
import { hitUnderLoad } from "../load.ts";
import { startReplicas } from "../replicas.ts";
import type { FaultScenario } from "../scenario.ts";
import { FaultWorld } from "../world.ts";

/** Sentinels replace masters that live and masters that are killed, under load. */

const HITS = { short: 1, full: 6 };

const replacedMasters: FaultScenario = {
  name: "sentinel-failover",
  fault: "SENTINEL FAILOVER of a master that lives and kill -9 of a master, in turn, under load",
  lane: "own",
  least: { short: { hits: 1, operations: 100 }, full: { hits: 6, operations: 400 } },
  async run(form) {
    // Writes that no replica has are lost in a failover; with one required these are few.
    const group = await startSentinelGroup({ minReplicas: 1 });
    const replicas = await startReplicas(group.url, 2);
    const storage = {
      url: group.url,
      redisOf: async () => (await group.master()).client(),
      masters: async () => [await (await group.master()).client()],
      stop: () => group.stop(),
    };
    const world = new FaultWorld(storage, replicas);
    try {
      return await hitUnderLoad({
        ...{ world, hits: HITS[form] },
        traffic: { mayLose: true, ttl: 10_000 },
        async hit(_, round) {
          await group.untilInSync();
          const former = await group.master();
          const isKill = round % 2 === 1;
          if (isKill) await former.kill();
          else await group.beginFailover();
          await group.untilReplaced(former);
          if (isKill) await former.start();
        },
      });
    } finally {
      await world.stop();
    }
  },
};

export const SENTINELS = [replacedMasters];
