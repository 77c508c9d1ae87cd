import type { Masters } from "./masters.ts";
import { SLOTS, slotOf } from "./slots.ts";

/**
 * Anchors are hash tags that stand for masters: the keys of an anchor lie on the master that has its slot. In a
 * cluster there are 64, spread evenly over the slots, and a master's anchor is the first of those that it has.
 */

const ANCHORS = 64;

export interface Anchor {
  readonly tag: string;
  readonly slot: number;
}

/** The keys of an anchor, as master/master.lua takes them. */
export function keysOf({ tag }: Anchor): [heartbeat: string, due: string, names: string] {
  return [`bpf:heartbeat:{${tag}}`, `bpf:due:{${tag}}`, `bpf:names:{${tag}}`];
}

/** The smallest number whose slot is in the range. */
function anchorIn(first: number, count: number): Anchor {
  for (let number = 0; ; number++) {
    const slot = slotOf(String(number));
    if (slot >= first && slot < first + count) return { tag: String(number), slot };
  }
}

const WIDTH = SLOTS / ANCHORS;
const SPREAD = Array.from({ length: ANCHORS }, (_, i) => anchorIn(i * WIDTH, WIDTH));
const [ONLY = anchorIn(0, SLOTS)] = SPREAD;

export class Anchors {
  readonly #masters: Masters;
  /** The anchor of each master, by the name of the master. */
  #ofMasters = new Map<string, Anchor>();
  /** Anchors of masters that have none of the 64. */
  readonly #small = new Map<string, Anchor>();

  constructor(masters: Masters) {
    this.#masters = masters;
  }

  /** All anchors that can have a registry. */
  all(): readonly Anchor[] {
    return this.#masters.slots ? SPREAD : [ONLY];
  }

  /** The anchor of each master, by the present slots. */
  ofMasters(): Anchor[] {
    const { slots } = this.#masters;
    if (!slots) return [ONLY];
    const masters = new Map<string, Anchor>();
    for (const anchor of SPREAD) {
      const master = slots[anchor.slot]?.[0];
      if (master !== undefined && !masters.has(master)) masters.set(master, anchor);
    }
    this.#ofMasters = masters;
    for (const [master, { slot }] of this.#small) {
      const isLeft = masters.has(master) || slots[slot]?.[0] !== master;
      if (isLeft) this.#small.delete(master);
    }
    return [...masters.values(), ...this.#small.values()];
  }

  /** Anchors whose slot is on a master with another one: only a move of slots leaves something there. */
  unvisited(): Anchor[] {
    const visited = new Set(this.ofMasters());
    return this.all().filter((anchor) => !visited.has(anchor));
  }

  /** The anchor whose heartbeat a slot has; undefined while the slot has no known master. */
  of(slot: number): Anchor | undefined {
    const { slots } = this.#masters;
    if (!slots) return ONLY;
    const master = slots[slot]?.[0];
    if (master === undefined) return undefined;
    return this.#ofMasters.get(master) ?? this.#ofSmall(master, slot);
  }

  /** The anchor that registers the namespace. Where its master has none, another master's does. */
  registryOf(namespace: string): Anchor {
    const slot = slotOf(namespace);
    const anchor = this.of(slot);
    if (anchor && this.all().includes(anchor)) return anchor;
    return SPREAD[Math.floor(slot / WIDTH)] ?? ONLY;
  }

  #ofSmall(master: string, slot: number): Anchor {
    const known = this.#small.get(master);
    if (known) return known;
    const anchor = anchorIn(slot, 1);
    this.#small.set(master, anchor);
    return anchor;
  }
}
