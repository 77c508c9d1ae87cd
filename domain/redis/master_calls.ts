import { createHash } from "node:crypto";
import { type Anchor, keysOf } from "./anchors.ts";
import type { Connection } from "./connection.ts";
import { isForgotten, isMissing } from "./failures.ts";
import type { Library } from "./library.ts";
import { bundle } from "./lua_bundle.ts";

/** Calls the operations of master/master.lua, which belong to a master and not to a namespace. */

const sha = createHash("sha1").update(bundle.script).digest("hex");

/** Waits for a call of Redis until its deadline. */
export type InTime = <T>(call: Promise<T>) => Promise<T>;

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
    return this.#library.isFull ? this.#eval(words) : this.#fcall(words);
  }

  async #fcall(words: readonly (string | number)[]): Promise<string[]> {
    return (await this.#inTime(this.#redis.fcall(bundle.masterFunction, 3, ...words))) as string[];
  }

  /** A Redis that is too full for the library still runs the same text as a script. */
  async #eval(words: readonly (string | number)[]): Promise<string[]> {
    try {
      return (await this.#inTime(this.#redis.evalsha(sha, 3, ...words))) as string[];
    } catch (error) {
      if (!isForgotten(error)) throw error;
    }
    return (await this.#inTime(this.#redis.eval(bundle.script, 3, ...words))) as string[];
  }
}
