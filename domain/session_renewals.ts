import { setImmediate as endOfTurn } from "node:timers/promises";
import { BadToken, SessionEnded } from "./errno.ts";
import type { Caller } from "./token.ts";

/**
 * Renews the sessions whose requests take long: at once, each third of the ttl, and after each end. One
 * renewal is for all requests of a session, and one call for many sessions of a namespace.
 * Invariant: a session lives for its whole ttl after the end of its last request, however long that took.
 */

/** A call that was sent at most so many ms before a request ended counts as its last renewal. */
const FRESH_MS = 100;
/** A renewal that failed is tried again after so long, or a third of the ttl if that is shorter. */
const RETRY_MS = 1000;
/** The time of the last renewal is remembered for so long after the last request. */
const KEPT_MS = 5000;
/** The shortest ttl that a session can have; used until the first reply has the real one. */
const TTL_MIN_MS = 1000;
/** Sessions are kept by the tick in which they are due; ms of a tick. */
const TICK_MS = 100;
/** Sessions of one call, which takes Redis less than a ms. */
const PER_CALL = 128;

/** Times are by performance.now(). */
export interface HeldSession {
  readonly caller: Caller;
  /** How many requests are under way. */
  requests: number;
  ttl: number;
  /** The last call that renewed the session was sent after this. */
  renewedAt: number;
  /** The last end of a request that no call came close before. */
  endedAt: number;
  /** No renewal is tried before this. */
  retryAt: number;
  isRenewing: boolean;
  /** The tick in which it is due next. */
  tick: number;
}

export interface RenewalOptions {
  /** Renews sessions of a namespace; resolves to the ttl of each in ms, undefined if it cannot. */
  renewAll(namespace: string, callers: readonly Caller[]): Promise<(number | undefined)[]>;
  /** Renews a session; resolves to its ttl in ms. @throws what keeps it from being renewed. */
  renew(caller: Caller): Promise<number>;
  /** A session that has requests under way has ended. */
  onEnded(caller: Caller, reason: Error): void;
}

const NEVER = Number.NEGATIVE_INFINITY;
const periodOf = ({ ttl }: HeldSession): number => ttl / 3;
const isOwed = ({ endedAt, renewedAt }: HeldSession): boolean => endedAt > renewedAt;

export class SessionRenewals {
  readonly #options: RenewalOptions;
  /** By the hash of the token. */
  readonly #sessions = new Map<string, HeldSession>();
  /** Tick -> the sessions that are due in it, so that a tick costs nothing for the others. */
  readonly #ticks = new Map<number, Set<HeldSession>>();
  #lastTick = Math.floor(performance.now() / TICK_MS);
  /** Namespace -> the sessions of its next call. */
  readonly #batches = new Map<string, HeldSession[]>();
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: RenewalOptions) {
    this.#options = options;
  }

  /** A request of the session takes long. It is released when the request has ended. */
  hold(caller: Caller): HeldSession {
    const session = this.#sessions.get(caller.hash) ?? this.#add(caller);
    session.requests += 1;
    this.#scheduleNow(session);
    return session;
  }

  #add(caller: Caller): HeldSession {
    if (this.#sessions.size === 0) {
      // Nothing called renewDue() meanwhile, and no session is due in the ticks since then.
      this.#lastTick = Math.floor(performance.now() / TICK_MS);
      this.#ticks.clear();
    }
    const { namespace, sid, hash } = caller;
    const session = {
      ...{ caller: { namespace, sid, hash }, requests: 0, ttl: TTL_MIN_MS },
      ...{ renewedAt: NEVER, endedAt: NEVER, retryAt: NEVER, isRenewing: false },
      tick: Number.POSITIVE_INFINITY,
    };
    this.#sessions.set(hash, session);
    return session;
  }

  release(session: HeldSession): void {
    session.requests -= 1;
    const now = performance.now();
    if (now - session.renewedAt <= FRESH_MS || !this.#sessions.has(session.caller.hash)) return;
    session.endedAt = now;
    if (session.isRenewing) this.#scheduleNow(session);
    else this.#renew(session);
  }

  /**
   * A call of the session was answered, which has renewed it.
   *
   * @param sentAt the call was not sent before it; undefined when its ttl may be another.
   */
  note(hash: string, sentAt: number | undefined): void {
    const session = this.#sessions.get(hash);
    if (!session) return;
    session.renewedAt = sentAt ?? NEVER;
    if (sentAt === undefined) this.#scheduleNow(session);
  }

  /** Renews what is due. Returns whether there are sessions to look after. */
  renewDue(): boolean {
    const now = performance.now();
    const tick = Math.floor(now / TICK_MS);
    for (; this.#lastTick <= tick; this.#lastTick++) {
      const sessions = this.#ticks.get(this.#lastTick);
      this.#ticks.delete(this.#lastTick);
      for (const session of sessions ?? []) this.#renewIfDue(session, now);
    }
    return this.#sessions.size > 0;
  }

  #renewIfDue(session: HeldSession, now: number): void {
    session.tick = Number.POSITIVE_INFINITY;
    const { caller, requests, renewedAt, retryAt, isRenewing } = session;
    // A renewal schedules its session when it ends, and what was deleted has nothing to renew.
    if (isRenewing || this.#sessions.get(caller.hash) !== session) return;
    const isNeeded = requests > 0 || isOwed(session);
    const since = isOwed(session) ? NEVER : renewedAt + periodOf(session);
    const dueAt = isNeeded ? Math.max(since, retryAt) : renewedAt + KEPT_MS;
    if (now < dueAt) this.#schedule(session, dueAt);
    else if (isNeeded) this.#renew(session);
    else this.#sessions.delete(caller.hash);
  }

  #scheduleNow(session: HeldSession): void {
    this.#schedule(session, this.#lastTick * TICK_MS);
  }

  #schedule(session: HeldSession, at: number): void {
    const tick = Math.max(Math.ceil(at / TICK_MS), this.#lastTick);
    if (session.tick <= tick) return;
    this.#ticks.get(session.tick)?.delete(session);
    const sessions = this.#ticks.get(tick) ?? new Set();
    this.#ticks.set(tick, sessions.add(session));
    session.tick = tick;
  }

  /** Resolves when the renewals under way have ended. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #renew(session: HeldSession): void {
    const { namespace } = session.caller;
    session.isRenewing = true;
    const open = this.#batches.get(namespace);
    if (open !== undefined && open.length < PER_CALL) {
      open.push(session);
      return;
    }
    const batch = [session];
    this.#batches.set(namespace, batch);
    const renewal = this.#renewBatch(namespace, batch).finally(() => {
      for (const one of batch) {
        one.isRenewing = false;
        this.#scheduleNow(one);
      }
      this.#underWay.delete(renewal);
    });
    this.#underWay.add(renewal);
  }

  /** Renews the sessions that join the batch in this turn of the event loop. */
  async #renewBatch(namespace: string, batch: readonly HeldSession[]): Promise<void> {
    await endOfTurn();
    if (this.#batches.get(namespace) === batch) this.#batches.delete(namespace);
    const sentAt = performance.now();
    try {
      const callers = batch.map(({ caller }) => caller);
      const ttls = await this.#options.renewAll(namespace, callers);
      const renewOne = (session: HeldSession, i: number) => this.#noteTtl(session, sentAt, ttls[i]);
      await Promise.all(batch.map(renewOne));
    } catch {
      for (const session of batch) this.#retryLater(session);
    }
  }

  async #noteTtl(session: HeldSession, sentAt: number, ttl: number | undefined): Promise<void> {
    if (ttl === undefined) return this.#renewAlone(session);
    session.ttl = ttl;
    session.renewedAt = Math.max(sentAt, session.renewedAt);
  }

  /** Renews one session, to learn why it could not be renewed with the others. */
  async #renewAlone(session: HeldSession): Promise<void> {
    const sentAt = performance.now();
    const { caller } = session;
    try {
      await this.#noteTtl(session, sentAt, await this.#options.renew(caller));
    } catch (error) {
      if (!(error instanceof SessionEnded || error instanceof BadToken)) {
        this.#retryLater(session);
        return;
      }
      this.#sessions.delete(caller.hash);
      this.#options.onEnded(caller, error);
    }
  }

  /** Schedules a retry, or drops a session that has no requests and has expired. */
  #retryLater(session: HeldSession): void {
    const now = performance.now();
    session.retryAt = now + Math.min(RETRY_MS, periodOf(session));
    if (session.requests === 0 && now - session.endedAt > session.ttl) {
      this.#sessions.delete(session.caller.hash);
    }
  }
}
