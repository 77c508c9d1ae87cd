import { NoPlace } from "../errno.ts";
import { FairQueue } from "../fair_queue.ts";
import { type Connection, connectSubscriber } from "./connection.ts";
import { Lookout, type RingLook } from "./lookout.ts";
import { type RingReader, Subscription } from "./subscription.ts";

/**
 * Wakes requests that wait for records, as epoll_wait(2) does, by messages of Redis on one connection, which
 * the first of them opens. Messages are lost with the connection and sent neither for drops nor for ends, so the
 * lookout looks for all of them together. Namespaces share the places.
 */

export type { Subscription } from "./subscription.ts";

export const WAITERS = 16_000;

/** Channels of one SUBSCRIBE. */
const SUBSCRIBED_AT_ONCE = 1000;

interface Channel {
  waiters: Set<Subscription>;
  /** Redis has confirmed it: from now on messages come. */
  heard: boolean;
}

export class Notifier {
  readonly #redis: Connection;
  readonly #lookout: Lookout;
  readonly #channels = new Map<string, Channel>();
  readonly #places = new FairQueue<Subscription, NoPlace>({
    ...{ limit: "waiters", places: WAITERS, Refusal: NoPlace },
    onRefused: (waiter, reason) => waiter.refuse(reason),
  });
  #subscriber: Connection | undefined;
  #stopped = false;

  constructor(redis: Connection, look: RingLook) {
    this.#redis = redis;
    this.#lookout = new Lookout(look);
  }

  /** ms between two looks. */
  set period(ms: number) {
    this.#lookout.period = ms;
  }

  /**
   * A waiter that is woken by messages of its channel, and as soon as they can come: so who reads, opens
   * and sleeps has missed nothing. @throws NoPlace
   */
  open(reader: RingReader): Subscription {
    const waiter = new Subscription(reader, this.#leave);
    if (this.#stopped) {
      waiter.closed = true;
      return waiter;
    }
    const { namespace, channel: name } = reader;
    this.#places.push(namespace, waiter);
    this.#lookout.add(waiter);
    const channel = this.#channels.get(name) ?? this.#addChannel(name);
    channel.waiters.add(waiter);
    if (channel.heard) waiter.wake();
    return waiter;
  }

  /** How many requests of the namespace wait. */
  countOf(namespace: string): number {
    return this.#places.countOf(namespace);
  }

  /** Ends all that wait for a session which has ended. */
  endSession(session: Pick<RingReader, "namespace" | "hash">, reason: Error): void {
    for (const waiter of this.#lookout.waitersOf(session)) waiter.refuse(reason);
  }

  /** Nobody waits any more. */
  stop(): void {
    this.#stopped = true;
    for (const { waiters } of this.#channels.values()) {
      for (const waiter of waiters) waiter.close();
    }
  }

  readonly #leave = (waiter: Subscription): void => {
    const { namespace, channel: name } = waiter.reader;
    this.#places.remove(namespace, waiter);
    this.#lookout.remove(waiter);
    const channel = this.#channels.get(name);
    channel?.waiters.delete(waiter);
    if (channel?.waiters.size !== 0) return;
    this.#channels.delete(name);
    this.#subscriber?.unsubscribe(name).catch(() => {});
  };

  #addChannel(name: string): Channel {
    const channel = { waiters: new Set<Subscription>(), heard: false };
    this.#channels.set(name, channel);
    this.#subscriber ??= this.#connect();
    if (this.#subscriber.status === "ready") {
      void this.#subscribe([name]).then((isHeard) => {
        if (isHeard) this.#wake(channel);
      });
    }
    return channel;
  }

  #connect(): Connection {
    const subscriber = connectSubscriber(this.#redis);
    subscriber.on("message", (name: string) => this.#wake(this.#channels.get(name)));
    subscriber.on("ready", () => void this.#subscribeAll());
    // The connection of the commands tells of the same, and this one comes back.
    subscriber.on("error", () => {});
    return subscriber;
  }

  /** Looks once messages come again, for those that came meanwhile. */
  async #subscribeAll(): Promise<void> {
    const names = [...this.#channels.keys()];
    for (let at = 0; at < names.length; at += SUBSCRIBED_AT_ONCE) {
      await this.#subscribe(names.slice(at, at + SUBSCRIBED_AT_ONCE));
    }
    await this.#lookout.lookAtAll();
  }

  /** Returns false when it fails: then the next connection does it again. */
  async #subscribe(names: string[]): Promise<boolean> {
    try {
      await this.#subscriber?.subscribe(...names);
    } catch {
      return false;
    }
    for (const name of names) {
      const channel = this.#channels.get(name);
      if (channel) channel.heard = true;
    }
    return true;
  }

  #wake(channel: Channel | undefined): void {
    for (const waiter of channel?.waiters ?? []) waiter.wake();
  }
}
