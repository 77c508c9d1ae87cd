import { mastersOf } from "./connection.ts";
import type { Script } from "./script.ts";

/**
 * The sorted set of the names of all namespaces that are in use. In a cluster it is not in their slots, so it may
 * be behind: its reader asks each namespace whether it exists, and the sweeper adds what is missing.
 */

const INDEX = "bpf:names";

/** Greater than every character of a name. */
const LAST = "~";
/** Keys that one step of a search looks at, and so the most namespaces that it finds. */
const SEARCHED = 100;
/** Matches the key that every namespace has. */
const META = "bpf:{*}:meta";
const nameIn = (meta: string) => meta.slice("bpf:{".length, -"}:meta".length);

export class NamespaceIndex {
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  async add(...names: string[]): Promise<void> {
    const members = names.flatMap((name) => [0, name]);
    await this.#script.inTime(this.#script.redis.zadd(INDEX, ...members));
  }

  /**
   * Reads first, because a full Redis rejects even a write that changes nothing.
   *
   * @returns the names that it has added.
   */
  async addMissing(names: readonly string[]): Promise<string[]> {
    const missing = await this.#missing(names);
    if (missing.length > 0) await this.add(...missing);
    return missing;
  }

  async #missing(names: readonly string[]): Promise<string[]> {
    if (names.length === 0) return [];
    const scores = await this.#script.inTime(this.#script.redis.zmscore(INDEX, ...names));
    return names.filter((_, i) => scores[i] === null);
  }

  /**
   * Searches all keys for namespaces that the index lacks, in bounded steps. Those that a version without the
   * index has left with pins alone are in no other list.
   */
  async *search(): AsyncGenerator<string[]> {
    for (const master of await mastersOf(this.#script.redis)) {
      let cursor = "0";
      do {
        const step = master.scan(cursor, "MATCH", META, "COUNT", SEARCHED);
        const [next, keys] = await this.#script.inTime(step);
        cursor = next;
        yield await this.#missing(keys.map(nameIn));
      } while (cursor !== "0");
    }
  }

  async remove(name: string): Promise<void> {
    await this.#script.inTime(this.#script.redis.zrem(INDEX, name));
  }

  /**
   * Lists names in the order of their bytes.
   *
   * @param patterns names, or beginnings of names with "*" after them.
   * @param after list names greater than this.
   */
  async list(patterns: readonly string[], after: string, limit: number): Promise<string[]> {
    const lists = patterns.map((pattern) => this.#match(pattern, after, limit));
    const names = new Set((await Promise.all(lists)).flat());
    return [...names].sort().slice(0, limit);
  }

  #match(pattern: string, after: string, limit: number): Promise<string[]> {
    const isPrefix = pattern.endsWith("*");
    const low = isPrefix ? pattern.slice(0, -1) : pattern;
    const from = after < low ? `[${low}` : `(${after}`;
    const to = isPrefix ? `(${low}${LAST}` : `[${low}`;
    const { redis } = this.#script;
    return this.#script.inTime(redis.zrangebylex(INDEX, from, to, "LIMIT", 0, limit));
  }
}
