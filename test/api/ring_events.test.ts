import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, expect, inject, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { startService } from "../../api/service.ts";
import { PATIENT, WAIT } from "../support/patience.ts";
import { raw } from "../support/raw.ts";
import {
  AT,
  closeEvents,
  events,
  HOUR,
  LONG,
  problem,
  put,
  RINGBUF,
  ringWorld,
} from "../support/ring_fixture.ts";
import { TestSession, testService } from "../support/service.ts";

/** Records as server-sent events: resuming, slow readers, and what ends a stream. */

const service = await testService();
const { world, another, listening, outlive, lookOften } = ringWorld(service);
closeEvents();

describe("the stream of events", () => {
  it("events deliver present and future records, each with its position as id", async () => {
    const { session } = await world();
    await put(session, ["0102", ""]);
    const { next } = await events(session);
    expect(await next()).toEqual({ id: "16", data: "0102" });
    expect(await next()).toEqual({ id: "24", data: "" });
    await put(session, ["03"]);
    expect(await next()).toEqual({ id: "40", data: "03" });
    const entries = async () => (await session.get("/v1/fds/3")).body.entries;
    await vi.waitFor(
      async () => expect(await entries(), "what was taken is consumed").toBe(0),
      WAIT,
    );
  });

  it("events continue after Last-Event-ID, whatever position the URL has", async () => {
    const { session } = await world();
    await put(session, ["01", "02", "03"]);
    const first = await events(session, `${AT}?format=base64`);
    expect(await first.next()).toEqual({ id: "16", data: "AQ==" });
    const second = await events(session, `${AT}?position=0`, "16");
    expect(await second.next()).toEqual({ id: "32", data: "02" });
    expect(await second.next()).toEqual({ id: "48", data: "03" });
  });

  it("events report a rising drop count and bytes that are no longer there", async () => {
    const { session } = await world();
    await put(session, ["00".repeat(4000)]);
    expect((await session.post(AT, { records: ["00".repeat(4000)] })).status).toBe(409);
    await session.get(`${AT}?position=4008`);
    await put(session, ["00".repeat(2000)]);
    const { next } = await events(session, `${AT}?position=0`);
    expect(await next()).toEqual({ event: "missed", data: '{"missed":4008}' });
    expect(await next()).toMatchObject({ id: "6016" });
    expect(await next()).toEqual({ event: "drops", data: '{"dropped":1}' });
    expect((await session.post(AT, { records: ["aa", "00".repeat(5000)] })).status).toBe(409);
    expect(await next()).toEqual({ id: "6032", data: "aa" });
    expect(await next()).toEqual({ event: "drops", data: '{"dropped":2}' });
  });

  it("events read through a read-only fd consume nothing", async () => {
    const { session } = await world();
    await session.post("/v1/fds", { path: "/ring", file_flags: 8 });
    await put(session, ["01"]);
    const { next } = await events(session, "/v1/fds/4/records");
    expect(await next()).toEqual({ id: "16", data: "01" });
    await put(session, ["02"]);
    expect(await next()).toEqual({ id: "32", data: "02" });
    expect((await session.get("/v1/fds/3")).body.entries).toBe(2);
  });

  it("an idle event stream sends a comment to stay alive", async () => {
    lookOften();
    const { session, channel } = await world();
    const { block } = await events(session);
    await listening(channel, 1);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 15_000 });
    try {
      expect(await block()).toBe(":");
    } finally {
      vi.useRealTimers();
    }
  });

  it("events end with a problem when the session ends or the fd is closed", async () => {
    lookOften();
    const { session } = await world();
    const child = session.as((await session.post("/v1/session/fork")).body);
    const killed = await events(child);
    await session.del(`/v1/sessions/${child.id}`);
    const last = problem(await killed.next());
    expect(last).toMatchObject({ status: 410, errno: "ESRCH", reason: "killed" });
    expect(last.request_id).toMatch(/./);
    expect(await killed.next()).toBeUndefined();
    const closed = await events(session);
    await session.del("/v1/fds/3");
    expect(problem(await closed.next())).toMatchObject({ status: 404, errno: "EBADF" });
    expect(await closed.next()).toBeUndefined();
  });

  it("events never switch to another map that gets the same fd number", async () => {
    const { session, channel } = await world();
    await put(session, ["dd"]);
    const first = await events(session);
    expect((await first.next())?.data).toBe("dd");
    await listening(channel, 1);
    await session.del("/v1/fds/3");
    expect((await session.post("/v1/maps", RINGBUF)).body.fd).toBe(3);
    await put(session, ["ee"]);
    await session.post("/v1/fds", { path: "/ring" });
    expect((await session.post("/v1/fds/4/records", { records: ["aa"] })).status).toBe(201);
    expect(problem(await first.next()).errno).toBe("EBADF");
    const { body } = await session.get(AT);
    expect(body.records).toEqual([{ position: 16, data: "ee" }]);
  });

  it("events stop waiting when the client disconnects", async () => {
    const { session, channel } = await world();
    const { abort } = await events(session);
    await listening(channel, 1);
    abort();
    await listening(channel, 0);
  });

  it("HEAD does not start an event stream", async () => {
    const { session } = await world();
    const headers = { authorization: `Bearer ${session.token}`, accept: "text/event-stream" };
    expect((await raw(service.base, "HEAD", AT, headers)).status).toBe(200);
  });
});

describe("a slow reader", () => {
  const RECORD = 1000;
  const record = (n: number) => `u32:${n}+hex:${"5a".repeat(RECORD - 4)}`;

  /** A stream that nobody reads yet, from both sides. */
  async function stalled(session: TestSession) {
    const accepted = once(service.server, "connection") as Promise<[Socket]>;
    const client = connect(Number(new URL(service.base).port), "127.0.0.1");
    client.pause();
    client.write(
      `GET ${AT} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${session.token}\r\n` +
        "Accept: text/event-stream\r\n\r\n",
    );
    const [socket] = await accepted;
    return { client, socket };
  }

  /** Produces until the stream stops consuming and the ring buffer is full. */
  async function produce(session: TestSession, socket: Socket): Promise<number> {
    let sent = 0;
    for (let refused = 0; refused < 20; ) {
      const records = Array.from({ length: 60 }, (_, i) => record(sent + i));
      const { status, body } = await session.post(AT, { records });
      const count = status === 201 ? body.accepted : body.count;
      refused = count === 0 && socket.writableLength > 0 ? refused + 1 : 0;
      sent += count;
      expect(socket.writableLength).toBeLessThan(256 * 1024);
    }
    return sent;
  }

  it("a slow reader fills the ring buffer, not the service, and gets all in order", async () => {
    lookOften();
    const { session } = await world(65536);
    const { client, socket } = await stalled(session);
    const sent = await produce(session, socket);
    const { dropped } = (await session.get(AT)).body;
    let text = "";
    client.on("data", (chunk) => {
      text += chunk;
    });
    client.resume();
    await vi.waitFor(() => expect(text).toContain(`{"dropped":${dropped}}`), WAIT);
    client.destroy();
    const body = text.replaceAll(/\r\n[0-9a-f]+\r\n/g, "");
    const data = [...body.matchAll(/^id: (\d+)\ndata: ([0-9a-f]+)$/gm)];
    const numbers = data.map(([, , hex = ""]) => Buffer.from(hex, "hex").readUInt32LE());
    expect(numbers).toEqual(Array.from({ length: sent }, (_, i) => i));
    expect(data.map(([, id]) => Number(id))).toEqual(numbers.map((n) => (n + 1) * 1008));
  });

  it("a slow reader keeps its session alive; one that reads nothing for 30 s is cut off", async () => {
    lookOften();
    const { namespace, session, channel } = await world(65536);
    const short = await another(namespace, service, { ttl_ms: 1000 });
    const { client, socket } = await stalled(short);
    await produce(session, socket);
    await outlive(namespace, short);
    expect(socket.timeout).toBe(30_000);
    socket.emit("timeout");
    await once(socket, "close");
    await listening(channel, 0);
    client.destroy();
  });
});

describe("a stop of the service", () => {
  // Connections that do not end in order are cut after 15 s.
  it("a stop ends long polls and events at once, slow ones too", async () => {
    const config = { ...readConfig(PATIENT), port: 0 };
    const url = inject("redisUrl");
    const running = await startService(config, url, Buffer.alloc(32, 8), () => {});
    const base = `http://127.0.0.1:${running.address.port}`;
    const { body } = await new TestSession(base, { session: { id: 0 }, token: "" }).post(
      "/v1/sessions",
      { namespace: service.namespace(), ttl_ms: HOUR },
    );
    const session = new TestSession(base, body);
    await session.post("/v1/maps", { ...RINGBUF, max_entries: 2 ** 24 });
    const stream = await events(session);
    const waiting = session.get(LONG);
    const { namespace } = body.session;
    await listening(`bpf:{${namespace}}:wake:1`, 1);
    const slow = connect(running.address.port, "127.0.0.1").pause();
    await session.post("/v1/maps", { ...RINGBUF, max_entries: 2 ** 24 });
    for (const _ of [1, 2]) {
      const large = Buffer.alloc(7 * 1024 * 1024);
      expect((await session.post("/v1/fds/4/records", large)).status).toBe(201);
    }
    slow.write(
      `GET /v1/fds/4/records HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${session.token}\r\n` +
        "Accept: text/event-stream\r\n\r\n",
    );
    await listening(`bpf:{${namespace}}:wake:2`, 1);
    const cut = new Promise((resolve) => slow.on("error", () => {}).once("close", resolve));
    const begin = performance.now();
    await running.stop();
    expect(performance.now() - begin).toBeLessThan(15_000);
    slow.resume();
    expect((await waiting).body).toEqual({ records: [], position: 0, dropped: 0 });
    let last = await stream.next();
    // A busy machine takes so long for the records that the idle stream has got a comment.
    while (last && ":" in last) last = await stream.next();
    expect(last, "an end in order").toBeUndefined();
    await cut;
  });
});
