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

type Answer = Error | "refused" | undefined;

/**
 * Renewals by a Redis that answers at once, and the times at which it was called.
 *
 * @param answers of one call after another; "refused" leaves the sessions of a call to their own renewals.
 */
function renewalsOf(answers: Answer[] = []) {
  const start = performance.now();
  const times: number[] = [];
  const calls: string[] = [];
  const ended: string[] = [];
  const answer = () => {
    times.push(performance.now() - start);
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next === undefined ? TTL : undefined;
  };
  const renewals = new SessionRenewals({
    async renewAll(namespace, callers) {
      calls.push(`${namespace} ${callers.length}`);
      const ttl = answer();
      return callers.map(() => ttl);
    },
    async renew({ sid }) {
      calls.push(`session ${sid}`);
      return answer() ?? TTL;
    },
    onEnded: ({ sid }, reason) => ended.push(`${sid}: ${reason.message}`),
  });
  /** Lets time pass in ticks of 100 ms; answers whether there is still something to look after. */
  async function pass(ms: number): Promise<boolean> {
    let isBusy = true;
    for (let passed = 0; passed < ms; passed += 100) {
      isBusy = renewals.renewDue();
      await renewals.settle();
      vi.advanceTimersByTime(100);
    }
    return isBusy;
  }
  return { renewals, times, calls, ended, pass };
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
  renewals.note(CALLER.hash, performance.now());
  renewals.release(held);
  await pass(6000);
  expect(times).toEqual([0]);
});

it("a changed ttl is learnt at once", async () => {
  const { renewals, times, pass } = renewalsOf();
  renewals.hold(CALLER);
  await pass(300);
  renewals.note(CALLER.hash, undefined);
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
  const killed = new SessionEnded("killed");
  const { renewals, calls, ended, pass } = renewalsOf([undefined, "refused", killed]);
  const held = renewals.hold(CALLER);
  await pass(3000);
  renewals.release(held);
  expect(await pass(3000)).toBe(false);
  expect(ended).toEqual(["1: the session has ended: killed"]);
  expect(calls).toEqual(["n 1", "n 1", "session 1"]);
});

/** Another session of the namespace. */
const callerOf = (i: number, namespace = "n") => ({ namespace, sid: String(i), hash: `h${i}` });

it("sessions that are due together are renewed in one call for 128 of a namespace", async () => {
  const { renewals, calls, pass } = renewalsOf();
  for (let i = 0; i < 300; i++) renewals.hold(callerOf(i));
  renewals.hold(callerOf(300, "other"));
  await pass(200);
  expect(calls).toEqual(["n 128", "n 128", "n 44", "other 1"]);
});

it("a session that is held again after a day without any is renewed at once", async () => {
  const { renewals, times, pass } = renewalsOf();
  renewals.release(renewals.hold(CALLER));
  expect(await pass(6000)).toBe(false);
  const DAY = 86_400_000;
  vi.advanceTimersByTime(DAY);
  const before = times.length;
  renewals.hold(CALLER);
  await pass(200);
  expect(times.slice(before)).toEqual([6000 + DAY]);
});

it("requests that end together owe their sessions one call", async () => {
  const { renewals, calls, pass } = renewalsOf();
  const held = Array.from({ length: 100 }, (_, i) => renewals.hold(callerOf(i)));
  await pass(500);
  for (const session of held) renewals.release(session);
  await renewals.settle();
  expect(calls).toEqual(["n 100", "n 100"]);
});

it("a session that another call refuses for a moment is renewed by itself", async () => {
  const { renewals, times, ended, pass } = renewalsOf(["refused", undefined]);
  renewals.hold(CALLER);
  await pass(1100);
  expect(times).toEqual([0, 0, 1000]);
  expect(ended).toEqual([]);
});

it("a call that fails is tried again for each of its sessions", async () => {
  const { renewals, calls, pass } = renewalsOf([new Unavailable("Redis is away")]);
  for (let i = 0; i < 3; i++) renewals.hold(callerOf(i));
  await pass(500);
  expect(calls).toEqual(["n 3", "n 3"]);
});
