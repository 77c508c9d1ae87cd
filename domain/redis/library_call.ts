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
import type { Masters } from "./masters.ts";
import type { Argument, RedisValue } from "./redis_value.ts";

/** Sends a call to a function of the library, and loads the library where Redis has lost it. */

/** ioredis adds this method at run time, with replies as buffers; its types lack it. */
interface FunctionMethods {
  fcallBuffer(name: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
}

/** A call loads a missing library at most so many times before it gives up. */
const LOADS = 3;

/** A call is sent so many times while its slot moves, and so many ms apart, well within its deadline. */
const MOVES = 5;
const MOVE_MS = 20;

/** A call, as it may be sent more than once. */
export interface Outgoing {
  /** Of the namespace. */
  slot: number;
  access: CommandAccess;
  /** The namespace's root and `meta`, the command, its caller, the beat, and the command's own arguments. */
  words: Argument[];
}

export class LibraryCall {
  readonly #masters: Masters;
  readonly #library: Library;
  readonly #deadline: number;
  readonly #batches = new WeakMap<Master, CallBatches>();

  /** @param deadline ms that a call may take. */
  constructor(masters: Masters, library: Library, deadline: number) {
    this.#masters = masters;
    this.#library = library;
    this.#deadline = deadline;
  }

  /**
   * Sends it to the master, once.
   *
   * @throws a failure of errno.ts; Unavailable if it was not sent in time.
   */
  send(master: Master, { access, words }: Outgoing, pass?: Pass): Promise<RedisValue[]> {
    const { fcallBuffer } = master as Master & FunctionMethods;
    const name = bundle.functions[access];
    const call = this.#batchesOf(master).add(() => fcallBuffer.call(master, name, 2, ...words));
    const limit = pass ? pass.send(call.answered) : this.#deadline;
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
    for (let tries = 0; tries < LOADS; tries++) {
      if (!this.#library.isFull) await this.#load();
      const master = await this.#masters.at(call.slot);
      if (this.#library.isFull) return this.#asScript(master, call);
      try {
        return await this.send(master, call);
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    throw new Unavailable(`Redis lost the library again after ${LOADS} loads`);
  }

  /** Sends a call again that met a master without its slot, until the move of the slot has ended. */
  async afterMove(call: Outgoing): Promise<RedisValue[]> {
    for (let tries = 1; ; tries++) {
      await Promise.all([this.#masters.refresh(), setTimeout(MOVE_MS)]);
      const master = await this.#masters.at(call.slot);
      try {
        return await this.send(master, call);
      } catch (error) {
        if (!isMoved(error) || tries === MOVES) throw error;
      }
    }
  }

  /** @throws Unavailable for every failure, because the call itself has not run. */
  async #load(): Promise<void> {
    try {
      await inTime(this.#library.load(), this.#deadline);
    } catch (error) {
      throw new Unavailable(`Redis rejected the library: ${(error as Error).message}`);
    }
  }

  /** Runs on a Redis that is too full for the library: only commands that free make room again. */
  async #asScript(master: Master, { access, words }: Outgoing): Promise<RedisValue[]> {
    if (access === "grow") throw new Errno("ENOMEM", FULL);
    return runAsScript(master, (call) => inTime(call, this.#deadline), 2, words);
  }
}
