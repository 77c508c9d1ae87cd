import { isAscii } from "node:buffer";
import { Errno, Unavailable } from "../errno.ts";
import { Anchors } from "./anchors.ts";
import { ACCESS } from "./command_access.ts";
import { type CommandReply, codeOf, toReply } from "./command_reply.ts";
import { type Connection, connected, READY_MS, refreshSlots } from "./connection.ts";
import { FULL, isMissing, isMoved } from "./failures.ts";
import type { Pass } from "./gate.ts";
import { Gates } from "./gates.ts";
import { Heartbeats } from "./heartbeats.ts";
import { type InTime, inTime } from "./in_time.ts";
import { Library } from "./library.ts";
import { LibraryCall } from "./library_call.ts";
import { bundle, type CommandAccess } from "./lua_bundle.ts";
import { MasterCalls } from "./master_calls.ts";
import type { Argument, RedisValue } from "./redis_value.ts";
import { Releases } from "./releases.ts";
import { ServerChecks } from "./server_checks.ts";

/**
 * Runs the commands of domain/lua, which are functions of a Redis library, in one round trip each.
 * Invariant: a call is sent again only after Redis, or the function itself, has said that it did nothing.
 */

export interface CallOptions {
  /** A command that mostly reads writes this time; by default one of a request with a record does. */
  writes?: boolean | undefined;
  /** Its request has done something, so it is not refused before it is sent. */
  isBegun?: boolean | undefined;
}

/** These keep sessions alive and free what has ended, so they never wait behind other calls. */
const URGENT: ReadonlySet<string> = new Set(["release", "session_renew", "sweep"]);

/** The caller: session id, token hash, name of the idempotency record, fingerprint of the request. */
export type Who = readonly [sid: string, hash: string, record: string, fingerprint: string];

/** The caller of what no session calls. */
export const NOBODY: Who = ["", "", "", ""];

/** The first word of a call is the root of the namespace's keys. */
const namespaceOf = ([root]: Argument[]) => /\{(.*)\}/.exec(String(root))?.[1] ?? "";

const SHORT_BYTES = 256;

/** ioredis encodes a call without buffers in one piece, which is faster. */
function encodeShort(arg: Buffer): Argument {
  return arg.length <= SHORT_BYTES && isAscii(arg) ? arg.toString("latin1") : arg;
}

export class Script {
  readonly redis: Connection;
  readonly library: Library;
  readonly checks: ServerChecks;
  readonly anchors: Anchors;
  readonly masters: MasterCalls;
  readonly heartbeats: Heartbeats;
  readonly gates: Gates;
  readonly #call: LibraryCall;
  readonly #deadline: number;
  readonly #releases = new Releases((namespace) => this.#release(namespace));

  /** @param deadline ms after which a call is rejected, even if ioredis still waits. */
  constructor(redis: Connection, deadline: number) {
    this.redis = redis;
    this.library = new Library(redis, bundle);
    this.checks = new ServerChecks(redis);
    this.gates = new Gates(redis, deadline);
    this.anchors = new Anchors(redis);
    const inTime: InTime = (call) => this.inTime(call);
    this.#call = new LibraryCall(redis, this.library, inTime);
    this.masters = new MasterCalls(redis, this.library, inTime);
    this.heartbeats = new Heartbeats(this.anchors, this.masters);
    redis.once("end", () => this.heartbeats.stop());
    this.#deadline = deadline;
  }

  /**
   * Resolves when Redis has the library and a heartbeat.
   *
   * @throws Unavailable after ten seconds without Redis, or for one whose settings lose data.
   */
  async ready(): Promise<void> {
    await connected(this.redis);
    try {
      await this.inTime(this.checks.check(), READY_MS);
      await this.inTime(this.library.load(), READY_MS);
      await this.heartbeats.start();
    } catch (error) {
      this.redis.disconnect();
      throw error;
    }
  }

  /** @throws Unavailable unless Redis answers, accepts commands and loses no data; a full one is ready. */
  async ping(): Promise<void> {
    try {
      await this.inTime(this.redis.set("bpf:ready", 1, "PX", READY_MS));
      await this.inTime(this.checks.check());
    } catch (error) {
      // A full Redis still reads and frees.
      if (error instanceof Errno) return;
      throw new Unavailable((error as Error).message);
    }
  }

  /**
   * Each wait for others comes before the words, because a call takes the newest beat.
   *
   * @throws an Errno or another failure of errno.ts.
   */
  async run(
    namespace: string,
    command: string,
    who: Who,
    args: Argument[],
    { writes = who[2] !== "", isBegun = false }: CallOptions = {},
  ): Promise<CommandReply> {
    const gate = this.gates.of(namespace);
    const entered = gate.enter(namespace, isBegun || URGENT.has(command));
    const pass = entered instanceof Promise ? await entered : entered;
    try {
      const fresh = this.heartbeats.refresh(namespace);
      if (fresh) await fresh;
      const words = this.#wordsOf(namespace, command, who, args);
      const access = ACCESS.get(command) ?? "grow";
      return await this.#send(access === "read" && writes ? "free" : access, words, pass);
    } finally {
      pass.leave();
    }
  }

  #wordsOf(namespace: string, command: string, who: Who, args: readonly Argument[]): Argument[] {
    const root = `bpf:{${namespace}}:`;
    const beat = this.heartbeats.beatFor(namespace);
    const words: Argument[] = [root, `${root}meta`, command, ...who, beat];
    for (const arg of args) words.push(typeof arg === "object" ? encodeShort(arg) : arg);
    return words;
  }

  /** A reply after the deadline is dropped: the caller has its error, so nothing may be sent again. */
  #send(access: CommandAccess, words: Argument[], pass?: Pass): Promise<CommandReply> {
    const call = this.#call.once(access, words);
    const limit = pass ? pass.send(call) : this.#deadline;
    return this.inTime(call, limit).then(
      (reply) => this.#answer(reply, access, words),
      (error: Error) => this.#recover(error, access, words),
    );
  }

  /** @throws the error that the command raised. */
  #answer(
    reply: RedisValue[],
    access: CommandAccess,
    words: Argument[],
  ): CommandReply | Promise<CommandReply> {
    const code = codeOf(reply);
    if (code === "WRITES") return this.#send("free", words);
    return code === "DUE" ? this.#afterRelease(access, words) : toReply(reply);
  }

  /** Sends a call again that would have shown references of ended sessions. */
  async #afterRelease(
    access: CommandAccess,
    words: Argument[],
    until = performance.now() + this.#deadline,
  ): Promise<CommandReply> {
    await this.#releases.finish(namespaceOf(words), until);
    return this.inTime(this.#call.once(access, words)).then(
      (reply) =>
        codeOf(reply) === "DUE"
          ? this.#afterRelease(access, words, until)
          : this.#answer(reply, access, words),
      (error: Error) => this.#recover(error, access, words),
    );
  }

  /** One step of a release. @returns whether references are left. */
  async #release(namespace: string): Promise<boolean> {
    const { values } = await this.run(namespace, "release", NOBODY, []);
    return values[0] === 1;
  }

  /** Sends a call again that was rejected before it did anything. @throws any other error. */
  async #recover(error: Error, access: CommandAccess, words: Argument[]): Promise<CommandReply> {
    if (isMissing(error)) {
      return this.#answer(await this.#call.afterLoading(access, words), access, words);
    }
    if (isMoved(error)) {
      return this.#answer(await this.#afterRefresh(access, words), access, words);
    }
    const isFull = error instanceof Errno && error.message === FULL;
    const [, , , , , record] = words;
    // A full Redis did not begin the call, but the record may hold the answer of an earlier try.
    if (isFull && access === "grow" && record !== "") {
      return this.#send("free", words.with(2, "refused"));
    }
    throw error;
  }

  /** Sends a call again that met a master which no longer has the namespace's slot. */
  async #afterRefresh(access: CommandAccess, words: Argument[]): Promise<RedisValue[]> {
    await this.inTime(refreshSlots(this.redis)).catch(() => {});
    return this.inTime(this.#call.once(access, words));
  }

  /** Waits for a call of Redis until its deadline. @throws a failure of errno.ts. */
  inTime<T>(call: Promise<T>, limit = this.#deadline): Promise<T> {
    return inTime(call, limit);
  }
}

/** The names of all commands, for the contract test. */
export function commandNames(): string[] {
  return [...bundle.commands].sort();
}
