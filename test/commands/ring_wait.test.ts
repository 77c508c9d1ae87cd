import { describe, expect, inject, it, vi } from "vitest";
import { createKernel } from "../../domain/bpf.ts";
import { WAITERS } from "../../domain/redis/notifier.ts";
import { DEADLINE_MS, WAIT } from "../support/patience.ts";
import {
  AT,
  closeEvents,
  events,
  LONG,
  problem,
  put,
  readerOf,
  ringWorld,
} from "../support/ring_fixture.ts";
import { testService } from "../support/service.ts";

/** Long polls for records: messages of other replicas, lost messages, and what ends a poll. */

const service = await testService();
const other = await testService();
const { world, another, listening, outlive, lookOften } = ringWorld(service, other);
closeEvents();
const {
  wake,
  script: { redis },
} = service.kernel;

describe("a long poll", () => {
  it("a long poll answers as soon as there is a record", async () => {
    const { session, channel } = await world();
    const waiting = session.get(LONG);
    await listening(channel, 1);
    await put(session, ["aa"]);
    const records = [{ position: 16, data: "aa" }];
    expect((await waiting).body).toEqual({ records, position: 16, dropped: 0 });
    await listening(channel, 0);
  });

  it.each([
    ["that is not heard yet", 0],
    ["that another waits for, too", 1],
  ])("a long poll misses no record between read and wait, on a channel %s", async (_, n) => {
    const { namespace, session, channel } = await world();
    const waiters = Array.from({ length: n }, () => wake.open(readerOf(namespace, channel)));
    await listening(channel, n);
    const { ringRead } = service.kernel;
    const reading = vi.spyOn(service.kernel, "ringRead").mockImplementationOnce(async (...args) => {
      const page = await ringRead(...args);
      await put(session, ["aa"]);
      return page;
    });
    expect((await session.get(LONG)).body.records).toHaveLength(1);
    expect(reading).toHaveBeenCalledTimes(2);
    reading.mockRestore();
    for (const waiter of waiters) waiter.close();
  });

  it("a long poll with records answers at once, without a subscription", async () => {
    const { session, channel } = await world();
    await put(session, ["aa"]);
    const open = vi.spyOn(wake, "open");
    expect((await session.get(LONG)).body.records).toHaveLength(1);
    expect(open).not.toHaveBeenCalled();
    open.mockRestore();
    await listening(channel, 0);
  });

  it("a long poll answers with no records when its time is over", async () => {
    const { session, channel } = await world();
    await put(session, ["aa"]);
    const { status, body } = await session.get(`${AT}?position=16&wait_ms=20`);
    expect([status, body]).toEqual([200, { records: [], position: 16, dropped: 0 }]);
    await listening(channel, 0);
  });

  it("a record that another replica took wakes all waiting polls", async () => {
    const { namespace, session, channel } = await world();
    const far = await another(namespace, other);
    const waiting = [session.get(LONG), far.get(LONG), session.get(LONG)];
    await listening(channel, 2);
    await put(far, ["bb"]);
    for (const { body } of await Promise.all(waiting)) {
      expect(body.records).toEqual([{ position: 16, data: "bb" }]);
    }
  });

  // include/uapi/linux/bpf.h: "BPF_RB_NO_WAKEUP: no notification of new data availability is sent."
  it("BPF_RB_NO_WAKEUP wakes no long poll, BPF_RB_FORCE_WAKEUP does", async () => {
    const { session, channel } = await world();
    const messages: string[] = [];
    const { script } = createKernel(inject("redisUrl"), Buffer.alloc(32, 8), {
      deadline: DEADLINE_MS,
    });
    const listener = script.redis;
    try {
      await script.ready();
      listener.on("message", (name: string) => messages.push(name));
      await listener.subscribe(channel, "end");
      for (const flags of [1, 0, 1, 2, 1, 3, 1]) await put(session, ["aa"], flags);
      await redis.publish("end", "");
      await vi.waitFor(() => expect(messages).toContain("end"), WAIT);
      expect(messages).toEqual([channel, channel, channel, "end"]);
    } finally {
      listener.disconnect();
    }
  });

  it("a long poll finds a record although its wake-up message was lost", async () => {
    lookOften();
    const { session, channel } = await world();
    const waiting = session.get(LONG);
    await listening(channel, 1);
    await put(session, ["aa"], 1);
    expect((await waiting).body.records).toHaveLength(1);
  });

  it("a long poll misses nothing when its message connection is lost", async () => {
    const { session, channel } = await world();
    const waiting = session.get(LONG);
    await listening(channel, 1);
    await redis.call("CLIENT", "KILL", "TYPE", "pubsub");
    await put(session, ["aa"]);
    expect((await waiting).body.records).toHaveLength(1);
  });

  it("a long poll renews the session while it waits", async () => {
    lookOften();
    const { namespace, session, channel } = await world();
    const short = await another(namespace, service, { ttl_ms: 1000 });
    const waiting = short.get(LONG);
    await listening(channel, 1);
    await outlive(namespace, short);
    await put(session, ["aa"]);
    expect((await waiting).body.records).toHaveLength(1);
  });

  it("a long poll ends when its session or its fd ends", async () => {
    lookOften();
    const { session, channel } = await world();
    const child = session.as((await session.post("/v1/session/fork")).body);
    const waiting = child.get(LONG);
    await listening(channel, 1);
    await session.del(`/v1/sessions/${child.id}`);
    expect((await waiting).body).toMatchObject({ errno: "ESRCH", reason: "killed" });
    const closed = session.get(LONG);
    await listening(channel, 1);
    await session.del("/v1/fds/3");
    expect((await closed).body.errno).toBe("EBADF");
    await listening(channel, 0);
  });

  it("idle waits cost one call a look, however many wait in the namespace", async () => {
    const { namespace, session, channel } = await world();
    const more = await Promise.all([another(namespace), another(namespace)]);
    lookOften();
    const run = vi.spyOn(service.kernel.script, "run");
    const waiting = [session, ...more].flatMap((each) => [each.get(LONG), each.get(LONG)]);
    await listening(channel, 1);
    run.mockClear();
    const commands = () => run.mock.calls.map(([, command]) => command);
    const looks = () => commands().filter((command) => command === "ring_look");
    await vi.waitFor(() => expect(looks().length).toBeGreaterThan(5));
    const others = commands().filter((command) => command !== "ring_look");
    // Those that wait are read once more when messages come, and their sessions renewed once.
    expect(others.length).toBeLessThan(10);
    run.mockRestore();
    await put(session, ["aa"]);
    await Promise.all(waiting);
  });

  it("a long poll ends with its session although it does not read", async () => {
    lookOften();
    const { namespace, session, channel } = await world();
    const short = await another(namespace, service, { ttl_ms: 1000 });
    const waiting = short.get(LONG);
    await listening(channel, 1);
    await session.del(`/v1/sessions/${short.id}`);
    expect((await waiting).body).toMatchObject({ status: 410, reason: "killed" });
  });

  it("a long poll stops waiting when the client disconnects", async () => {
    const { session, channel } = await world();
    const controller = new AbortController();
    const headers = { authorization: `Bearer ${session.token}` };
    const gone = fetch(session.base + LONG, { headers, signal: controller.signal });
    await listening(channel, 1);
    controller.abort();
    await expect(gone).rejects.toThrow();
    await listening(channel, 0);
  });
});

describe("the limit of waiting requests", () => {
  it("the waiting poll after the last place is rejected until another one ends", async () => {
    const { namespace, session, channel } = await world();
    const waiters = Array.from({ length: WAITERS }, () => wake.open(readerOf(namespace, channel)));
    for (const path of [LONG, `${AT}/events`]) {
      const { status, body, headers } = await session.get(path);
      expect([status, body.type]).toEqual([503, "/docs/errors/unavailable"]);
      expect(body.detail).toBe(
        `the namespace has ${WAITERS} of the ${WAITERS} places for waiters here, which is its share: try again`,
      );
      expect([headers.get("retry-after"), headers.get("ratelimit")]).toEqual([
        "1",
        '"waiters";r=0;t=1',
      ]);
      expect(headers.get("ratelimit-policy")).toBe(
        `"waiters";q=${WAITERS};qu="concurrent-requests"`,
      );
    }
    expect((await session.get(AT)).status, "not to wait is no wait").toBe(200);
    waiters.pop()?.close();
    const waiting = session.get(LONG);
    await listening(channel, 1);
    await put(session, ["aa"]);
    expect((await waiting).body.records).toHaveLength(1);
    for (const waiter of waiters) waiter.close();
    await listening(channel, 0);
  });

  it("a neighbour waits although one namespace has all places, whose newest poll ends", async () => {
    const [crowded, neighbour] = [await world(), await world()];
    const { namespace, session, channel } = crowded;
    const waiters = Array.from({ length: WAITERS - 2 }, () =>
      wake.open(readerOf(namespace, channel)),
    );
    const older = await events(session);
    const newest = session.get(LONG);
    await vi.waitFor(() => expect(wake.countOf(namespace)).toBe(WAITERS), WAIT);
    const waiting = neighbour.session.get(LONG);
    const { status, body, headers } = await newest;
    expect([status, body.type, headers.get("retry-after")]).toEqual([
      503,
      "/docs/errors/unavailable",
      "1",
    ]);
    const also = neighbour.session.get(LONG);
    expect(problem(await older.next())).toMatchObject({ status: 503 });
    expect(await older.next()).toBeUndefined();
    await put(neighbour.session, ["aa"]);
    for (const reply of [await waiting, await also]) expect(reply.body.records).toHaveLength(1);
    for (const waiter of waiters) waiter.close();
  });

  it("when other namespaces have all places, the refusal names the limit of the service", async () => {
    const { session } = await world();
    const waiters = Array.from({ length: WAITERS }, (_, i) =>
      wake.open(readerOf(`n${i}`, "channel")),
    );
    const { status, body, headers } = await session.get(LONG);
    expect([status, body.detail]).toEqual([
      503,
      `other namespaces have all ${WAITERS} places for waiters here: try again`,
    ]);
    expect([headers.get("retry-after"), headers.get("ratelimit")]).toEqual(["1", null]);
    for (const waiter of waiters) waiter.close();
  });
});
