import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Lookout } from "../../domain/redis/lookout.ts";
import { Subscription } from "../../domain/redis/subscription.ts";
import { readerOf } from "../support/ring_fixture.ts";

/** One look a second for all that wait, in few calls. */

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A lookout with calls that are recorded, by namespace and number of readers. */
function lookoutOf(places: number[] = []) {
  const calls: [namespace: string, readers: number][] = [];
  const lookout = new Lookout(async (namespace, readers) => {
    calls.push([namespace, readers.length]);
    return places;
  });
  const wait = (namespace: string, hash = "") => {
    const reader = { ...readerOf(namespace, "channel"), hash };
    const waiter = new Subscription(reader, (left) => lookout.remove(left));
    lookout.add(waiter);
    return waiter;
  };
  return { lookout, calls, wait };
}

it("10,000 waiters of a namespace cost twenty calls a look, and nothing once they have left", async () => {
  const { calls, wait } = lookoutOf();
  const waiters = Array.from({ length: 10_000 }, (_, i) => wait("n", String(i)));
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls).toEqual(Array.from({ length: 20 }, () => ["n", 500]));
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls).toHaveLength(40);
  for (const waiter of waiters) waiter.close();
  await vi.advanceTimersByTimeAsync(5000);
  expect(calls).toHaveLength(40);
});

it("where more namespaces wait than a look has calls, they take turns", async () => {
  const { calls, wait } = lookoutOf();
  for (let i = 0; i < 1200; i++) wait(`n${i}`);
  await vi.advanceTimersByTimeAsync(1000);
  expect(calls).toHaveLength(500);
  await vi.advanceTimersByTimeAsync(2000);
  expect(calls).toHaveLength(1500);
  expect(new Set(calls.map(([namespace]) => namespace)).size).toBe(1200);
});

it("a look wakes those that have something to learn, and no others", async () => {
  const { wait } = lookoutOf([1]);
  const woken: string[] = [];
  for (const hash of ["a", "b", "c"])
    void wait("n", hash)
      .sleep()
      .then(() => woken.push(hash));
  await vi.advanceTimersByTimeAsync(1000);
  expect(woken).toEqual(["b"]);
});

it("waiters are found by their session", () => {
  const { lookout, wait } = lookoutOf();
  const [first, second] = [wait("n", "a"), wait("n", "a")];
  wait("n", "b");
  wait("m", "a");
  expect(lookout.waitersOf({ namespace: "n", hash: "a" })).toEqual([first, second]);
});
