import { hitUnderLoad, newNamespaces } from "../load.ts";
import type { FaultForm, FaultScenario } from "../scenario.ts";
import { clusterWorld } from "../world.ts";

/** Slots move and masters fail over in a real cluster under load. */

const pick = (form: FaultForm, short: number, full: number) => (form === "short" ? short : full);

const movedSlots: FaultScenario = {
  name: "slot-move",
  fault: "the slot of a living namespace moved to another master under load",
  lane: "cluster",
  least: { short: { hits: 3, operations: 150 }, full: { hits: 10, operations: 700 } },
  async run(form) {
    const world = await clusterWorld();
    const namespaces = newNamespaces(2);
    return hitUnderLoad({
      ...{ world, namespaces, hits: pick(form, 3, 12) },
      async hit(_, round) {
        const slot = await world.cluster.slotOf(namespaces[round % namespaces.length] ?? "");
        await world.cluster.moveSlot(slot);
      },
    });
  },
};

const failover: FaultScenario = {
  name: "failover",
  fault: "CLUSTER FAILOVER of the master of a living namespace under load",
  lane: "cluster",
  least: { short: { hits: 1, operations: 100 }, full: { hits: 6, operations: 400 } },
  async run(form) {
    const world = await clusterWorld();
    const namespaces = newNamespaces(2);
    return hitUnderLoad({
      ...{ world, namespaces, hits: pick(form, 1, 6) },
      hit: async (_, round) =>
        world.cluster.failOver(await world.cluster.masterOf(namespaces[round % 2] ?? "")),
    });
  },
};

const killedMaster: FaultScenario = {
  name: "master-kill",
  fault: "kill -9 of the master of a living namespace under load; its replica takes over",
  lane: "cluster",
  least: { short: { hits: 1, operations: 100 }, full: { hits: 2, operations: 150 } },
  async run(form) {
    const world = await clusterWorld();
    const namespaces = newNamespaces(2);
    return hitUnderLoad({
      ...{ world, namespaces, hits: pick(form, 1, 2) },
      traffic: { mayLose: true, ttl: 10_000 },
      async hit(_, round) {
        const master = await world.cluster.masterOf(namespaces[round % 2] ?? "");
        await world.cluster.killMaster(master);
        await master.start();
      },
    });
  },
};

export const CLUSTERS = [movedSlots, failover, killedMaster];
