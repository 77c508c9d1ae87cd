import type { Connection, Master } from "./connection.ts";
import type { LuaBundle } from "./lua_bundle.ts";
import type { Masters } from "./masters.ts";

/**
 * Loads the library on the masters that lack it, and deletes libraries that no version of the service
 * has used for a day.
 */

/** Sorted set: each library, scored by the time of its last reported use in ms of Redis' clock. */
const LIBRARIES = "bpf:libraries";
const UNUSED_MS = 86_400_000;
/** A service that has not reported its use for so long was unable to. */
const SILENT_MS = 600_000;
/** Matches libraries of this service only, of any version. */
const NAME = /^bpf_[0-9a-f]{16}$/;
/** Waits so long before it loads the library again on a Redis that is full. */
const FULL_MS = 1000;

/** FUNCTION LIST answers per library a list of alternating fields and values. */
function namesIn(answer: unknown): string[] {
  const libraries = Array.isArray(answer) ? (answer as unknown[][]) : [];
  const names = libraries.map((fields) => String(fields[fields.indexOf("library_name") + 1]));
  return names.filter((name) => NAME.test(name));
}

export class Library {
  readonly #redis: Connection;
  readonly #masters: Masters;
  readonly #bundle: LuaBundle;
  #loading: Promise<void> | undefined;
  /** When a load on a master that was full may be tried again. */
  readonly #fullUntil = new WeakMap<Master, number>();

  constructor(redis: Connection, masters: Masters, bundle: LuaBundle) {
    this.#redis = redis;
    this.#masters = masters;
    this.#bundle = bundle;
  }

  /** The master is full, so its commands run as a script for now. */
  isFullOn(master: Master): boolean {
    return performance.now() < (this.#fullUntil.get(master) ?? 0);
  }

  /** Loads the library on every master that lacks it; concurrent calls share one load. */
  load(): Promise<void> {
    this.#loading ??= this.#loadAll().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  /** A master that fails does not hinder the others. @throws the first error when all fail. */
  async #loadAll(): Promise<void> {
    const masters = await this.#masters.all();
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
      this.#fullUntil.set(master, performance.now() + FULL_MS);
    }
  }

  /**
   * Reports that this version is in use, and deletes unused ones. After a long silence (Redis was
   * unavailable, full or restored from a backup) no version could report, so each gets a day from now;
   * so does a library without a report. A version whose library was deleted loads it at its next call.
   */
  async keepUsed(): Promise<void> {
    const redis = this.#redis;
    const masters = await this.#masters.all();
    const lists = await Promise.all(
      masters.map((master) => master.function("LIST", "LIBRARYNAME", "bpf_*")),
    );
    const [seconds] = await redis.time();
    const now = Number(seconds) * 1000;
    const reportedAt = Number((await redis.zscore(LIBRARIES, this.#bundle.name)) ?? 0);
    const isSilent = now - reportedAt > SILENT_MS;
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
