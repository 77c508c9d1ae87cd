import { FairQueue } from "../fair_queue.ts";
import { type Connection, connectSubscriber } from "./connection.ts";

/**
 * Wakes requests that wait, as epoll_wait(2) does, by messages of Redis on one connection, which the first
 * waiter opens. Messages may be lost, so waiters also poll. Namespaces share the places of waiters.
 */

const WAITERS = 1000;

/** For whom a waiter waits: a caller. */
export interface Waiting {
  namespace: string;
  hash?: string;
}

/** One waiter on a channel, until it or the service closes it. */
export class Subscription {
  readonly namespace: string;
  readonly channel: string;
  /** Hash of the token of its session. */
  readonly session: string;
  closed = false;
  /** Why the waiter was closed: it has lost its place to another namespace, or its session has ended. */
  refusal: Error | undefined;
  readonly #wake: Notifier;
  #woken = false;
  #resume: () => void = () => {};

  constructor(wake: Notifier, { namespace, hash = "" }: Waiting, channel: string) {
    this.#wake = wake;
    this.namespace = namespace;
    this.session = hash;
    this.channel = channel;
  }

  /** ms after which the waiter polls. */
  get period(): number {
    return this.#wake.period;
  }

  /** Resolves when woken since the last sleep, when closed, or when it is time to poll. */
  async sleep(ms = this.period): Promise<void> {
    if (!this.#woken && !this.closed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(ms, this.period));
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#woken = false;
  }

  wake(): void {
    this.#woken = true;
    this.#resume();
  }

  refuse(reason: Error): void {
    this.refusal = reason;
    this.close();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#wake.leave(this);
    this.#resume();
  }
}

interface Channel {
  waiters: Set<Subscription>;
  /** Redis has confirmed it: from now on messages come. */
  heard: boolean;
}

export class Notifier {
  /** Shorter than the shortest life of a session, because polling renews it. */
  period = 1000;
  readonly #redis: Connection;
  readonly #channels = new Map<string, Channel>();
  readonly #places = new FairQueue<Subscription>({
    ...{ limit: "waiters", places: WAITERS },
    onRefused: (waiter, reason) => waiter.refuse(reason),
  });
  #subscriber: Connection | undefined;
  #stopped = false;

  constructor(redis: Connection) {
    this.#redis = redis;
  }

  /**
   * A waiter that is woken by messages of the channel, and as soon as they can come: so who reads, opens
   * and sleeps has missed nothing. @throws LimitReached
   */
  open(caller: Waiting, name: string): Subscription {
    const { namespace } = caller;
    const waiter = new Subscription(this, caller, name);
    if (this.#stopped) {
      waiter.closed = true;
      return waiter;
    }
    this.#places.push(namespace, waiter);
    const channel = this.#channels.get(name) ?? { waiters: new Set(), heard: false };
    channel.waiters.add(waiter);
    if (!this.#channels.has(name)) {
      this.#channels.set(name, channel);
      this.#subscribe(name, channel);
    }
    if (channel.heard) waiter.wake();
    return waiter;
  }

  /** How many requests of the namespace wait. */
  countOf(namespace: string): number {
    return this.#places.countOf(namespace);
  }

  leave(waiter: Subscription): void {
    this.#places.remove(waiter.namespace, waiter);
    const channel = this.#channels.get(waiter.channel);
    channel?.waiters.delete(waiter);
    if (channel?.waiters.size !== 0) return;
    this.#channels.delete(waiter.channel);
    this.#subscriber?.unsubscribe(waiter.channel).catch(() => {});
  }

  /** Ends all that wait for a session. */
  endSession({ hash }: Waiting, reason: Error): void {
    for (const { waiters } of this.#channels.values()) {
      for (const waiter of waiters) if (waiter.session === hash) waiter.refuse(reason);
    }
  }

  /** Nobody waits any more. */
  stop(): void {
    this.#stopped = true;
    for (const { waiters } of this.#channels.values()) {
      for (const waiter of waiters) waiter.close();
    }
  }

  #connect(): Connection {
    const subscriber = connectSubscriber(this.#redis);
    subscriber.on("message", (name: string) => this.#wake(this.#channels.get(name)));
    subscriber.on("ready", () => {
      for (const [name, channel] of this.#channels) this.#subscribe(name, channel);
    });
    // The connection of the commands tells of the same, and this one comes back.
    subscriber.on("error", () => {});
    return subscriber;
  }

  /** Where it fails, the next connection does it again. */
  #subscribe(name: string, channel: Channel): void {
    this.#subscriber ??= this.#connect();
    if (this.#subscriber.status !== "ready") return;
    this.#subscriber.subscribe(name).then(
      () => {
        channel.heard = true;
        this.#wake(channel);
      },
      () => {},
    );
  }

  #wake(channel: Channel | undefined): void {
    for (const waiter of channel?.waiters ?? []) waiter.wake();
  }
}
