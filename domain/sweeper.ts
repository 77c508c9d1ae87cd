import type { Kernel } from "./bpf.ts";
import { isOutage } from "./redis/failures.ts";

/**
 * Ends expired sessions of idle namespaces and continues freeing that was too big for one call. Every
 * replica has a sweeper; a sweep is atomic, so any of them may do it.
 */

/** Set of the namespaces that may have sessions or work. */
const NAMESPACES = "bpf:namespaces";
const PERIOD_MS = 250;
const PER_TURN = 64;
/** Period of Library.keepUsed(). */
const KEEP_MS = 60_000;
/** When all sweepers are silent for twice their cycle plus this, it is an outage: no session expires. */
const SLACK_MS = 750;

export class Sweeper {
  readonly #kernel: Kernel;
  readonly #onError: (error: unknown) => void;
  readonly #urgent = new Set<string>();
  #cursor = "0";
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Turns until every namespace has been swept once. */
  #cycle = 1;
  /** Namespaces that are not in the index, a few in each turn, once. */
  #unlisted: AsyncGenerator<string[]>;
  /** The last call of Library.keepUsed(), by performance.now(). */
  #kept = Number.NEGATIVE_INFINITY;

  /** @param onError is not called for an outage of Redis, in which every sweep fails. */
  constructor(kernel: Kernel, onError: (error: unknown) => void) {
    this.#kernel = kernel;
    this.#unlisted = kernel.names.search();
    this.#onError = (error) => {
      if (!isOutage(error)) onError(error);
    };
    kernel.hints.onWorkLeft = (namespace) => {
      this.#urgent.add(namespace);
      this.#schedule(0);
    };
    // Sent before the session is made, in case the reply is lost, and again after it, in case a sweeper
    // has just forgotten the empty namespace.
    kernel.hints.onUse = (namespace) => {
      kernel.script.redis.sadd(NAMESPACES, namespace).then((added) => {
        // The first sweep stores how long a silence may be before it counts as an outage.
        if (added) kernel.hints.onWorkLeft(namespace);
      }, this.#onError);
    };
  }

  start(): void {
    this.#schedule(0);
  }

  /** Resolves when the turn under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(ms: number): void {
    if (this.#stopped || (this.#running && ms === 0)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#running = this.#turn()
        .catch(this.#onError)
        .finally(() => {
          this.#running = undefined;
          this.#schedule(this.#urgent.size > 0 ? 1 : PERIOD_MS);
        });
    }, ms);
  }

  async #turn(): Promise<void> {
    const now = performance.now();
    if (now - this.#kept >= KEEP_MS) {
      this.#kept = now;
      // Not awaited: it calls every master, and one may be slow.
      this.#kernel.script.library.keepUsed().catch(this.#onError);
    }
    const names = new Set(this.#urgent);
    this.#urgent.clear();
    for (const name of await this.#next()) names.add(name);
    for (const name of await this.#search()) names.add(name);
    const inUse: string[] = [];
    const sweeps = [...names].map(async (name) => {
      if (await this.#sweep(name)) inUse.push(name);
    });
    await Promise.all(sweeps.map((sweep) => sweep.catch(this.#onError)));
    await this.#list(inUse);
  }

  /** Goes on with the search for namespaces, which starts again after a failure. */
  async #search(): Promise<string[]> {
    try {
      const { value, done } = await this.#unlisted.next();
      return done ? [] : value;
    } catch (error) {
      this.#unlisted = this.#kernel.names.search();
      throw error;
    }
  }

  /** Adds names to the index that failed when the session was made. Some may be deleted meanwhile. */
  async #list(inUse: readonly string[]): Promise<void> {
    const { names } = this.#kernel;
    for (const name of await names.addMissing(inUse)) {
      const { exists } = await this.#kernel.sweep(name, this.#allowance);
      if (!exists) await names.remove(name);
    }
  }

  /** Until the next sweep of the same namespace. */
  get #allowance(): number {
    return 2 * PERIOD_MS * this.#cycle + SLACK_MS;
  }

  /** Scans the next few namespaces; after the last it starts again. */
  async #next(): Promise<string[]> {
    const { redis } = this.#kernel.script;
    this.#cycle = Math.max(1, Math.ceil((await redis.scard(NAMESPACES)) / PER_TURN));
    const [cursor, names] = await redis.sscan(NAMESPACES, this.#cursor, "COUNT", PER_TURN);
    this.#cursor = cursor;
    return names;
  }

  /** Returns whether the namespace is in use. */
  async #sweep(namespace: string): Promise<boolean> {
    const { workLeft, sessions, exists } = await this.#kernel.sweep(namespace, this.#allowance);
    if (workLeft) this.#urgent.add(namespace);
    else if (sessions === 0) return this.#forget(namespace, exists);
    return exists;
  }

  /** Sweeps once more after the removal, because a session may have been made in between. */
  async #forget(namespace: string, existed: boolean): Promise<boolean> {
    const { script, names } = this.#kernel;
    if (!existed) await names.remove(namespace);
    await script.redis.srem(NAMESPACES, namespace);
    const { workLeft, sessions, exists } = await this.#kernel.sweep(namespace, this.#allowance);
    if (workLeft || sessions > 0) await script.redis.sadd(NAMESPACES, namespace);
    return exists;
  }
}
