import { afterEach, describe, expect, it } from "vitest";
import { LimitReached, Unavailable } from "../../domain/errno.ts";
import { BackgroundPool, backgroundThreadCount } from "../../domain/threads/background_worker.ts";
import { GATED, openGate } from "../support/gated_thread.ts";

/** Namespaces share the background threads and their places; no test depends on time. */

const pools: BackgroundPool[] = [];
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
});

/** A pool with a thread that is ready, and a log of the answers in the order in which they came. */
async function start(threads: number, waiting = 64) {
  const pool = new BackgroundPool({ limit: "checks", threads, waiting });
  pools.push(pool);
  const answers: string[] = [];
  const gate = new SharedArrayBuffer(4);
  let count = 0;
  async function send(namespace: string, message: object, signal?: AbortSignal): Promise<void> {
    const owner = { namespace, ...(signal ? { getSignal: () => signal } : {}) };
    count += 1;
    const answer = count;
    const request = { url: GATED, message: { ...message, answer } };
    expect(await pool.request<number>(owner, request)).toBe(answer);
    answers.push(namespace);
  }
  await pool.request({ namespace: "" }, { url: GATED, message: { answer: 0 } });
  return {
    answers,
    open: () => openGate(gate),
    quick: (namespace: string, signal?: AbortSignal) => send(namespace, {}, signal),
    /** A request that ends when the gate opens. */
    endless: (namespace: string, signal?: AbortSignal) => send(namespace, { gate }, signal),
  };
}

const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

describe("turns", () => {
  it("a neighbour is answered while 63 endless requests of another namespace wait", async () => {
    const { answers, open, quick, endless } = await start(2);
    const flood = times(63, () => endless("flood"));
    for (let i = 0; i < 5; i++) await quick("neighbour");
    expect(answers).toEqual(times(5, () => "neighbour"));
    open();
    await Promise.all(flood);
  });

  it("a namespace gets another thread only while it has fewer than are free", async () => {
    const { answers, open, quick, endless } = await start(4);
    const flood = [...times(9, () => endless("a")), ...times(9, () => endless("b"))];
    // a has two of the four threads and b has one, so that one is left for c.
    await quick("c");
    await quick("c");
    expect(answers).toEqual(["c", "c"]);
    open();
    await Promise.all(flood);
  });

  it("on one thread, namespaces take turns", async () => {
    const { answers, open, quick, endless } = await start(1);
    const requests = [endless("a"), ...times(3, () => quick("a"))];
    requests.push(quick("b"), quick("b"), quick("c"));
    open();
    await Promise.all(requests);
    expect(answers.join("")).toMatch(/^aabcaba$|^abcabaa$/);
  });
});

describe("places", () => {
  it("a namespace with its share is refused while another is served", async () => {
    const { answers, open, quick, endless } = await start(2, 4);
    const first = endless("a");
    await quick("b"); // on the second thread
    const waiting = times(4, () => endless("a"));
    const refused = endless("a");
    await expect(refused).rejects.toBeInstanceOf(LimitReached);
    await expect(refused).rejects.toMatchObject({ limit: "checks", isOfNamespace: true });
    await quick("b");
    expect(answers).toEqual(["b", "b"]);
    open();
    await Promise.all([first, ...waiting]);
  });

  it("when all places are taken, a newcomer takes one of the namespace with the most", async () => {
    const { open, quick, endless } = await start(1, 4);
    const running = endless("a");
    const waiting = times(4, () => quick("a"));
    const newcomer = quick("b");
    const refused = { code: "EAGAIN", isOfNamespace: true };
    await expect(waiting.pop()).rejects.toMatchObject(refused);
    open();
    await Promise.all([running, ...waiting, newcomer]);
  });

  it("a request whose client has gone leaves the queue, and another takes its place", async () => {
    const { answers, open, quick, endless } = await start(1, 2);
    const controller = new AbortController();
    const running = endless("a");
    const gone = times(2, () => endless("a", controller.signal));
    await expect(quick("a")).rejects.toBeInstanceOf(LimitReached);
    controller.abort();
    for (const request of gone) await expect(request).rejects.toBeInstanceOf(Unavailable);
    await expect(quick("a", controller.signal)).rejects.toBeInstanceOf(Unavailable);
    const next = quick("a");
    open();
    await Promise.all([running, next]);
    expect(answers).toEqual(["a", "a"]);
  });
});

describe("the number of threads", () => {
  it.each([
    ["one core has two threads", 1, 2],
    ["two cores have two threads", 2, 2],
    ["four cores have three threads and leave one to the event loop", 4, 3],
    ["many cores have four threads", 64, 4],
  ])("%s", (_, cores, threads) => {
    expect(backgroundThreadCount(cores)).toBe(threads);
  });

  it("a pool starts its threads when there is work, and no more than it may", async () => {
    let started = 0;
    const count = () => void started++;
    process.on("worker", count);
    try {
      const { open, quick, endless } = await start(3);
      expect(started).toBe(1);
      const flood = times(20, () => endless("a"));
      await Promise.all(["b", "c"].map((namespace) => quick(namespace)));
      expect(started).toBe(3);
      open();
      await Promise.all(flood);
      expect(started).toBe(3);
    } finally {
      process.off("worker", count);
    }
  });
});
