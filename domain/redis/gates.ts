import { Gate } from "./gate.ts";
import type { Masters } from "./masters.ts";

/** The gate of each master, because one that is slow must not hold up the calls of the others. */

export class Gates {
  readonly #masters: Masters;
  readonly #deadline: number;
  /** By master; a server without slots has no name. */
  readonly #gates = new Map<string, Gate>();

  /** @param deadline ms that a call may take in all. */
  constructor(masters: Masters, deadline: number) {
    this.#masters = masters;
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

  /** @throws Unavailable when no master has the slot, according to the last map of slots. */
  of(slot: number): Gate {
    const name = this.#masters.nameAt(slot);
    const known = this.#gates.get(name);
    if (known) return known;
    const gate = new Gate(this.#deadline);
    this.#gates.set(name, gate);
    return gate;
  }
}
