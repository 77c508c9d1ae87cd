import { freePorts } from "../../bench/free_ports.ts";
import type { Master } from "../../domain/redis/connection.ts";
import { type RedisProcess, startRedisOn, until } from "./redis_servers.ts";

/**
 * A Redis Cluster of real servers on loopback, whose slots can be moved step by step and whose masters can
 * be failed over or killed. This file needs no test runner.
 */

const SLOTS = 16_384;
/** ms without an answer after which the others call a node failed; a replica takes over after about two. */
const NODE_TIMEOUT_MS = 1000;
/** Keys of the first two steps of a move, and of each later one. */
const FEW_KEYS = 3;
const MANY_KEYS = 1000;
const MIGRATE_MS = 5000;
/** Redis gives a failover five seconds. */
const FAILOVER_MS = 6000;
const FAILOVER_TRIES = 5;

export interface ClusterOptions {
  masters?: number;
  /** Replicas of each master. */
  replicas?: number;
  nodeTimeout?: number;
  /** More settings of each server. */
  settings?: string[];
}

/** Called between two steps of a move, with what has just been done. */
export type OnStep = (done: "opened" | "keys" | "emptied" | "assigned") => Promise<void> | void;

export class TestCluster {
  readonly nodes: readonly RedisProcess[];

  constructor(nodes: readonly RedisProcess[]) {
    this.nodes = nodes;
  }

  get url(): string {
    return `redis+cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  async idOf(node: RedisProcess): Promise<string> {
    return String(await node.call("CLUSTER", "MYID"));
  }

  /** The nodes that are masters now and answer. */
  async masters(): Promise<RedisProcess[]> {
    const roles = await Promise.all(
      this.nodes.map((node) => node.call("ROLE").catch(() => ["away"])),
    );
    return this.nodes.filter((_, i) => (roles[i] as string[])[0] === "master");
  }

  async slotOf(namespace: string): Promise<number> {
    const [node] = await this.masters();
    return Number(await node?.call("CLUSTER", "KEYSLOT", `bpf:{${namespace}}:`));
  }

  /** The master of a namespace, by the word of the masters themselves. */
  async masterOf(namespace: string): Promise<RedisProcess> {
    return this.ownerOf(await this.slotOf(namespace));
  }

  /** The master that has the slot, by the word of the masters themselves. */
  async ownerOf(slot: number): Promise<RedisProcess> {
    for (const node of await this.masters()) {
      const text = String(await node.call("CLUSTER", "NODES"));
      const own = text.split("\n").find((line) => line.includes("myself")) ?? "";
      const ranges = own
        .split(" ")
        .slice(8)
        .filter((word) => /^\d/.test(word));
      const isOwner = ranges.some((range) => {
        const [low = "", high = low] = range.split("-");
        return Number(low) <= slot && slot <= Number(high);
      });
      if (isOwner) return node;
    }
    throw new Error(`no master of the cluster has slot ${slot}`);
  }

  /** A connection to the master of a namespace alone, as the checks of its keys need it. */
  async clientOf(namespace: string): Promise<Master> {
    return (await this.masterOf(namespace)).client();
  }

  /** A connection to each master. */
  async clients(): Promise<Master[]> {
    return Promise.all((await this.masters()).map((node) => node.client()));
  }

  /**
   * Moves a slot to another master as redis-cli does: MIGRATING and IMPORTING, its keys in steps, then
   * SETSLOT NODE. Returns the new owner.
   */
  async moveSlot(slot: number, onStep: OnStep = () => {}): Promise<RedisProcess> {
    const owner = await this.ownerOf(slot);
    const masters = await this.masters();
    const target = masters[(masters.indexOf(owner) + 1) % masters.length] as RedisProcess;
    const targetId = await this.idOf(target);
    await target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", await this.idOf(owner));
    await owner.call("CLUSTER", "SETSLOT", slot, "MIGRATING", targetId);
    await onStep("opened");
    for (let step = 1; ; step++) {
      const count = step <= 2 ? FEW_KEYS : MANY_KEYS;
      const keys = (await owner.call("CLUSTER", "GETKEYSINSLOT", slot, count)) as string[];
      if (keys.length === 0) break;
      const to = ["127.0.0.1", target.port, "", 0, MIGRATE_MS, "KEYS"];
      await owner.call("MIGRATE", ...to, ...keys);
      await onStep("keys");
    }
    await onStep("emptied");
    await target.call("CLUSTER", "SETSLOT", slot, "NODE", targetId);
    await onStep("assigned");
    for (const node of masters) await node.call("CLUSTER", "SETSLOT", slot, "NODE", targetId);
    return target;
  }

  /** Resolves once a replica of the node, without losing a write, has taken its place. */
  async failOver(master: RedisProcess): Promise<RedisProcess> {
    const replica = await this.replicaOf(master);
    // A failover that misses its time is given up by Redis itself.
    for (let tries = 1; ; tries++) {
      await replica.call("CLUSTER", "FAILOVER");
      try {
        await this.untilMaster(replica, FAILOVER_MS);
        return replica;
      } catch (error) {
        if (tries === FAILOVER_TRIES) throw error;
      }
    }
  }

  /** A replica of the node whose link to it is up. */
  async replicaOf(master: RedisProcess): Promise<RedisProcess> {
    let found: RedisProcess | undefined;
    await until(`a replica of ${master.port} is in sync`, async () => {
      for (const node of this.nodes) {
        const [role, , port, state] = (await node.call("ROLE").catch(() => [])) as unknown[];
        if (role === "slave" && port === master.port && state === "connected") found = node;
      }
      return found !== undefined;
    });
    return found as RedisProcess;
  }

  /** Kills the master; resolves once a replica has taken its place, which takes about two node timeouts. */
  async killMaster(master: RedisProcess): Promise<RedisProcess> {
    const replica = await this.replicaOf(master);
    await master.kill();
    await this.untilMaster(replica);
    return replica;
  }

  async untilMaster(node: RedisProcess, limit?: number): Promise<void> {
    const isMaster = async () => {
      const [role] = (await node.call("ROLE")) as string[];
      return role === "master" && (await isFormed(node));
    };
    await until(`${node.port} is a master`, isMaster, limit);
  }

  /** Resolves when every living node knows all slots. */
  async untilFormed(): Promise<void> {
    await until("the cluster is formed", async () => {
      const formed = await Promise.all(this.nodes.map((node) => isFormed(node, this.nodes.length)));
      return formed.every(Boolean);
    });
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

async function isFormed(node: RedisProcess, count = 1): Promise<boolean> {
  const info = String(await node.call("CLUSTER", "INFO"));
  const known = Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1]);
  return info.includes("cluster_state:ok") && known >= count;
}

/** Starts the servers, gives each master its share of the slots, and waits until all agree. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const { masters = 3, replicas = 0, nodeTimeout = NODE_TIMEOUT_MS, settings = [] } = options;
  const count = masters * (1 + replicas);
  const ports = await freePorts(2 * count);
  const buses = ports.slice(count);
  const nodes = await Promise.all(
    ports.slice(0, count).map((port, i) =>
      startRedisOn(
        port,
        ...["--cluster-enabled", "yes", "--cluster-port", String(buses[i])],
        ...["--cluster-node-timeout", String(nodeTimeout), "--cluster-config-file", "nodes.conf"],
        // A replica may take over however long its link was down: these tests are short.
        ...["--cluster-replica-validity-factor", "0"],
        ...settings,
      ),
    ),
  );
  const cluster = new TestCluster(nodes);
  const first = nodes[0] as RedisProcess;
  for (const [i, node] of nodes.entries()) {
    await node.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1);
    await node.call("CLUSTER", "MEET", "127.0.0.1", first.port, buses[0] ?? 0);
    if (i >= masters) continue;
    const low = Math.ceil((i * SLOTS) / masters);
    await node.call("CLUSTER", "ADDSLOTSRANGE", low, Math.ceil(((i + 1) * SLOTS) / masters) - 1);
  }
  await until("all nodes have met", async () => {
    const texts = await Promise.all(nodes.map((node) => node.call("CLUSTER", "NODES")));
    return texts.every(
      (text) => !/handshake/.test(String(text)) && String(text).trim().split("\n").length === count,
    );
  });
  for (const [i, node] of nodes.entries()) {
    if (i < masters) continue;
    await node.call("CLUSTER", "REPLICATE", await cluster.idOf(nodes[i % masters] as RedisProcess));
  }
  await cluster.untilFormed();
  return cluster;
}
