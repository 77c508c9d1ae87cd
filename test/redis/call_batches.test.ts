import { describe, expect, it } from "vitest";
import { OutcomeUnknown, Unavailable } from "../../domain/errno.ts";
import { CallBatches } from "../../domain/redis/call_batches.ts";
import type { Master } from "../../domain/redis/connection.ts";
import { inTime } from "../../domain/redis/in_time.ts";

/** Calls of one connection: what is sent together, and what is never sent. */

const turn = () => new Promise((resolve) => setImmediate(resolve));
const FOREVER_MS = 60_000;

/** A connection whose writes are seen, and a Redis that answers when the test says so. */
class FakeMaster {
  status = "ready";
  /** The names of the calls of each write. */
  readonly writes: string[][] = [];
  readonly #answers: (() => void)[] = [];
  readonly stream = {
    writable: true,
    cork: () => this.writes.push([]),
    uncork: () => {},
  };

  call(name: string) {
    return () => {
      this.writes.at(-1)?.push(name);
      return new Promise<[]>((resolve) => this.#answers.push(() => resolve([])));
    };
  }

  async answer(): Promise<void> {
    for (const answer of this.#answers.splice(0)) answer();
    await turn();
  }
}

function open() {
  const master = new FakeMaster();
  return { master, batches: new CallBatches(master as unknown as Master) };
}

describe("calls of one connection", () => {
  it("calls of one turn are one write, and the next write waits for all their replies", async () => {
    const { master, batches } = open();
    batches.add(master.call("a"));
    batches.add(master.call("b"));
    await turn();
    batches.add(master.call("c"));
    await turn();
    expect(master.writes).toEqual([["a", "b"]]);
    await master.answer();
    expect(master.writes).toEqual([["a", "b"], ["c"]]);
  });

  it("a call that is late is unknown when it was sent, and is never sent when it was not", async () => {
    const { master, batches } = open();
    const sent = batches.add(master.call("sent"));
    await turn();
    const waiting = batches.add(master.call("waiting"));
    const outcomes = await Promise.allSettled(
      [sent, waiting].map((call) => inTime(call.answered, 1, (reason) => call.drop(reason))),
    );
    const [unknown, unavailable] = outcomes.map((outcome) => "reason" in outcome && outcome.reason);
    expect(unknown).toBeInstanceOf(OutcomeUnknown);
    expect(unavailable).toBeInstanceOf(Unavailable);
    const later = batches.add(master.call("later"));
    await master.answer();
    expect(master.writes).toEqual([["sent"], ["later"]]);
    await master.answer();
    expect(await inTime(later.answered, FOREVER_MS)).toEqual([]);
  });

  it("a call that meets no connection is unavailable", async () => {
    const { master, batches } = open();
    const call = batches.add(master.call("a"));
    master.status = "reconnecting";
    await expect(call.answered).rejects.toBeInstanceOf(Unavailable);
    expect(master.writes).toEqual([]);
  });
});
