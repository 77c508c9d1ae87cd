import type { RingReader, Subscription } from "./subscription.ts";

/**
 * Looks now and then for all that wait whether there is something that no message has told: a lost message, a
 * drop, the end of the session or of the fd. One call is for many waiters of a namespace; who is woken reads.
 */

/** Returns the places of those readers that have something to learn. */
export type RingLook = (
  namespace: string,
  readers: readonly Pick<Subscription, "reader" | "known">[],
) => Promise<number[]>;

const PERIOD_MS = 1000;
/** Waiters of one call, which stays far below 5 ms. */
const PER_CALL = 500;
/** Calls of one look; where more namespaces wait, they take turns. */
const CALLS = 500;
/** Calls that are sent together, so that they do not delay those of requests. */
const AT_ONCE = 16;

type WaiterGroup = Map<string, Set<Subscription>>;

export class Lookout {
  period = PERIOD_MS;
  readonly #look: RingLook;
  /** By namespace, then by the hash of the session's token. The first namespace is next. */
  readonly #namespaces = new Map<string, WaiterGroup>();
  #timer: NodeJS.Timeout | undefined;

  constructor(look: RingLook) {
    this.#look = look;
  }

  add(waiter: Subscription): void {
    const { namespace, hash } = waiter.reader;
    const sessions: WaiterGroup = this.#namespaces.get(namespace) ?? new Map();
    this.#namespaces.set(namespace, sessions);
    const waiters = sessions.get(hash);
    if (waiters) waiters.add(waiter);
    else sessions.set(hash, new Set([waiter]));
    if (this.#timer === undefined) this.#schedule();
  }

  remove(waiter: Subscription): void {
    const { namespace, hash } = waiter.reader;
    const sessions = this.#namespaces.get(namespace);
    const waiters = sessions?.get(hash);
    waiters?.delete(waiter);
    if (waiters?.size === 0) sessions?.delete(hash);
    if (sessions?.size === 0) this.#namespaces.delete(namespace);
    if (this.#namespaces.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  waitersOf({ namespace, hash }: Pick<RingReader, "namespace" | "hash">): Subscription[] {
    return [...(this.#namespaces.get(namespace)?.get(hash) ?? [])];
  }

  /** Looks for all that wait, as after a time without messages. */
  lookAtAll(): Promise<void> {
    return this.#lookAt(this.#groups(Number.POSITIVE_INFINITY));
  }

  #schedule(): void {
    const timer = setTimeout(async () => {
      await this.#lookAt(this.#groups(CALLS));
      if (this.#timer === timer) this.#schedule();
    }, this.period);
    this.#timer = timer.unref();
  }

  /** The waiters of the next calls; their namespaces are then the last ones. */
  #groups(limit: number): Subscription[][] {
    const groups: Subscription[][] = [];
    for (const namespace of [...this.#namespaces.keys()]) {
      if (groups.length >= limit) break;
      const sessions = this.#namespaces.get(namespace) as WaiterGroup;
      this.#namespaces.delete(namespace);
      this.#namespaces.set(namespace, sessions);
      const waiters = [...sessions.values()].flatMap((each) => [...each]);
      for (let at = 0; at < waiters.length; at += PER_CALL) {
        groups.push(waiters.slice(at, at + PER_CALL));
      }
    }
    return groups;
  }

  async #lookAt(groups: readonly Subscription[][]): Promise<void> {
    for (let at = 0; at < groups.length; at += AT_ONCE) {
      await Promise.all(groups.slice(at, at + AT_ONCE).map((group) => this.#lookAtGroup(group)));
    }
  }

  /** A look that fails is left to the next one. */
  async #lookAtGroup(waiters: readonly Subscription[]): Promise<void> {
    const namespace = waiters[0]?.reader.namespace ?? "";
    try {
      for (const place of await this.#look(namespace, waiters)) waiters[place]?.wake();
    } catch {
      // Redis is away, or too busy; the connection of the commands tells of it.
    }
  }
}
