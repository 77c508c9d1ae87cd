import { isAscii } from "node:buffer";
import { createHash } from "node:crypto";
import { Errno, OutcomeUnknown, Unavailable } from "../errno.ts";
import { ACCESS } from "./command_access.ts";
import { type Connection, connected, READY_MS, refreshSlots } from "./connection.ts";
import { FULL, fromRejection, fromReply, isMissing, isMoved } from "./failures.ts";
import { Library } from "./library.ts";
import { bundle, type CommandAccess } from "./lua_bundle.ts";

/**
 * Runs the commands of domain/lua, which are functions of a library of Redis: one call, one round trip.
 * A call is sent once more only where Redis, or the function itself, has said that nothing was done.
 */

export type RedisValue = Buffer | number | null | RedisValue[];
export type Argument = string | number | Buffer;

/** What ioredis makes of a command's name, with replies as buffers; its types lack it. */
interface CommandMethods {
  fcallBuffer(name: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
  evalshaBuffer(sha: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
  evalBuffer(text: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
}

const sha = createHash("sha1").update(bundle.script).digest("hex");

/** How often a call meets a Redis without the library before it gives up. */
const LOADS = 3;

export interface CommandReply {
  values: RedisValue[];
  /** The namespace has freeing left for a sweeper. */
  workLeft: boolean;
  /** The first answer to a request that was repeated. */
  remembered: boolean;
}

/** Who calls: session id and token hash, the id of the idempotency record and its fingerprint. */
export type Who = readonly [sid: string, hash: string, record: string, fingerprint: string];

/** The first value of a reply; most are empty. */
const codeOf = ([status]: RedisValue[]) =>
  (status as Buffer | undefined)?.length === 0 ? "" : String(status);

/** @throws what the command raised. */
function toAnswer(reply: RedisValue[]): CommandReply {
  const code = codeOf(reply);
  const values = reply.slice(1);
  if (code === "" || code === "+" || code === "=") {
    return { values, workLeft: code === "+", remembered: code === "=" };
  }
  throw fromReply(code, String(values[0]), values[1] ? String(values[1]) : undefined);
}

const SHORT = 256;

/** The client library encodes a call without buffers in one piece, which takes it less time. */
function short(arg: Buffer): Argument {
  return arg.length <= SHORT && isAscii(arg) ? arg.toString("latin1") : arg;
}

export class Script {
  readonly redis: Connection;
  readonly library: Library;
  readonly #commands: CommandMethods;
  readonly #deadline: number;

  /** @param deadline ms after which a call is settled whatever the client library does. */
  constructor(redis: Connection, deadline: number) {
    this.redis = redis;
    this.library = new Library(redis, bundle);
    this.#commands = redis as unknown as CommandMethods;
    this.#deadline = deadline;
  }

  /** Resolves when Redis has the library. @throws Unavailable when it is not there in ten seconds. */
  async ready(): Promise<void> {
    await connected(this.redis);
    await this.#inTime(this.library.load(), READY_MS);
  }

  /** @throws Unavailable unless Redis answers and works, be it full. */
  async ping(): Promise<void> {
    try {
      await this.#inTime(this.redis.set("bpf:ready", 1, "PX", READY_MS));
    } catch (error) {
      // A full Redis still reads and frees.
      if (error instanceof Errno) return;
      throw new Unavailable((error as Error).message);
    }
  }

  /**
   * @param writes of a command that mostly reads: this time it does not. A request that has a record writes it.
   * @throws an Errno or another failure of errno.ts, as the command answers.
   */
  run(
    namespace: string,
    command: string,
    who: Who,
    args: Argument[],
    writes = who[2] !== "",
  ): Promise<CommandReply> {
    const root = `bpf:{${namespace}}:`;
    const words: Argument[] = [root, `${root}meta`, command, ...who];
    for (const arg of args) words.push(typeof arg === "object" ? short(arg) : arg);
    const access = ACCESS.get(command) ?? "grow";
    return this.#send(access === "read" && writes ? "free" : access, words);
  }

  /** What comes after the deadline is dropped: the caller has been told, and nothing is sent for it again. */
  #send(access: CommandAccess, words: Argument[]): Promise<CommandReply> {
    return this.#inTime(this.#fcall(access, words)).then(
      (reply) => this.#answer(reply, words),
      (error: Error) => this.#recover(error, access, words),
    );
  }

  #fcall(access: CommandAccess, words: Argument[]): Promise<RedisValue[]> {
    return this.#commands.fcallBuffer(bundle.functions[access], 2, ...words);
  }

  /** @throws what the command raised. */
  #answer(reply: RedisValue[], words: Argument[]): CommandReply | Promise<CommandReply> {
    return codeOf(reply) === "WRITES" ? this.#send("free", words) : toAnswer(reply);
  }

  /** What was refused before anything was done, and may be done all the same. @throws the error else */
  async #recover(error: Error, access: CommandAccess, words: Argument[]): Promise<CommandReply> {
    if (isMissing(error)) return this.#answer(await this.#afterLoading(access, words), words);
    if (isMoved(error)) return this.#answer(await this.#afterRefresh(access, words), words);
    const isFull = error instanceof Errno && error.message === FULL;
    const [, , , , , record] = words;
    // Redis had no room to begin a call whose record may have the first answer.
    if (isFull && access === "grow" && record !== "") {
      return this.#send("free", words.with(2, "refused"));
    }
    throw error;
  }

  /** A call that met a master which does not have the namespace any more, and did nothing. */
  async #afterRefresh(access: CommandAccess, words: Argument[]): Promise<RedisValue[]> {
    await this.#inTime(refreshSlots(this.redis)).catch(() => {});
    return this.#inTime(this.#fcall(access, words));
  }

  /** A call that found no library, and did nothing. */
  async #afterLoading(access: CommandAccess, words: Argument[]): Promise<RedisValue[]> {
    for (let tries = 0; tries < LOADS; tries++) {
      if (!this.library.isFull) await this.#load();
      if (this.library.isFull) return this.#asScript(access, words);
      try {
        return await this.#inTime(this.#fcall(access, words));
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
    throw new Unavailable("Redis loses the library as soon as it has it");
  }

  /** @throws Unavailable, whatever went wrong: the call itself was not done. */
  async #load(): Promise<void> {
    try {
      await this.#inTime(this.library.load());
    } catch (error) {
      throw new Unavailable(`Redis does not take the library: ${(error as Error).message}`);
    }
  }

  /** On a Redis too full for the library: what frees must run, for there to be room again. */
  async #asScript(access: CommandAccess, words: Argument[]): Promise<RedisValue[]> {
    if (access === "grow") throw new Errno("ENOMEM", FULL);
    try {
      return await this.#inTime(this.#commands.evalshaBuffer(sha, 2, ...words));
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    }
    return this.#inTime(this.#commands.evalBuffer(bundle.script, 2, ...words));
  }

  #inTime<T>(call: Promise<T>, limit = this.#deadline): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new OutcomeUnknown(`Redis did not answer within ${limit} ms`));
      }, limit);
      call.then(
        (reply) => {
          clearTimeout(timer);
          resolve(reply);
        },
        (error: Error) => {
          clearTimeout(timer);
          reject(fromRejection(error));
        },
      );
    });
  }
}

/** The names of all commands, for the contract test. */
export function commandNames(): string[] {
  return [...bundle.commands].sort();
}
