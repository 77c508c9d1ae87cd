import type { Script } from "./script.ts";

/**
 * The sorted set of the names of all namespaces that are in use. In a cluster it is not in their slots, so it may
 * be behind: its reader asks each namespace whether it exists, and the sweeper adds what is missing.
 */

const INDEX = "bpf:names";

/** Greater than every character of a name. */
const LAST = "~";

export class NamespaceIndex {
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  async add(...names: string[]): Promise<void> {
    const members = names.flatMap((name) => [0, name]);
    await this.#script.inTime(this.#script.redis.zadd(INDEX, ...members));
  }

  /** Reads first, because a full Redis rejects even a write that changes nothing. */
  async addMissing(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const scores = await this.#script.inTime(this.#script.redis.zmscore(INDEX, ...names));
    const missing = names.filter((_, i) => scores[i] === null);
    if (missing.length > 0) await this.add(...missing);
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
