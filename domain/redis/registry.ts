import { Errno, Unavailable } from "../errno.ts";
import type { Anchor, Anchors } from "./anchors.ts";
import { keysOf } from "./anchors.ts";
import type { Connection } from "./connection.ts";
import { type DueClaim, readClaims } from "./heartbeats.ts";
import type { InTime } from "./in_time.ts";
import type { MasterCalls } from "./master_calls.ts";
import type { Masters } from "./masters.ts";

/**
 * The registry of namespaces, one on each master of those that it has: which are in use, and when a sweeper has
 * to visit each. Its Lua is master/registry.lua.
 */

/** Greater than every character of a name. */
const LAST = "~";
/** Keys that one step of a search looks at, and so the most namespaces that it finds. */
const SEARCHED = 100;
/** Namespaces that move to the registry of their master in one step. */
const MOVED = 64;
/** Matches the key that every namespace has. */
const META = "bpf:{*}:meta";
const nameIn = (meta: string) => meta.slice("bpf:{".length, -"}:meta".length);

export interface RegistryOptions {
  redis: Connection;
  anchors: Anchors;
  masters: Masters;
  calls: MasterCalls;
  inTime: InTime;
}

export class Registry {
  readonly #options: RegistryOptions;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /**
   * Registers a namespace before it gets a session or work.
   *
   * @param delay ms in which a sweeper has to visit it at the latest.
   * @throws Unavailable for every failure, because nothing was done in the namespace.
   */
  async register(namespace: string, delay: number): Promise<void> {
    const { anchors, calls } = this.#options;
    try {
      await calls.call(anchors.registryOf(namespace), "register", namespace, delay);
    } catch (error) {
      if (error instanceof Errno || error instanceof Unavailable) throw error;
      throw new Unavailable(`the namespace could not be registered: ${(error as Error).message}`);
    }
  }

  /**
   * Claims a namespace, due or not, so that no other sweeper visits it for a second.
   *
   * @returns undefined when it is not in use.
   */
  async claim(namespace: string): Promise<DueClaim | undefined> {
    const { anchors, calls } = this.#options;
    const anchor = anchors.registryOf(namespace);
    const [score] = await calls.call(anchor, "claim", namespace);
    return score === undefined ? undefined : { anchor, namespace, score };
  }

  /** @param delay ms to the next visit; undefined when none is needed until somebody registers it. */
  async settle({ anchor, namespace, score }: DueClaim, delay: number | undefined): Promise<void> {
    const { anchors, calls } = this.#options;
    // Its slot has moved to another master since it was registered.
    if (anchor !== anchors.registryOf(namespace)) return this.#move({ anchor, namespace, score });
    await calls.call(anchor, "settle", namespace, score, delay ?? "");
  }

  /** Ends the claim on a namespace that is not in use. */
  async forget({ anchor, namespace, score }: DueClaim): Promise<void> {
    await this.#options.calls.call(anchor, "forget", namespace, score);
  }

  async #move(claim: DueClaim): Promise<void> {
    await this.register(claim.namespace, 0);
    await this.forget(claim);
  }

  /**
   * Empties a registry whose slot has moved to a master with another one. The sweepers that beat on this
   * master do not look there.
   */
  async moveFrom(anchor: Anchor): Promise<void> {
    const flat = await this.#options.calls.call(anchor, "claim_any", MOVED);
    await Promise.all(readClaims(anchor, flat).map((claim) => this.#move(claim)));
  }

  /**
   * Lists names in the order of their bytes.
   *
   * @param patterns names, or beginnings of names with "*" after them.
   * @param after list names greater than this.
   */
  async list(patterns: readonly string[], after: string, limit: number): Promise<string[]> {
    const anchors = this.#options.anchors.all();
    const lists = patterns.flatMap((pattern) =>
      anchors.map((anchor) => this.#match(anchor, pattern, after, limit)),
    );
    const names = new Set((await Promise.all(lists)).flat());
    return [...names].sort().slice(0, limit);
  }

  #match(anchor: Anchor, pattern: string, after: string, limit: number): Promise<string[]> {
    const isPrefix = pattern.endsWith("*");
    const low = isPrefix ? pattern.slice(0, -1) : pattern;
    const from = after < low ? `[${low}` : `(${after}`;
    const to = isPrefix ? `(${low}${LAST}` : `[${low}`;
    const [, , names] = keysOf(anchor);
    const { redis, inTime } = this.#options;
    return inTime(redis.zrangebylex(names, from, to, "LIMIT", 0, limit));
  }

  /** Searches all keys for namespaces that no registry has, in bounded steps. */
  async *search(): AsyncGenerator<string[]> {
    const { masters, inTime } = this.#options;
    for (const master of await masters.all()) {
      let cursor = "0";
      do {
        const step = master.scan(cursor, "MATCH", META, "COUNT", SEARCHED);
        const [next, keys] = await inTime(step);
        cursor = next;
        yield await this.missing(keys.map(nameIn));
      } while (cursor !== "0");
    }
  }

  /** Those of the names that the registry of their master lacks. */
  async missing(names: readonly string[]): Promise<string[]> {
    const { redis, anchors, inTime } = this.#options;
    const scores = await Promise.all(
      names.map((name) => inTime(redis.zscore(keysOf(anchors.registryOf(name))[2], name))),
    );
    return names.filter((_, i) => scores[i] === null);
  }
}
