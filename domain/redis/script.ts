import { Errno, OutcomeUnknown, Unavailable } from "../errno.ts";
import { Anchors } from "./anchors.ts";
import { ACCESS } from "./command_access.ts";
import { type CommandReply, codeOf, toReply } from "./command_reply.ts";
import { type Connection, connected, type Master, READY_MS } from "./connection.ts";
import { FULL, isMissing, isMoved } from "./failures.ts";
import type { Pass } from "./gate.ts";
import { Gates } from "./gates.ts";
import { Heartbeats } from "./heartbeats.ts";
import { type InTime, inTime } from "./in_time.ts";
import { Library } from "./library.ts";
import { LibraryCall, type Outgoing } from "./library_call.ts";
import { bundle, type CommandAccess } from "./lua_bundle.ts";
import { type LuaCall, NOBODY, type Who, wordsOf } from "./lua_call.ts";
import { MasterCalls } from "./master_calls.ts";
import { Masters } from "./masters.ts";
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
const URGENT: ReadonlySet<string> = new Set([
  ...["release", "session_renew", "sessions_renew", "sweep"],
]);

/**
 * A call waits for the release of ended sessions for so many deadlines. Redis answers each step of it within
 * one, and thousands of sessions that are due together take more.
 */
const RELEASE_DEADLINES = 10;

export class Script {
  readonly redis: Connection;
  readonly library: Library;
  readonly checks: ServerChecks;
  readonly anchors: Anchors;
  readonly masters: Masters;
  readonly masterCalls: MasterCalls;
  readonly heartbeats: Heartbeats;
  readonly gates: Gates;
  readonly #call: LibraryCall;
  readonly #deadline: number;
  readonly #releases = new Releases((namespace) => this.#release(namespace));

  /** @param deadline ms after which a call is rejected, even if ioredis still waits. */
  constructor(redis: Connection, deadline: number) {
    this.redis = redis;
    const masters = new Masters(redis, deadline);
    this.masters = masters;
    this.library = new Library(redis, masters, bundle);
    this.checks = new ServerChecks(masters);
    this.gates = new Gates(masters, deadline);
    this.anchors = new Anchors(masters);
    const inTime: InTime = (call) => this.inTime(call);
    const beatFor = (slot: number) => this.heartbeats.beatFor(slot);
    this.#call = new LibraryCall({ masters, library: this.library, beatFor });
    this.masterCalls = new MasterCalls(masters, this.library, inTime);
    this.heartbeats = new Heartbeats(this.anchors, this.masterCalls);
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
   * A call that would show references of ended sessions leaves the gate until these are released, so that it
   * does not count as one for which Redis is too slow.
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
    const access = ACCESS.get(command) ?? "grow";
    const call = { namespace, command, who, args, isBegun };
    const begun = performance.now();
    for (;;) {
      const reply = await this.#pass(call, access === "read" && writes ? "free" : access);
      if (reply !== undefined) return reply;
      await this.#releases.finish(namespace, begun + RELEASE_DEADLINES * this.#deadline);
    }
  }

  /**
   * Passes the gate. Each wait for others comes before the words, because a call takes the newest beat.
   *
   * @returns undefined when references of ended sessions have to be released first.
   */
  async #pass(call: LuaCall, access: CommandAccess): Promise<CommandReply | undefined> {
    const { namespace, command, isBegun } = call;
    const slot = this.masters.slotOf(namespace);
    const entered = this.gates.of(slot).enter(namespace, isBegun || URGENT.has(command));
    const pass = entered instanceof Promise ? await entered : entered;
    try {
      const fresh = this.heartbeats.refresh(slot);
      if (fresh) await fresh;
      const connected = this.masters.at(slot);
      const master = connected instanceof Promise ? await connected : connected;
      const words = wordsOf(call, this.heartbeats.beatFor(slot));
      const until = performance.now() + this.#deadline;
      return await this.#send(master, { slot, access, words, until }, pass);
    } finally {
      pass.leave();
    }
  }

  /** A reply after the deadline is dropped: the caller has its error, so nothing may be sent again. */
  #send(master: Master, outgoing: Outgoing, pass?: Pass): Promise<CommandReply | undefined> {
    return this.#call.send(master, outgoing, pass).then(
      (reply) => this.#answer(reply, outgoing),
      (error: Error) => this.#recover(error, outgoing),
    );
  }

  async #sendAgain(outgoing: Outgoing): Promise<CommandReply | undefined> {
    return this.#send(await this.masters.at(outgoing.slot), outgoing);
  }

  /** @throws the error that the command raised. */
  #answer(
    reply: RedisValue[],
    outgoing: Outgoing,
  ): CommandReply | undefined | Promise<CommandReply | undefined> {
    const code = codeOf(reply);
    if (code === "WRITES") return this.#sendAgain({ ...outgoing, access: "free" });
    return code === "DUE" ? undefined : toReply(reply);
  }

  /** One step of a release. @returns whether references are left. */
  async #release(namespace: string): Promise<boolean> {
    const { values } = await this.run(namespace, "release", NOBODY, []);
    return values[0] === 1;
  }

  /** Sends a call again that was rejected before it did anything. @throws any other error. */
  async #recover(error: Error, outgoing: Outgoing): Promise<CommandReply | undefined> {
    const { access, words } = outgoing;
    if (isMissing(error)) {
      return this.#answer(await this.#call.afterLoading(outgoing), outgoing);
    }
    if (isMoved(error)) return this.#answer(await this.#call.afterMove(outgoing), outgoing);
    // A master that does not answer may have been replaced.
    if (error instanceof OutcomeUnknown) void this.masters.refresh();
    const isFull = error instanceof Errno && error.message === FULL;
    const [, , , , , record] = words;
    // A full Redis did not begin the call, but the record may hold the answer of an earlier try.
    if (isFull && access === "grow" && record !== "") {
      return this.#sendAgain({ ...outgoing, access: "free", words: words.with(2, "refused") });
    }
    throw error;
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
