import { Errno } from "../errno.ts";
import { type Connection, connectSubscriber } from "./connection.ts";

/**
 * Wakes requests that wait, as epoll_wait(2) does, by messages of Redis on one connection, which the first
 * waiter opens. Messages may be lost, so waiters also poll.
 */

const WAITERS = 1000;

/** One waiter on a channel, until it or the service closes it. */
export class Subscription {
  closed = false;
  readonly #wake: Notifier;
  readonly #channel: string;
  #woken = false;
  #resume: () => void = () => {};

  constructor(wake: Notifier, channel: string) {
    this.#wake = wake;
    this.#channel = channel;
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

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#wake.leave(this.#channel, this);
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
  #count = 0;
  #subscriber: Connection | undefined;
  #stopped = false;

  constructor(redis: Connection) {
    this.#redis = redis;
  }

  /**
   * A waiter that is woken by messages of the channel, and as soon as they can come: so who reads, opens
   * and sleeps has missed nothing. @throws EAGAIN
   */
  open(name: string): Subscription {
    const waiter = new Subscription(this, name);
    if (this.#stopped) {
      waiter.closed = true;
      return waiter;
    }
    if (this.#count >= WAITERS)
      throw new Errno("EAGAIN", `at most ${WAITERS} requests may wait at a time: try again`);
    this.#count += 1;
    const channel = this.#channels.get(name) ?? { waiters: new Set(), heard: false };
    channel.waiters.add(waiter);
    if (!this.#channels.has(name)) {
      this.#channels.set(name, channel);
      this.#subscribe(name, channel);
    }
    if (channel.heard) waiter.wake();
    return waiter;
  }

  leave(name: string, waiter: Subscription): void {
    this.#count -= 1;
    const channel = this.#channels.get(name);
    channel?.waiters.delete(waiter);
    if (channel?.waiters.size !== 0) return;
    this.#channels.delete(name);
    this.#subscriber?.unsubscribe(name).catch(() => {});
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
