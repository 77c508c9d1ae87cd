import { expect, it } from "vitest";
import type { LimitReached } from "../../domain/errno.ts";
import { FairQueue } from "../../domain/fair_queue.ts";

/** Turns by owner, and places that owners share. */

function queueOf(places: number) {
  const refused: string[] = [];
  const onRefused = (item: string, { message }: LimitReached) =>
    refused.push(`${item}: ${message}`);
  const queue = new FairQueue<string>({ limit: "checks", places, onRefused });
  /** Adds items that are named by their owner, such as a1. */
  const push = (...items: string[]) => {
    for (const item of items) queue.push(item.charAt(0), item);
  };
  const rest = () => Array.from({ length: queue.length }, () => queue.shift());
  return { queue, refused, push, rest };
}

it("owners take turns, each with its oldest item", () => {
  const { push, rest } = queueOf(9);
  push("a1", "a2", "a3", "b1", "c1", "b2");
  expect(rest()).toEqual(["a1", "b1", "c1", "a2", "b2", "a3"]);
});

it("an owner who cannot take a turn keeps it for the next time", () => {
  const { queue, push, rest } = queueOf(9);
  push("a1", "b1", "b2");
  expect(queue.shift((owner) => owner !== "a")).toBe("b1");
  expect(queue.shift(() => false)).toBeUndefined();
  expect(rest()).toEqual(["a1", "b2"]);
});

it("an owner alone takes all places, and its next item is refused", () => {
  const { push } = queueOf(3);
  push("a1", "a2", "a3");
  expect(() => push("a4")).toThrow("the namespace has 3 of the 3 places for checks here");
});

it("a newcomer takes the place of the newest item of the owner with the most", () => {
  const { refused, push, rest } = queueOf(4);
  push("a1", "a2", "a3", "a4", "b1");
  expect(refused).toEqual([
    "a4: the namespace has 3 of the 4 places for checks here, which is its share: try again",
  ]);
  push("b2");
  expect(refused).toHaveLength(2);
  expect(() => push("b3")).toThrow("the namespace has 2 of the 4 places");
  expect(() => push("a3")).toThrow("the namespace has 2 of the 4 places");
  expect(rest()).toEqual(["a1", "b1", "a2", "b2"]);
});

it("as many owners as there are places have one each, and only the next owner finds none", () => {
  const { queue, refused, push } = queueOf(4);
  push("a1", "a2", "a3", "a4", "b1", "c1", "d1");
  expect(refused.map((text) => text.slice(0, 2))).toEqual(["a4", "a3", "a2"]);
  expect(() => push("e1")).toThrow("other namespaces have all 4 places for checks here");
  queue.remove("c", "c1");
  push("e1");
  expect(queue.isFull).toBe(true);
});

it("an item that was removed gives its place back, once", () => {
  const { queue, push, rest } = queueOf(2);
  push("a1", "a2");
  expect([queue.remove("a", "a1"), queue.remove("a", "a1")]).toEqual([true, false]);
  expect([queue.length, queue.countOf("a")]).toEqual([1, 1]);
  push("a3");
  expect(rest()).toEqual(["a2", "a3"]);
  expect(queue.length).toBe(0);
});
