import type { Kernel } from "./bpf.ts";

/**
 * Releases what nobody's command releases: due sessions of idle namespaces, and freeing that was too
 * big for one call. Every replica has one; what they do is atomic, so it does not matter who does it.
 */

/** All namespaces that may have sessions or work. */
const NAMESPACES = "bpf:namespaces";
const PERIOD_MS = 250;
const PER_TURN = 64;
/** How often the library is said to be in use, and those of versions that are gone are deleted. */
const KEEP_MS = 60_000;
/** Silence of all sweepers beyond twice their cycle and this is an outage, and takes no lifetime. */
const SLACK_MS = 750;

export class Sweeper {
  readonly #kernel: Kernel;
  readonly #onError: (error: unknown) => void;
  readonly #urgent = new Set<string>();
  #cursor = "0";
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Turns until every namespace has had its own. */
  #cycle = 1;
  /** When the library was last said to be in use, by performance.now(). */
  #kept = Number.NEGATIVE_INFINITY;

  constructor(kernel: Kernel, onError: (error: unknown) => void) {
    this.#kernel = kernel;
    this.#onError = onError;
    kernel.hints.onWorkLeft = (namespace) => {
      this.#urgent.add(namespace);
      this.#schedule(0);
    };
    // Before, for an answer that is lost or a crash; after, so that forgetting an empty namespace
    // can never win the race.
    kernel.hints.onSession = (namespace) => {
      kernel.script.redis.sadd(NAMESPACES, namespace).then((added) => {
        // The first sweep tells how long silence may be before it counts as an outage.
        if (added) kernel.hints.onWorkLeft(namespace);
      }, onError);
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
      // Not waited for: it speaks to every master, of which one may be slow.
      this.#kernel.script.library.keepUsed().catch(this.#onError);
    }
    const names = new Set(this.#urgent);
    this.#urgent.clear();
    for (const name of await this.#next()) names.add(name);
    const sweeps = [...names].map((name) => this.#sweep(name).catch(this.#onError));
    await Promise.all(sweeps);
  }

  /** The next few namespaces, round and round. */
  async #next(): Promise<string[]> {
    const { redis } = this.#kernel.script;
    this.#cycle = Math.max(1, Math.ceil((await redis.scard(NAMESPACES)) / PER_TURN));
    const [cursor, names] = await redis.sscan(NAMESPACES, this.#cursor, "COUNT", PER_TURN);
    this.#cursor = cursor;
    return names;
  }

  async #sweep(namespace: string): Promise<void> {
    const allowance = 2 * PERIOD_MS * this.#cycle + SLACK_MS;
    const { workLeft, sessions } = await this.#kernel.sweep(namespace, allowance);
    if (workLeft) this.#urgent.add(namespace);
    else if (sessions === 0) await this.#forget(namespace, allowance);
  }

  /** A session made meanwhile is seen by the second look, or enters the namespace itself. */
  async #forget(namespace: string, allowance: number): Promise<void> {
    await this.#kernel.script.redis.srem(NAMESPACES, namespace);
    const { workLeft, sessions } = await this.#kernel.sweep(namespace, allowance);
    if (workLeft || sessions > 0) await this.#kernel.script.redis.sadd(NAMESPACES, namespace);
  }
}
