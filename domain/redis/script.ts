import { isAscii } from "node:buffer";
import { createHash } from "node:crypto";
import {
  BadToken,
  Errno,
  isErrno,
  KeyReused,
  OutcomeUnknown,
  SessionEnded,
  Stale,
  Unavailable,
} from "../errno.ts";
import { ACCESS } from "./commands.ts";
import { type Connection, connected, READY_MS, refreshSlots } from "./connection.ts";
import { Library } from "./library.ts";
import { type Access, bundleLua } from "./lua_bundle.ts";
import { LAYOUT } from "./records.ts";

/**
 * Runs the commands of domain/lua, which are functions of a library of Redis: one call, one round trip.
 * A call is sent once more only where Redis, or the function itself, has said that nothing was done.
 */

export type Value = Buffer | number | null | Value[];
export type Argument = string | number | Buffer;

/** What ioredis makes of a command's name, with replies as buffers; its types lack it. */
interface Commands {
  fcallBuffer(name: string, keys: 2, ...args: Argument[]): Promise<Value[]>;
  evalshaBuffer(sha: string, keys: 2, ...args: Argument[]): Promise<Value[]>;
  evalBuffer(text: string, keys: 2, ...args: Argument[]): Promise<Value[]>;
}

const bundle = bundleLua();
const sha = createHash("sha1").update(bundle.script).digest("hex");

/** Replies of Redis itself that mean: refused before anything was written. */
const REFUSED =
  /^(LOADING|READONLY|MISCONF|MASTERDOWN|NOREPLICAS|BUSY|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOAUTH|NOPERM)\b/;

/** Of a cluster's client, when the last answer was one of those. */
const TOO_MANY = /^Too many Cluster redirections.*: (MOVED|ASK|TRYAGAIN|CLUSTERDOWN)\b/;

const FULL = "Redis has reached its maxmemory";

function fromReply(code: string, detail: string, log: string | undefined): Error {
  if (isErrno(code)) return new Errno(code, detail, log === undefined ? {} : { log });
  if (code === "TOKEN") return new BadToken(detail);
  if (code === "ENDED") return new SessionEnded(detail);
  if (code === "IDEMPOTENCY") return new KeyReused(detail);
  if (code === "STALE") return new Stale(detail);
  if (code === "LAYOUT") {
    const found = `what the namespace has stored is of layout ${detail.slice(0, 40)}`;
    return new Unavailable(`${found}, this version of the service knows ${LAYOUT}`);
  }
  return refused(detail);
}

/** What Redis itself says: it has no room, it cannot work now, or the script has a fault. */
function refused(detail: string): Error {
  if (/^OOM\b/.test(detail)) return new Errno("ENOMEM", FULL);
  if (REFUSED.test(detail)) return new Unavailable(detail);
  return new Error(bundle.locate(detail));
}

/** @param sent false when the client library refused to send for want of a connection. */
function fromRejection(error: Error): Error {
  if (/enableOfflineQueue|Cluster isn't ready/.test(error.message)) {
    return new Unavailable("no connection to Redis");
  }
  if (TOO_MANY.test(error.message)) return new Unavailable(error.message);
  if (error.name === "ReplyError") return refused(error.message);
  return new OutcomeUnknown("the connection to Redis broke while the command ran");
}

/** How often a call meets a Redis without the library before it gives up. */
const LOADS = 3;

/** Said before anything is run, so that the call may be sent again. */
const isMissing = (error: unknown) =>
  error instanceof Error && /^(ERR )?Function not found/.test(error.message);

const isMoved = (error: unknown) =>
  error instanceof Unavailable && /^(MOVED|ASK) /.test(error.message);

export interface Answer {
  values: Value[];
  /** The namespace has freeing left for a sweeper. */
  workLeft: boolean;
  /** The first answer to a request that was repeated. */
  remembered: boolean;
}

/** Who calls: session id and token hash, the id of the idempotency record and its fingerprint. */
export type Who = readonly [sid: string, hash: string, record: string, fingerprint: string];

/** The first value of a reply; most are empty. */
const codeOf = ([status]: Value[]) =>
  (status as Buffer | undefined)?.length === 0 ? "" : String(status);

/** @throws what the command raised. */
function toAnswer(reply: Value[]): Answer {
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
  readonly #commands: Commands;
  readonly #deadline: number;

  /** @param deadline ms after which a call is settled whatever the client library does. */
  constructor(redis: Connection, deadline: number) {
    this.redis = redis;
    this.library = new Library(redis, bundle);
    this.#commands = redis as unknown as Commands;
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
  ): Promise<Answer> {
    const root = `bpf:{${namespace}}:`;
    const words: Argument[] = [root, `${root}meta`, command, ...who];
    for (const arg of args) words.push(typeof arg === "object" ? short(arg) : arg);
    const access = ACCESS.get(command) ?? "grow";
    const call = this.#call(access === "read" && writes ? "free" : access, words);
    const answer = call.then((reply) =>
      codeOf(reply) === "WRITES" ? this.#call("free", words).then(toAnswer) : toAnswer(reply),
    );
    const isRecorded = access === "grow" && who[2] !== "";
    return isRecorded ? answer.catch((error) => this.#recorded(error, words)) : answer;
  }

  /** Redis had no room to begin a call whose record may have the first answer all the same. */
  async #recorded(error: Error, words: Argument[]): Promise<Answer> {
    if (!(error instanceof Errno && error.message === FULL)) throw error;
    return toAnswer(await this.#call("free", words.with(2, "refused")));
  }

  #call(access: Access, words: Argument[]): Promise<Value[]> {
    const call = this.#commands.fcallBuffer(bundle.functions[access], 2, ...words);
    return this.#inTime(call).catch((error) => {
      if (isMissing(error)) return this.#afterLoading(access, words);
      if (isMoved(error)) return this.#afterRefresh(access, words);
      throw error;
    });
  }

  /** A call that met a master which does not have the namespace any more, and did nothing. */
  async #afterRefresh(access: Access, words: Argument[]): Promise<Value[]> {
    await this.#inTime(refreshSlots(this.redis)).catch(() => {});
    const call = this.#commands.fcallBuffer(bundle.functions[access], 2, ...words);
    return this.#inTime(call);
  }

  /** A call that found no library, and did nothing. */
  async #afterLoading(access: Access, words: Argument[]): Promise<Value[]> {
    for (let tries = 0; tries < LOADS; tries++) {
      if (!this.library.isFull) await this.#load();
      if (this.library.isFull) return this.#asScript(access, words);
      try {
        const call = this.#commands.fcallBuffer(bundle.functions[access], 2, ...words);
        return await this.#inTime(call);
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
  async #asScript(access: Access, words: Argument[]): Promise<Value[]> {
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
