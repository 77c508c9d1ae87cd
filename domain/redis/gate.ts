import { Unavailable } from "../errno.ts";
import { FairQueue } from "../fair_queue.ts";

/**
 * Lets calls of one master pass in turns of their namespaces, and refuses what would wait for too long.
 * Invariants: a refused call was never sent; a call that must not wait, such as a renewal, does not.
 */

/** Calls that are sent at once. More are not faster, because Redis runs one after the other. */
const WINDOW = 128;
/** So few calls wait out any pause of Redis. */
const FLOOR = 64;
/** Of the deadline: the longest that the oldest call may have waited while others are let in. */
const PATIENCE = 1 / 4;
/** Of the deadline: a call that has waited for so long is not sent any more. */
const EXPIRY = 1 / 2;

/** A call from its entry to its answer. */
interface Entered {
  readonly at: number;
  hasLeft: boolean;
}

/** A call that was let in. */
export class Pass {
  readonly #gate: Gate;
  readonly #entered: Entered;
  readonly #namespace: string;
  #hasWindow = true;

  constructor(gate: Gate, namespace: string, entered: Entered) {
    this.#gate = gate;
    this.#namespace = namespace;
    this.#entered = entered;
  }

  /** Keeps the place in the window until Redis has answered. Returns the ms that are left for that. */
  send(call: Promise<unknown>): number {
    this.#hasWindow = false;
    const leave = () => this.#gate.leaveWindow();
    call.then(leave, leave);
    return this.#gate.timeLeft(this.#entered);
  }

  /** The caller has its answer. */
  leave(): void {
    if (this.#hasWindow) this.#gate.leaveWindow();
    this.#gate.leave(this.#namespace, this.#entered);
  }
}

export class Gate {
  readonly #deadline: number;
  /** Calls under way, by namespace. */
  readonly #held = new Map<string, number>();
  readonly #waiting = new FairQueue<() => void>({
    ...{ limit: "calls of Redis", places: Number.POSITIVE_INFINITY },
    onRefused: () => {},
  });
  /** By age, with some that have left. */
  #entered: Entered[] = [];
  #oldest = 0;
  #underWay = 0;
  #sent = 0;

  /** @param deadline ms that a call may take in all. */
  constructor(deadline: number) {
    this.#deadline = deadline;
  }

  /** Calls that have entered and are not answered. */
  get underWay(): number {
    return this.#underWay;
  }

  /** More calls are under way than Redis, or this process, answers in time. */
  get isOverloaded(): boolean {
    if (this.#underWay < FLOOR) return false;
    const oldest = this.#entered[this.#oldest];
    return oldest !== undefined && performance.now() - oldest.at > this.#deadline * PATIENCE;
  }

  /** While there are too many calls, namespaces with less than their share still enter. */
  refuses(namespace: string): boolean {
    if (!this.isOverloaded) return false;
    const held = this.#held.get(namespace) ?? 0;
    const owners = this.#held.size + (held === 0 ? 1 : 0);
    return held >= this.#underWay / owners;
  }

  refusal(): Unavailable {
    const detail = `${this.#underWay} calls of Redis are under way here, and the oldest has waited`;
    return new Unavailable(`${detail} for more than ${this.#deadline * PATIENCE} ms: try again`);
  }

  /**
   * Resolves when the call may be sent.
   *
   * @param isUrgent it is not refused and does not wait.
   * @throws Unavailable
   */
  enter(namespace: string, isUrgent: boolean): Pass | Promise<Pass> {
    if (!isUrgent && this.refuses(namespace)) throw this.refusal();
    const entered = { at: performance.now(), hasLeft: false };
    this.#entered.push(entered);
    this.#underWay += 1;
    this.#held.set(namespace, (this.#held.get(namespace) ?? 0) + 1);
    if (isUrgent || this.#sent < WINDOW) return this.#pass(namespace, entered);
    return this.#wait(namespace, entered);
  }

  #pass(namespace: string, entered: Entered): Pass {
    this.#sent += 1;
    return new Pass(this, namespace, entered);
  }

  #wait(namespace: string, entered: Entered): Promise<Pass> {
    return new Promise((resolve, reject) => {
      const waiting = () => {
        clearTimeout(timer);
        resolve(this.#pass(namespace, entered));
      };
      const limit = this.#deadline * EXPIRY;
      const timer = setTimeout(() => {
        this.#waiting.remove(namespace, waiting);
        this.leave(namespace, entered);
        reject(new Unavailable(`Redis had no time for the call within ${limit} ms`));
      }, limit);
      this.#waiting.push(namespace, waiting);
    });
  }

  timeLeft({ at }: Entered): number {
    return Math.max(0, this.#deadline - (performance.now() - at));
  }

  leaveWindow(): void {
    this.#sent -= 1;
    if (this.#sent < WINDOW) this.#waiting.shift()?.();
  }

  leave(namespace: string, entered: Entered): void {
    entered.hasLeft = true;
    this.#underWay -= 1;
    const held = (this.#held.get(namespace) ?? 0) - 1;
    if (held > 0) this.#held.set(namespace, held);
    else this.#held.delete(namespace);
    while (this.#entered[this.#oldest]?.hasLeft) this.#oldest += 1;
    // Those that have left are forgotten before they are most of the list.
    if (this.#oldest < FLOOR || this.#oldest * 2 < this.#entered.length) return;
    this.#entered = this.#entered.slice(this.#oldest);
    this.#oldest = 0;
  }
}
