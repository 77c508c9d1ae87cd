import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SessionEnded, Unavailable } from "../../domain/errno.ts";
import { SessionRenewals } from "../../domain/session_renewals.ts";

/** When sessions are renewed whose requests take long, and how often. */

const CALLER = { namespace: "n", sid: "1", hash: "h" };
const TTL = 3000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Renewals by a Redis that answers at once, and the times at which it was called. */
function renewalsOf(answers: (Error | undefined)[] = []) {
  const start = performance.now();
  const times: number[] = [];
  const ended: string[] = [];
  const renewals = new SessionRenewals({
    async renew() {
      times.push(performance.now() - start);
      const failure = answers.shift();
      if (failure) throw failure;
      return TTL;
    },
    onEnded: (_, reason) => ended.push(reason.message),
  });
  /** Lets time pass in turns of 100 ms; answers whether there is still something to look after. */
  async function pass(ms: number): Promise<boolean> {
    let isBusy = true;
    for (let passed = 0; passed < ms; passed += 100) {
      isBusy = renewals.renewDue();
      await renewals.settle();
      vi.advanceTimersByTime(100);
    }
    return isBusy;
  }
  return { renewals, times, ended, pass };
}

it("a session with requests under way is renewed at once, each third of its ttl and at the end", async () => {
  const { renewals, times, pass } = renewalsOf();
  const held = renewals.hold(CALLER);
  await pass(2500);
  renewals.release(held);
  await renewals.settle();
  expect(times).toEqual([0, 1000, 2000, 2500]);
  expect(await pass(6000), "nothing is left to look after").toBe(false);
  expect(times).toHaveLength(4);
});

it("all requests of a session share its renewals", async () => {
  const { renewals, times, pass } = renewalsOf();
  const held = Array.from({ length: 100 }, () => renewals.hold(CALLER));
  await pass(1100);
  for (const session of held) renewals.release(session);
  await pass(500);
  expect(times).toEqual([0, 1000]);
});

it("a call that was answered shortly before the end of its request is its last renewal", async () => {
  const { renewals, times, pass } = renewalsOf();
  const held = renewals.hold(CALLER);
  await pass(500);
  renewals.note(CALLER.hash, false);
  renewals.release(held);
  await pass(6000);
  expect(times).toEqual([0]);
});

it("a changed ttl is learnt at once", async () => {
  const { renewals, times, pass } = renewalsOf();
  renewals.hold(CALLER);
  await pass(300);
  renewals.note(CALLER.hash, true);
  await pass(300);
  expect(times).toEqual([0, 300]);
});

it("a renewal that fails is tried again, also after the end of the request", async () => {
  const away = new Unavailable("Redis is away");
  const { renewals, times, pass } = renewalsOf([away, undefined, away, undefined]);
  const held = renewals.hold(CALLER);
  await pass(700);
  expect(times.slice(0, 2)).toEqual([0, 400]);
  renewals.release(held);
  await pass(3000);
  expect(times).toHaveLength(4);
  expect(await pass(6000)).toBe(false);
});

it("a session that has ended is told once, and is not renewed any more", async () => {
  const { renewals, times, ended, pass } = renewalsOf([undefined, new SessionEnded("killed")]);
  const held = renewals.hold(CALLER);
  await pass(3000);
  renewals.release(held);
  expect(await pass(3000)).toBe(false);
  expect([times.length, ended]).toEqual([2, ["the session has ended: killed"]]);
});
