import { describe, expect, it, vi } from "vitest";
import { OutcomeUnknown, Unavailable } from "../../domain/errno.ts";
import { Releases } from "../../domain/redis/releases.ts";
import { WAIT } from "../support/patience.ts";

/** Calls wait for the release of ended sessions, which one of them drives for all. */

const HOUR = 3_600_000;
const later = (ms: number) => performance.now() + ms;

describe("a release that calls wait for", () => {
  it("takes one step at a time for all calls of a namespace", async () => {
    const steps: string[] = [];
    let inFlight = 0;
    const releases = new Releases(async (namespace) => {
      expect(++inFlight).toBe(1);
      await new Promise(setImmediate);
      inFlight -= 1;
      steps.push(namespace);
      return steps.length < 5;
    });
    await Promise.all(Array.from({ length: 100 }, () => releases.finish("a", later(HOUR))));
    expect(steps).toEqual(Array(5).fill("a"));
    await releases.finish("a", later(HOUR));
    expect(steps).toHaveLength(6);
  });

  it("ends with unavailable when it does not end in time, and stops its steps", async () => {
    let steps = 0;
    const releases = new Releases(async () => {
      steps += 1;
      await new Promise(setImmediate);
      return true;
    });
    await expect(releases.finish("a", later(30))).rejects.toThrow(Unavailable);
    // The step that was under way may end later.
    await vi.waitFor(async () => {
      const before = steps;
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      expect(steps).toBe(before);
    }, WAIT);
  });

  it("a call that waits longer goes on with the release that an earlier one gave up", async () => {
    let steps = 0;
    const releases = new Releases(async () => {
      steps += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return steps < 20;
    });
    const [earlier, patient] = [releases.finish("a", later(30)), releases.finish("a", later(HOUR))];
    await expect(earlier).rejects.toThrow(Unavailable);
    await patient;
    expect(steps).toBe(20);
  });

  it("a step of unknown outcome is unavailable to the call, which did nothing", async () => {
    const releases = new Releases(() => Promise.reject(new OutcomeUnknown("no reply")));
    await expect(releases.finish("a", later(HOUR))).rejects.toThrow(Unavailable);
  });
});
