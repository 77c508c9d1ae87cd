import { Errno, Unavailable } from "../errno.ts";
import { runAsScript } from "./bundle_script.ts";
import { type Connection, fcallByItself } from "./connection.ts";
import { FULL, isMissing } from "./failures.ts";
import type { InTime } from "./in_time.ts";
import type { Library } from "./library.ts";
import { bundle, type CommandAccess } from "./lua_bundle.ts";
import type { Argument, RedisValue } from "./redis_value.ts";

/** Sends a call to a function of the library, and loads the library where Redis has lost it. */

/** ioredis adds this method at run time, with replies as buffers; its types lack it. */
interface FunctionMethods {
  fcallBuffer(name: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
}

/** A call loads a missing library at most so many times before it gives up. */
const LOADS = 3;

/** Bytes of an argument whose call is not sent together with others. */
const LONG_BYTES = 64 * 1024;
const isLong = (word: Argument) => typeof word === "object" && word.length > LONG_BYTES;

/** The namespace's root and `meta`, the command, its caller, the beat, and the command's own arguments. */
type Words = Argument[];

export class LibraryCall {
  readonly #redis: Connection;
  readonly #library: Library;
  readonly #inTime: InTime;

  /** @param inTime waits for a call of Redis until its deadline. */
  constructor(redis: Connection, library: Library, inTime: InTime) {
    this.#redis = redis;
    this.#library = library;
    this.#inTime = inTime;
  }

  /** Sends it once. ioredis throws at once for a slot that no master has. */
  async once(access: CommandAccess, words: Words): Promise<RedisValue[]> {
    const name = bundle.functions[access];
    if (words.some(isLong)) return fcallByItself(this.#redis, name, 2, words);
    return (this.#redis as Connection & FunctionMethods).fcallBuffer(name, 2, ...words);
  }

  /** Sends a call again that found no library. */
  async afterLoading(access: CommandAccess, words: Words): Promise<RedisValue[]> {
    for (let tries = 0; tries < LOADS; tries++) {
      if (!this.#library.isFull) await this.#load();
      if (this.#library.isFull) return this.#asScript(access, words);
      try {
        return await this.#inTime(this.once(access, words));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    throw new Unavailable(`Redis lost the library again after ${LOADS} loads`);
  }

  /** @throws Unavailable for every failure, because the call itself has not run. */
  async #load(): Promise<void> {
    try {
      await this.#inTime(this.#library.load());
    } catch (error) {
      throw new Unavailable(`Redis rejected the library: ${(error as Error).message}`);
    }
  }

  /** Runs on a Redis that is too full for the library: only commands that free make room again. */
  async #asScript(access: CommandAccess, words: Words): Promise<RedisValue[]> {
    if (access === "grow") throw new Errno("ENOMEM", FULL);
    return runAsScript(this.#redis, this.#inTime, 2, words);
  }
}
