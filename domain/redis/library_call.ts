import { setTimeout } from "node:timers/promises";
import { Errno, Unavailable } from "../errno.ts";
import { runAsScript } from "./bundle_script.ts";
import { CallBatches } from "./call_batches.ts";
import type { Master } from "./connection.ts";
import { FULL, isMissing, isMoved } from "./failures.ts";
import type { Pass } from "./gate.ts";
import { inTime } from "./in_time.ts";
import type { Library } from "./library.ts";
import { bundle, type CommandAccess } from "./lua_bundle.ts";
import { BEAT_WORD } from "./lua_call.ts";
import type { Masters } from "./masters.ts";
import type { Argument, RedisValue } from "./redis_value.ts";

/** Sends a call to a function of the library, and loads the library where Redis has lost it. */

/** ioredis adds this method at run time, with replies as buffers; its types lack it. */
interface FunctionMethods {
  fcallBuffer(name: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
}

/** A call loads a missing library at most so many times before it gives up. */
const LOADS = 10;

/** A call is sent so many times while its slot moves, and so many ms apart, well within its deadline. */
const MOVES = 5;
const MOVE_MS = 20;

/** A call, as it may be sent more than once. */
export interface Outgoing {
  /** The cluster slot of the namespace. */
  slot: number;
  access: CommandAccess;
  /** The namespace's root and `meta`, the command, its caller, the beat, and the command's own arguments. */
  words: Argument[];
  /** Its deadline, by performance.now(). */
  until: number;
}

export interface LibraryCallOptions {
  masters: Masters;
  library: Library;
  /** The last beat of the master of a slot. */
  beatFor(slot: number): string;
}

/** ms that are left until a time by performance.now(). */
const left = (until: number) => Math.max(0, until - performance.now());

export class LibraryCall {
  readonly #options: LibraryCallOptions;
  readonly #batches = new WeakMap<Master, CallBatches>();

  constructor(options: LibraryCallOptions) {
    this.#options = options;
  }

  /**
   * Sends it to the master, once.
   *
   * @throws a failure of errno.ts; Unavailable if it was not sent in time.
   */
  send(master: Master, outgoing: Outgoing, pass?: Pass): Promise<RedisValue[]> {
    const { access, words, until } = outgoing;
    const { fcallBuffer } = master as Master & FunctionMethods;
    const name = bundle.functions[access];
    const call = this.#batchesOf(master).add(() => fcallBuffer.call(master, name, 2, ...words));
    const limit = pass ? pass.send(call.answered) : left(until);
    return inTime(call.answered, limit, (reason) => call.drop(reason));
  }

  #batchesOf(master: Master): CallBatches {
    const known = this.#batches.get(master);
    if (known) return known;
    const batches = new CallBatches(master);
    this.#batches.set(master, batches);
    return batches;
  }

  /** Sends a call again that found no library. */
  async afterLoading(call: Outgoing): Promise<RedisValue[]> {
    const { masters, library } = this.#options;
    for (let tries = 0; tries < LOADS; tries++) {
      const master = await masters.at(call.slot);
      if (!library.isFullOn(master)) await this.#load(call);
      if (library.isFullOn(master)) return this.#asScript(master, call);
      try {
        return await this.send(master, this.#withNewBeat(call));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    throw new Unavailable(`Redis lost the library again after ${LOADS} loads`);
  }

  /** Sends a call again that met a master without its slot, until the move of the slot has ended. */
  async afterMove(call: Outgoing): Promise<RedisValue[]> {
    const { masters } = this.#options;
    for (let tries = 1; ; tries++) {
      await Promise.all([masters.refresh(left(call.until)), setTimeout(MOVE_MS)]);
      const master = await masters.at(call.slot);
      try {
        return await this.send(master, this.#withNewBeat(call));
      } catch (error) {
        if (!isMoved(error) || tries === MOVES || left(call.until) === 0) throw error;
      }
    }
  }

  /** Another master than the one before has another heartbeat, and the old beat has aged. */
  #withNewBeat(call: Outgoing): Outgoing {
    return { ...call, words: call.words.with(BEAT_WORD, this.#options.beatFor(call.slot)) };
  }

  /** @throws Unavailable for every failure, because the call itself has not run. */
  async #load({ until }: Outgoing): Promise<void> {
    try {
      await inTime(this.#options.library.load(), left(until));
    } catch (error) {
      throw new Unavailable(`Redis rejected the library: ${(error as Error).message}`);
    }
  }

  /** Runs on a Redis that is too full for the library: only commands that free make room again. */
  async #asScript(master: Master, { access, words, until }: Outgoing): Promise<RedisValue[]> {
    if (access === "grow") throw new Errno("ENOMEM", FULL);
    return runAsScript(master, (call) => inTime(call, left(until)), 2, words);
  }
}
