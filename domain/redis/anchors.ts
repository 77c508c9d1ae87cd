import { type Connection, slotTable } from "./connection.ts";

/**
 * Anchors are hash tags that stand for masters: the keys of an anchor lie on the master that has its slot. In a
 * cluster there are 64, spread evenly over the slots, and a master's anchor is the first of those that it has.
 */

const SLOTS = 16_384;
const ANCHORS = 64;

export interface Anchor {
  readonly tag: string;
  readonly slot: number;
}

/** The keys of an anchor, as master/master.lua takes them. */
export function keysOf({ tag }: Anchor): [heartbeat: string, due: string, names: string] {
  return [`bpf:heartbeat:{${tag}}`, `bpf:due:{${tag}}`, `bpf:names:{${tag}}`];
}

/** CRC-16/XMODEM of a hash tag, as Redis Cluster has it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % SLOTS;
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
  readonly #redis: Connection;
  /** The anchor of each master, by the name of the master. */
  #masters = new Map<string, Anchor>();
  /** Anchors of masters that have none of the 64. */
  readonly #small = new Map<string, Anchor>();

  constructor(redis: Connection) {
    this.#redis = redis;
  }

  /** All anchors that can have a registry. */
  all(): readonly Anchor[] {
    return slotTable(this.#redis) ? SPREAD : [ONLY];
  }

  /** The anchor of each master, by the present slots. */
  ofMasters(): Anchor[] {
    const slots = slotTable(this.#redis);
    if (!slots) return [ONLY];
    const masters = new Map<string, Anchor>();
    for (const anchor of SPREAD) {
      const master = slots[anchor.slot]?.[0];
      if (master !== undefined && !masters.has(master)) masters.set(master, anchor);
    }
    this.#masters = masters;
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

  /** The anchor whose heartbeat the namespace has; undefined while its slot has no known master. */
  of(namespace: string): Anchor | undefined {
    const slots = slotTable(this.#redis);
    if (!slots) return ONLY;
    const slot = slotOf(namespace);
    const master = slots[slot]?.[0];
    if (master === undefined) return undefined;
    return this.#masters.get(master) ?? this.#ofSmall(master, slot);
  }

  /** The anchor that registers the namespace. Where its master has none, another master's does. */
  registryOf(namespace: string): Anchor {
    const anchor = this.of(namespace);
    if (anchor && this.all().includes(anchor)) return anchor;
    return SPREAD[Math.floor(slotOf(namespace) / WIDTH)] ?? ONLY;
  }

  #ofSmall(master: string, slot: number): Anchor {
    const known = this.#small.get(master);
    if (known) return known;
    const anchor = anchorIn(slot, 1);
    this.#small.set(master, anchor);
    return anchor;
  }
}
