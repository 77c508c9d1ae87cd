import { Unavailable } from "../errno.ts";
import { slotOf } from "./anchors.ts";
import { type Connection, slotTable } from "./connection.ts";
import { Gate } from "./gate.ts";

/** The gate of each master, because one that is slow must not hold up the calls of the others. */

export class Gates {
  readonly #redis: Connection;
  readonly #deadline: number;
  /** By master; a server without slots has no name. */
  readonly #gates = new Map<string, Gate>();

  /** @param deadline ms that a call may take in all. */
  constructor(redis: Connection, deadline: number) {
    this.#redis = redis;
    this.#deadline = deadline;
  }

  /** True if a master has more calls under way than are answered in time. */
  get isOverloaded(): boolean {
    for (const gate of this.#gates.values()) if (gate.isOverloaded) return true;
    return false;
  }

  /** Calls that are not answered yet. */
  get underWay(): number {
    let sum = 0;
    for (const gate of this.#gates.values()) sum += gate.underWay;
    return sum;
  }

  /** @throws Unavailable when no master has the namespace's slot, by what the cluster has said last. */
  of(namespace: string): Gate {
    const master = this.#masterOf(namespace);
    const known = this.#gates.get(master);
    if (known) return known;
    const gate = new Gate(this.#deadline);
    this.#gates.set(master, gate);
    return gate;
  }

  #masterOf(namespace: string): string {
    const slots = slotTable(this.#redis);
    if (!slots || slots.length === 0) return "";
    const master = slots[slotOf(namespace)]?.[0];
    if (master === undefined) throw new Unavailable("no master of the cluster has the slot");
    return master;
  }
}
