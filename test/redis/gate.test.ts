import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, describe, expect, inject, it } from "vitest";
import { createService } from "../../api/app.ts";
import { createKernel } from "../../domain/bpf.ts";
import { Unavailable } from "../../domain/errno.ts";
import { Gate, type Pass } from "../../domain/redis/gate.ts";
import { FaultProxy } from "../support/proxy.ts";
import { until } from "../support/redis_servers.ts";
import { Client, testService } from "../support/service.ts";

/** Too many calls are refused before they are sent, and those that keep sessions alive are not. */

const WINDOW = 128;
const FLOOR = 64;
const FOREVER = 3_600_000;

describe("the gate", () => {
  /** Lets `count` calls in at once. */
  function enter(gate: Gate, namespace: string, count: number): Pass[] {
    return Array.from({ length: count }, () => gate.enter(namespace, false) as Pass);
  }

  it("calls beyond the window wait, and namespaces take turns at each place", async () => {
    const gate = new Gate(FOREVER);
    const passes = enter(gate, "a", WINDOW);
    const order: string[] = [];
    const waiting = ["a", "a", "a", "b"].map(async (name) => {
      const pass = await gate.enter(name, false);
      order.push(name);
      return pass;
    });
    expect(gate.underWay).toBe(WINDOW + 4);
    for (const pass of passes.slice(0, 4)) pass.send(Promise.resolve());
    await Promise.all(waiting);
    expect(order).toEqual(["a", "b", "a", "a"]);
  });

  it("an urgent call neither waits nor is refused, whatever is under way", () => {
    const gate = new Gate(0);
    enter(gate, "a", FLOOR);
    expect(gate.isOverloaded).toBe(true);
    expect(gate.enter("a", true)).not.toBeInstanceOf(Promise);
  });

  it("few calls are never too many, however long they take", () => {
    const gate = new Gate(0);
    enter(gate, "a", FLOOR - 1);
    expect(gate.refuses("a")).toBe(false);
    enter(gate, "a", 1);
    expect(gate.refuses("a")).toBe(true);
    expect(() => gate.enter("a", false)).toThrow(Unavailable);
  });

  it("a namespace with less than its share enters while another has too many calls", () => {
    const gate = new Gate(0);
    enter(gate, "flood", FLOOR);
    expect(gate.refuses("flood")).toBe(true);
    expect(gate.refuses("quiet")).toBe(false);
    enter(gate, "quiet", 2);
    expect(gate.refuses("quiet")).toBe(false);
  });

  it("calls that have left are not counted, in whatever order they leave", () => {
    const gate = new Gate(0);
    for (let round = 0; round < 20; round++) {
      const passes = enter(gate, "a", FLOOR - 1);
      for (const pass of passes.reverse()) {
        pass.leave();
      }
    }
    expect(gate.underWay).toBe(0);
    expect(gate.isOverloaded).toBe(false);
    enter(gate, "a", FLOOR);
    expect(gate.isOverloaded).toBe(true);
  });

  it("a call that has waited for half of its deadline is refused and leaves its place", async () => {
    const gate = new Gate(400);
    const passes = enter(gate, "a", WINDOW);
    await expect(gate.enter("b", false)).rejects.toThrow("Redis had no time for the call");
    expect(gate.underWay).toBe(WINDOW);
    for (const pass of passes) pass.leave();
    expect(gate.enter("b", false)).not.toBeInstanceOf(Promise);
  });
});

describe("a Redis that has stopped answering", async () => {
  const DEADLINE = 3000;
  const MAP = {
    ...{ map_type: "hash", key_size: 4, value_size: 4, max_entries: 8, map_flags: 0 },
    ...{ map_name: "", map_extra: "0" },
  };
  const direct = await testService();
  const proxy = new FaultProxy(inject("redisUrl").replace("unix://", ""));
  const kernel = createKernel(await proxy.listen(), Buffer.alloc(32, "gate"), {
    deadline: DEADLINE,
  });
  kernel.script.redis.on("error", () => {});
  await kernel.script.ready();
  const context = { kernel, keys: undefined, ready: () => kernel.script.ping() };
  const server = await createService(context, { onFault: () => {} });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  afterEach(() => proxy.heal());
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    kernel.disconnect();
    await proxy.close();
  });

  async function open() {
    const body = { namespace: direct.namespace(), ttl_ms: FOREVER, nofile: 4096 };
    const { token } = (await new Client(`http://127.0.0.1:${port}`).post("/v1/sessions", body))
      .body;
    return { token, call: { ...kernel.tokens.read(token), record: "", fingerprint: "" } };
  }

  const outcome = (call: Promise<unknown>) =>
    call.then(
      () => "done",
      (error: Error) => error.constructor.name,
    );

  /** Sends headers alone, of a request with a body. */
  async function sendHeaders(token: string): Promise<IncomingMessage> {
    const headers = { "content-type": "application/json", "content-length": 60_000 };
    const all = { ...headers, authorization: `Bearer ${token}` };
    const req = request({ port, method: "POST", path: "/v1/maps", headers: all });
    req.on("error", () => {}).flushHeaders();
    const [res] = (await once(req, "response")) as [IncomingMessage];
    req.destroy();
    return res;
  }

  it("what was never sent is unavailable, what was sent is unknown, and a renewal is let in", async () => {
    const { token, call } = await open();
    // The calls have a new beat, and nothing is under way that would hold them back.
    kernel.script.heartbeats.stop();
    await kernel.script.ping();
    await kernel.script.heartbeats.start();
    kernel.script.heartbeats.stop();
    const sent = new Set<string>();
    proxy.onCommand = (words) => {
      for (const [name] of words.join(" ").matchAll(/\b(many_\d+|late)\b/g)) sent.add(name);
      return undefined;
    };
    proxy.onReply = () => "swallow";
    const names = Array.from({ length: 2 * WINDOW }, (_, i) => `many_${i}`);
    const creations = names.map((map_name) =>
      outcome(kernel.mapCreate(call, { ...MAP, map_name })),
    );
    await until("too many calls are under way", () => kernel.script.gates.isOverloaded);
    expect(await outcome(kernel.mapCreate(call, { ...MAP, map_name: "late" }))).toBe("Unavailable");
    // Refused at its headers, before its body.
    const refused = await sendHeaders(token);
    expect(refused.statusCode).toBe(503);
    expect(refused.headers["retry-after"]).toBe("1");
    const renewal = kernel.sessionRenew(call).catch((error: Error) => error.message);
    const outcomes = await Promise.all(creations);
    for (const [i, name] of names.entries()) {
      expect(outcomes[i], name).toBe(sent.has(name) ? "OutcomeUnknown" : "Unavailable");
    }
    expect(sent.size).toBe(WINDOW);
    expect(await renewal).not.toMatch(/under way/);
    proxy.heal();
    await until(
      "Redis answers again",
      async () => (await outcome(kernel.script.ping())) === "done",
    );
    await kernel.script.heartbeats.start();
    // What was sent was done, and nothing else.
    const { status, body } = await new Client(`http://127.0.0.1:${port}`, token).get(
      "/v1/maps?limit=1000",
    );
    expect([status, body.maps.length]).toEqual([200, WINDOW]);
  });
});
