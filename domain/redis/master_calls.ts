import { type Anchor, keysOf } from "./anchors.ts";
import { runAsScript } from "./bundle_script.ts";
import type { Connection } from "./connection.ts";
import { isMissing } from "./failures.ts";
import type { InTime } from "./in_time.ts";
import type { Library } from "./library.ts";
import { bundle } from "./lua_bundle.ts";

/** Calls the operations of master/master.lua, which belong to a master and not to a namespace. */

/** Keys of an anchor. */
const KEYS = 3;

export class MasterCalls {
  readonly #redis: Connection;
  readonly #library: Library;
  readonly #inTime: InTime;

  /** @param inTime waits for a call of Redis until its deadline. */
  constructor(redis: Connection, library: Library, inTime: InTime) {
    this.#redis = redis;
    this.#library = library;
    this.#inTime = inTime;
  }

  /** @throws a failure of errno.ts. An operation may be repeated, whatever became of it. */
  async call(anchor: Anchor, operation: string, ...args: (string | number)[]): Promise<string[]> {
    const words = [...keysOf(anchor), operation, ...args];
    try {
      return await this.#fcall(words);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await this.#inTime(this.#library.load());
    if (!this.#library.isFull) return this.#fcall(words);
    return (await runAsScript(this.#redis, this.#inTime, KEYS, words)).map(String);
  }

  async #fcall(words: readonly (string | number)[]): Promise<string[]> {
    return (await this.#inTime(
      this.#redis.fcall(bundle.masterFunction, KEYS, ...words),
    )) as string[];
  }
}
