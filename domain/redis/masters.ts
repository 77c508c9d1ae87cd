import { Unavailable } from "../errno.ts";
import { type Connection, isCluster, type Master } from "./connection.ts";
import { slotOf } from "./slots.ts";

/**
 * The connection to each master, on which calls are sent. The cluster client itself would queue calls of a
 * node that is away, and would redirect a pipeline only as a whole.
 */

const nameOf = ({ options: { host, port } }: Master): string => `${host}:${port}`;

export class Masters {
  readonly #redis: Connection;
  readonly #limit: number;
  /** Nodes that the cluster client knows, by the names that its slots have. */
  readonly #nodes = new Map<string, Master>();
  readonly #connecting = new Map<Master, Promise<void>>();

  /** @param limit ms that a connection may take. */
  constructor(redis: Connection, limit: number) {
    this.#redis = redis;
    this.#limit = limit;
    if (!isCluster(redis)) return;
    redis.on("+node", (node: Master) => this.#nodes.set(nameOf(node), node));
    redis.on("-node", (node: Master) => {
      if (this.#nodes.get(nameOf(node)) === node) this.#nodes.delete(nameOf(node));
    });
  }

  /** The slot of a namespace. A server without slots has all of them in one. */
  slotOf(namespace: string): number {
    return isCluster(this.#redis) ? slotOf(namespace) : 0;
  }

  /** The names of the nodes of each slot, its master first; undefined for a Redis without slots. */
  get slots(): readonly string[][] | undefined {
    return isCluster(this.#redis) ? this.#redis.slots : undefined;
  }

  /**
   * The name of the master of a slot; empty for a server without slots.
   *
   * @throws Unavailable when no master has the slot, according to the last map of slots.
   */
  nameAt(slot: number): string {
    const { slots } = this;
    if (!slots) return "";
    const name = slots[slot]?.[0];
    if (name === undefined) throw new Unavailable("no master of the cluster has the slot");
    return name;
  }

  /**
   * The master of a slot, or a promise of it while it is not connected.
   *
   * @throws Unavailable when the slot has no master, or when that cannot be connected.
   */
  at(slot: number): Master | Promise<Master> {
    if (!isCluster(this.#redis)) return this.#redis;
    const node = this.#nodes.get(this.nameAt(slot));
    return node?.status === "ready" ? node : this.#connectAt(slot);
  }

  /** Connects the master of a slot; reads the slots again if its node is unknown. */
  async #connectAt(slot: number): Promise<Master> {
    if (!this.#nodes.has(this.nameAt(slot))) await this.refresh();
    const name = this.nameAt(slot);
    const node = this.#nodes.get(name);
    if (!node) throw new Unavailable(`no connection to the master ${name}`);
    await this.#connect(node);
    return node;
  }

  /** The masters that can be reached. @throws Unavailable when none can. */
  async all(): Promise<Master[]> {
    if (!isCluster(this.#redis)) return [this.#redis];
    const nodes = this.#redis.nodes("master");
    const results = await Promise.allSettled(nodes.map((node) => this.#connect(node)));
    const reached = nodes.filter((_, i) => results[i]?.status === "fulfilled");
    if (reached.length === 0) throw new Unavailable("no master of Redis can be reached");
    return reached;
  }

  /** Reads again from a cluster which master has which slots; waits for it no longer than `limit` ms. */
  async refresh(limit = this.#limit): Promise<void> {
    const redis = this.#redis;
    if (!isCluster(redis)) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, limit);
      redis.refreshSlotsCache(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Calls that wait for a node share its connection. */
  #connect(node: Master): Promise<void> {
    if (node.status === "ready") return Promise.resolve();
    const known = this.#connecting.get(node);
    if (known) return known;
    const connecting = connectOnce(node, this.#limit)
      .catch((error: Error) => {
        throw new Unavailable(`no connection to the master ${nameOf(node)}: ${error.message}`);
      })
      .finally(() => this.#connecting.delete(node));
    this.#connecting.set(node, connecting);
    return connecting;
  }
}

/** The cluster client makes nodes that are not connected, and forgets one whose connection ends. */
function connectOnce(node: Master, limit: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(new Error(`no answer within ${limit} ms`)), limit);
    const onReady = () => settle();
    const onEnd = () => settle(new Error("the connection ended"));
    function settle(error?: Error): void {
      clearTimeout(timer);
      node.off("ready", onReady).off("end", onEnd);
      if (error) reject(error);
      else resolve();
    }
    node.on("ready", onReady).on("end", onEnd);
    if (node.status === "wait") node.connect().catch(settle);
  });
}
