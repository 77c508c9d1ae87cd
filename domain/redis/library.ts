import { type Connection, type Master, mastersOf } from "./connection.ts";
import type { LuaBundle } from "./lua_bundle.ts";

/**
 * The library on the masters of a connection: loaded where it is missing, and old ones deleted that no
 * version of the service has used for a day.
 */

/** Library -> when a service last said that it uses it, in ms of Redis' clock. */
const LIBRARIES = "bpf:libraries";
const UNUSED_MS = 86_400_000;
/** Who has not said that it is in use for so long could not. */
const SILENT_MS = 600_000;
/** Only what this service's versions are called. */
const NAME = /^bpf_[0-9a-f]{16}$/;
/** A Redis that refused the library for want of memory is asked again after so many ms. */
const FULL_MS = 1000;

/** Names in the answer of FUNCTION LIST: per library a list of field and value by turns. */
function namesIn(answer: unknown): string[] {
  const libraries = Array.isArray(answer) ? (answer as unknown[][]) : [];
  const names = libraries.map((fields) => String(fields[fields.indexOf("library_name") + 1]));
  return names.filter((name) => NAME.test(name));
}

export class Library {
  readonly #redis: Connection;
  readonly #bundle: LuaBundle;
  #loading: Promise<void> | undefined;
  #fullUntil = 0;

  constructor(redis: Connection, bundle: LuaBundle) {
    this.#redis = redis;
    this.#bundle = bundle;
  }

  /** A master is full, so that commands run as a script for now. */
  get isFull(): boolean {
    return performance.now() < this.#fullUntil;
  }

  /** Loads it on every master that lacks it; those who ask meanwhile wait for the same. */
  load(): Promise<void> {
    this.#loading ??= this.#loadAll().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** A master that is unavailable or refuses does not hinder the others. @throws when all refuse. */
  async #loadAll(): Promise<void> {
    const masters = await mastersOf(this.#redis);
    const results = await Promise.allSettled(masters.map((master) => this.#loadOn(master)));
    const [first, ...rest] = results;
    if (first?.status === "rejected" && rest.every(({ status }) => status === "rejected")) {
      throw first.reason;
    }
  }

  async #loadOn(master: Master): Promise<void> {
    try {
      await master.function("LOAD", this.#bundle.library);
    } catch (error) {
      const { message } = error as Error;
      if (/already exists/.test(message)) return;
      if (!/^OOM\b/.test(message)) throw error;
      this.#fullUntil = performance.now() + FULL_MS;
    }
  }

  /**
   * Says that this version is in use, and deletes those that are in use nowhere. Where it could not say so for
   * long (Redis was unavailable or full, or restored from a backup) others could not either: all get a day from now, as
   * does one that is found and not known. Whoever's library is deleted all the same loads it again at its next
   * call.
   */
  async keepUsed(): Promise<void> {
    const redis = this.#redis;
    const masters = await mastersOf(redis);
    const lists = await Promise.all(
      masters.map((master) => master.function("LIST", "LIBRARYNAME", "bpf_*")),
    );
    const [seconds] = await redis.time();
    const now = Number(seconds) * 1000;
    const said = Number((await redis.zscore(LIBRARIES, this.#bundle.name)) ?? 0);
    const isSilent = now - said > SILENT_MS;
    for (const name of new Set(lists.flatMap(namesIn))) {
      if (isSilent) await redis.zadd(LIBRARIES, now, name);
      else await redis.zadd(LIBRARIES, "NX", now, name);
    }
    await redis.zadd(LIBRARIES, now, this.#bundle.name);
    const unused = await redis.zrangebyscore(LIBRARIES, 0, now - UNUSED_MS);
    for (const name of unused) {
      await Promise.all(masters.map((master) => remove(master, name)));
      await redis.zrem(LIBRARIES, name);
    }
  }
}

async function remove(master: Master, name: string): Promise<void> {
  await master.function("DELETE", name).catch((error: Error) => {
    if (!/Library not found/.test(error.message)) throw error;
  });
}
