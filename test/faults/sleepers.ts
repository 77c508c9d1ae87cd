import { setTimeout as delay } from "node:timers/promises";
import { describeAnswer, insist, type OpenedSession, openSession } from "./http.ts";

/** Sessions that send nothing but a renewal, late in their lifetime. None may be lost by a fault. */

/** Clients renew when this share of the ttl has passed. */
const RENEW_AT = 0.8;
const RETRY_MS = 50;
const OPENED_AT_ONCE = 20;

export interface SleepersOptions {
  bases: readonly string[];
  namespaces: readonly string[];
  /** All sessions, in turn over the namespaces. */
  count: number;
  ttl: number;
  renewAt?: number;
}

/** Does something for each item, a few at once. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  use: (item: T, index: number) => Promise<void>,
  atOnce = OPENED_AT_ONCE,
): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const index = next++;
      await use(items[index] as T, index);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

export class Sleepers {
  readonly options: SleepersOptions;
  readonly problems: string[] = [];
  renewals = 0;
  lost = 0;
  #isStopping = false;
  readonly #asleep: Promise<void>[] = [];
  readonly #sessions: OpenedSession[] = [];

  constructor(options: SleepersOptions) {
    this.options = options;
  }

  async start(): Promise<void> {
    const { bases, namespaces, count, ttl } = this.options;
    const numbers = Array.from({ length: count }, (_, i) => i);
    await forEachAtOnce(numbers, async (i) => {
      const namespace = namespaces[i % namespaces.length] ?? "";
      const session = await openSession(bases, namespace, { ttl_ms: ttl }, i);
      this.#sessions.push(session);
      this.#asleep.push(this.#live(session));
    });
  }

  async #live({ client }: OpenedSession): Promise<void> {
    const { ttl, renewAt = RENEW_AT } = this.options;
    for (let sent = performance.now(); ; ) {
      while (!this.#isStopping && performance.now() < sent + renewAt * ttl) await delay(RETRY_MS);
      if (this.#isStopping) return;
      for (;;) {
        sent = performance.now();
        const answer = await client.post("/v1/session/renew");
        if (answer.fate === "done") break;
        if (answer.status === 410) {
          this.lost += 1;
          return;
        }
        if (answer.fate !== "unavailable" && answer.fate !== "unknown") {
          this.problems.push(describeAnswer(answer));
        }
        await delay(RETRY_MS);
      }
      this.renewals += 1;
    }
  }

  /** Wakes all and ends their sessions. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#asleep);
    await forEachAtOnce(this.#sessions, async ({ client }) => {
      await insist(() => client.del("/v1/session")).catch(() => {});
    });
    if (this.lost > 0) {
      this.problems.push(`${this.lost} of ${this.options.count} living sessions were lost`);
    }
  }
}
