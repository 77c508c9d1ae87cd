import type { Connection } from "./connection.ts";
import type { InTime } from "./in_time.ts";

/**
 * The registry of versions from before there was one on each master: two keys for all namespaces. Their sweepers
 * go by it beside this version, so that their clock goes on in each namespace that is in use.
 */

/** Set of the namespaces that may have sessions or work. */
const NAMESPACES = "bpf:namespaces";
/** Sorted set of the names of all namespaces. */
const NAMES = "bpf:names";
/** Names of one step. */
const STEP = 100;

export class OlderRegistry {
  readonly #redis: Connection;
  readonly #inTime: InTime;

  /** @param inTime waits for a call of Redis until its deadline. */
  constructor(redis: Connection, inTime: InTime) {
    this.#redis = redis;
    this.#inTime = inTime;
  }

  /** Does not wait, because this version does without it. */
  add(namespace: string): void {
    this.#redis.sadd(NAMESPACES, namespace).catch(() => {});
  }

  /** Does not wait: a name that stays is found not to be in use. */
  remove(namespace: string): void {
    this.#redis.srem(NAMESPACES, namespace).catch(() => {});
    this.#redis.zrem(NAMES, namespace).catch(() => {});
  }

  /** All names, in bounded steps. */
  async *names(): AsyncGenerator<string[]> {
    let cursor = "0";
    do {
      const [next, names] = await this.#inTime(
        this.#redis.sscan(NAMESPACES, cursor, "COUNT", STEP),
      );
      cursor = next;
      yield names;
    } while (cursor !== "0");
    do {
      const [next, flat] = await this.#inTime(this.#redis.zscan(NAMES, cursor, "COUNT", STEP));
      cursor = next;
      yield flat.filter((_, i) => i % 2 === 0);
    } while (cursor !== "0");
  }
}
