import { OutcomeUnknown, Unavailable } from "../errno.ts";
import type { Anchor, Anchors } from "./anchors.ts";
import type { MasterCalls } from "./master_calls.ts";

/**
 * Beats on every master, and gives each call the last beat of its master, by which the Lua knows the time.
 * Invariant: one beat of a master is under way at a time, and no bound on other calls holds it up.
 */

const PERIOD_MS = 100;
/** A beat that was sent longer ago is too old for a call: other replicas may have gone on. */
const STALE_MS = 200;

/** A namespace that is due, which this replica has claimed on a master. */
export interface DueClaim {
  anchor: Anchor;
  namespace: string;
  /** What the registry knows the claim by. */
  score: string;
}

/** Reads the flat list of names and claims that a master answers. */
export function readClaims(anchor: Anchor, flat: readonly string[]): DueClaim[] {
  return Array.from({ length: flat.length / 2 }, (_, i) => ({
    anchor,
    namespace: flat[2 * i] ?? "",
    score: flat[2 * i + 1] ?? "",
  }));
}

/** What a sweeper takes from the beats. */
export interface DueListener {
  /** Namespaces that it can take from the next beat. */
  room(): number;
  onDue(claims: DueClaim[]): void;
  /** Every master was sent a beat, or has one under way. */
  onRound(): void;
}

interface Pulse {
  /** "id lost tick" as the master answered it, empty before the first answer. */
  beat: string;
  /** When the last answered beat was sent, by performance.now(). */
  sentAt: number;
  underWay: Promise<void> | undefined;
}

export class Heartbeats {
  readonly #anchors: Anchors;
  readonly #calls: MasterCalls;
  readonly #pulses = new Map<string, Pulse>();
  #timer: NodeJS.Timeout | undefined;
  /** A replica without a sweeper claims nothing. */
  listener: DueListener | undefined;

  constructor(anchors: Anchors, calls: MasterCalls) {
    this.#anchors = anchors;
    this.#calls = calls;
  }

  /** Resolves when at least one master has answered. @throws the first failure when none has. */
  async start(): Promise<void> {
    await Promise.any(this.#anchors.ofMasters().map((anchor) => this.#beat(anchor))).catch(
      (error: AggregateError) => {
        throw error.errors[0] ?? error;
      },
    );
    this.#timer ??= setInterval(() => this.#round(), PERIOD_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The last beat of the slot's master, empty before the first. */
  beatFor(slot: number): string {
    const anchor = this.#anchors.of(slot);
    return anchor ? this.#pulseOf(anchor).beat : "";
  }

  /**
   * Returns undefined when the last beat of the slot's master is new enough for a call; else a promise of a new
   * one.
   *
   * @throws Unavailable when the master does not answer: nothing was sent for the call.
   */
  refresh(slot: number): Promise<void> | undefined {
    const anchor = this.#anchors.of(slot);
    if (!anchor) return undefined;
    const { sentAt, underWay } = this.#pulseOf(anchor);
    if (performance.now() - sentAt <= STALE_MS) return undefined;
    return (underWay ?? this.#beat(anchor)).catch((error: Error) => {
      // A Redis that rejects the beat may still take the call, or says itself why not.
      if (error instanceof OutcomeUnknown) throw new Unavailable(`no heartbeat: ${error.message}`);
    });
  }

  #round(): void {
    for (const anchor of this.#anchors.ofMasters()) {
      // A call that needs the beat gets the failure; the connection reports an outage by itself.
      if (!this.#pulseOf(anchor).underWay) this.#beat(anchor).catch(() => {});
    }
    this.listener?.onRound();
  }

  #pulseOf({ tag }: Anchor): Pulse {
    const known = this.#pulses.get(tag);
    if (known) return known;
    const pulse = { beat: "", sentAt: Number.NEGATIVE_INFINITY, underWay: undefined };
    this.#pulses.set(tag, pulse);
    return pulse;
  }

  #beat(anchor: Anchor): Promise<void> {
    const pulse = this.#pulseOf(anchor);
    pulse.underWay = this.#send(anchor, pulse).finally(() => {
      pulse.underWay = undefined;
    });
    return pulse.underWay;
  }

  async #send(anchor: Anchor, pulse: Pulse): Promise<void> {
    const sentAt = performance.now();
    const { listener } = this;
    const [beat = "", ...due] = await this.#calls.call(anchor, "beat", listener?.room() ?? 0);
    Object.assign(pulse, { beat, sentAt });
    if (due.length > 0) listener?.onDue(readClaims(anchor, due));
  }
}
