import { type Connection, open } from "./connection.ts";
import {
  BadToken,
  Errno,
  isErrno,
  KeyReused,
  OutcomeUnknown,
  SessionEnded,
  Stale,
  Unavailable,
} from "./errno.ts";
import { joinLua } from "./image.ts";

/**
 * Runs the commands of domain/lua, which image.ts joins into one script: one call, one round trip,
 * sent at most once.
 */

export type Value = Buffer | number | null | Value[];
export type Argument = string | number | Buffer;

/** Commands that read, renew or free: they run on a Redis that is out of memory. */
const NOT_GROWING = new Set([
  "close",
  "exit",
  "fd_list",
  "kill",
  "map_delete_batch",
  "map_delete_elem",
  "map_dump",
  "map_get",
  "map_get_next_id",
  "map_get_next_key",
  "map_lookup_and_delete_batch",
  "map_lookup_and_delete_elem",
  "map_lookup_batch",
  "map_lookup_elem",
  "map_snapshot",
  "obj_get_info_by_fd",
  "prog_admit",
  "prog_get",
  "prog_get_next_id",
  "prog_insns",
  "prog_resolve",
  "prog_run",
  "prog_test_run",
  "ring_read",
  "rmdir",
  "session_get",
  "session_list",
  "session_renew",
  "stat",
  "sweep",
  "unlink",
  "unlink_tree",
]);

interface Commands {
  bpfBuffer(root: string, ...args: Argument[]): Promise<Value[]>;
  bpf_freeBuffer(root: string, ...args: Argument[]): Promise<Value[]>;
}

const image = joinLua();
const scripts = {
  bpf: { numberOfKeys: 1, lua: image.text },
  bpf_free: { numberOfKeys: 1, lua: `#!lua flags=allow-oom${image.text}` },
};

/** A connection that has the script. @param url as open() takes it. */
export function connect(url: string, deadline = 1000): Connection {
  return open(url, scripts, deadline);
}

/** Replies of Redis itself that mean: refused before anything was written. */
const REFUSED =
  /^(LOADING|READONLY|MISCONF|MASTERDOWN|NOREPLICAS|BUSY|CLUSTERDOWN|NOAUTH|NOPERM)\b/;

function fromReply(code: string, detail: string, log: string | undefined): Error {
  if (isErrno(code)) return new Errno(code, detail, log === undefined ? {} : { log });
  if (code === "TOKEN") return new BadToken(detail);
  if (code === "ENDED") return new SessionEnded(detail);
  if (code === "IDEMPOTENCY") return new KeyReused(detail);
  if (code === "STALE") return new Stale(detail);
  return refused(detail);
}

/** What Redis itself says: it has no room, it cannot work now, or the script has a fault. */
function refused(detail: string): Error {
  if (/^OOM\b/.test(detail)) return new Errno("ENOMEM", "Redis has reached its maxmemory");
  if (REFUSED.test(detail)) return new Unavailable(detail);
  return new Error(image.locate(detail));
}

/** @param sent false when the client library refused to send for want of a connection. */
function fromRejection(error: Error): Error {
  if (/enableOfflineQueue|Cluster isn't ready/.test(error.message)) {
    return new Unavailable("no connection to Redis");
  }
  if (error.name === "ReplyError") return refused(error.message);
  return new OutcomeUnknown("the connection to Redis broke while the command ran");
}

const READY_MS = 10_000;

export interface Answer {
  values: Value[];
  /** The namespace has freeing left for a sweeper. */
  workLeft: boolean;
  /** The first answer to a request that was repeated. */
  remembered: boolean;
}

export class Script {
  readonly redis: Connection;
  readonly #commands: Commands;
  readonly #deadline: number;

  /** @param deadline ms after which a call is settled whatever the client library does. */
  constructor(redis: Connection, deadline: number) {
    this.redis = redis;
    this.#commands = redis as unknown as Commands;
    this.#deadline = deadline;
  }

  /** Resolves at the first connection. @throws Unavailable when there is none for ten seconds. */
  ready(): Promise<void> {
    const { redis } = this;
    if (redis.status === "ready") return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        redis.disconnect();
        reject(new Unavailable("no connection to Redis within 10 s"));
      }, READY_MS);
      redis.once("ready", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** @throws Unavailable unless Redis answers and works, be it full. */
  async ping(): Promise<void> {
    try {
      await this.#inTime(this.redis.set("bpf:ready", 1, "PX", READY_MS).then(() => []));
    } catch (error) {
      // A full Redis still reads and frees.
      if (error instanceof Errno) return;
      throw new Unavailable((error as Error).message);
    }
  }

  async run(namespace: string, command: string, ...args: Argument[]): Promise<Answer> {
    const module = image.modules.get(command);
    if (!module) throw new Error(`no command ${command}`);
    const name = NOT_GROWING.has(command) ? "bpf_freeBuffer" : "bpfBuffer";
    const call = this.#commands[name](`bpf:{${namespace}}:`, module, command, ...args);
    const [status, ...values] = await this.#inTime(call);
    const code = String(status);
    if (code === "" || code === "+" || code === "=") {
      return { values, workLeft: code === "+", remembered: code === "=" };
    }
    throw fromReply(code, String(values[0]), values[1] ? String(values[1]) : undefined);
  }

  #inTime(call: Promise<Value[]>): Promise<Value[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new OutcomeUnknown(`Redis did not answer within ${this.#deadline} ms`));
      }, this.#deadline);
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
  return [...image.modules.keys()].sort();
}
