import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { availableParallelism } from "node:os";
import { afterEach, describe, expect, it } from "vitest";
import { BackgroundWorker, backgroundThreadCount } from "../../domain/threads/background_worker.ts";
import { GATED, openGate } from "../support/gated_thread.ts";
import { EXIT, mov } from "../support/insns.ts";
import { narrowEntrance } from "../support/narrow_entrance.ts";
import { closeEvents, events, LONG, ringWorld } from "../support/ring_fixture.ts";
import { asm, refused } from "../support/run_programs.ts";
import { type TestSession, testService } from "../support/service.ts";

/** A request under way is life: no request ends its own session by taking longer than the ttl. */

const service = await testService(undefined, { threads: 1, runLimit: 1800, budget: 1e12 });
const entrance = await narrowEntrance(service.server);
const { world, another, listening, outlive } = ringWorld(service);
closeEvents();

const SHORT = { ttl_ms: 1000 };
const short = () => {
  const namespace = service.namespace();
  return service.session(namespace, SHORT).then((session) => ({ namespace, session }));
};

const open: ClientRequest[] = [];
afterEach(() => {
  for (const sent of open.splice(0)) sent.destroy();
});

/** Sends the head of a request, of which more follows. */
function begin({ base, token }: TestSession, method: string, path: string, headers: object = {}) {
  const sent = request(base + path, {
    socketPath: entrance,
    method,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  open.push(sent);
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on("response", resolve).on("error", reject);
  });
  return { sent, answer };
}

async function lengthOf(answer: IncomingMessage): Promise<number> {
  let length = 0;
  for await (const chunk of answer) length += chunk.length;
  return length;
}

const isAlive = async (session: TestSession) =>
  expect((await session.get("/v1/session")).body).toMatchObject({ id: session.id });

/** Executes 200,000 instructions. */
const LOOP = "r0 = 0\nloop: r0 += 1\nif r0 < 100000 goto loop\nexit";

describe("a session lives while its request is under way", () => {
  const MAP = JSON.stringify({ map_type: "array", key_size: 4, value_size: 4, max_entries: 1 });

  it.each([
    ["on the fast path", {}],
    ["on the general path", { "idempotency-key": "slow" }],
  ])("an upload %s may take longer than the ttl", async (_, more) => {
    const { namespace, session } = await short();
    const type = { "content-type": "application/json", "content-length": MAP.length };
    const { sent, answer } = begin(session, "POST", "/v1/maps", { ...type, ...more });
    sent.write(MAP.slice(0, 10));
    await outlive(namespace, session);
    sent.end(MAP.slice(10));
    expect((await answer).statusCode).toBe(201);
    await lengthOf(await answer);
  });

  it("a download that the client reads slowly may take longer than the ttl", async () => {
    const { namespace, session } = await short();
    const value_size = 512 * 1024;
    await session.post("/v1/maps", { ...JSON.parse(MAP), value_size, max_entries: 4 });
    const type = { "content-type": "application/json" };
    const { sent, answer } = begin(session, "POST", "/v1/fds/3/batch", type);
    sent.end(JSON.stringify({ op: "lookup", count: 4 }));
    const reading = await answer;
    expect(reading.statusCode).toBe(200);
    await outlive(namespace, session);
    expect(await lengthOf(reading)).toBeGreaterThan(8 * value_size);
    await isAlive(session);
  });

  it("a program load may wait for a thread for longer than the ttl", async () => {
    const { namespace, session } = await short();
    const gate = new SharedArrayBuffer(4);
    const busy = Array.from({ length: backgroundThreadCount(availableParallelism()) }, (_, i) =>
      new BackgroundWorker(GATED).request({ namespace: `busy-${i}` }, { gate, answer: i }),
    );
    const insns = Buffer.concat([...Array.from({ length: 10_000 }, () => mov(0, 0)), EXIT]);
    const load = session.post("/v1/progs", {
      ...{ prog_type: "xdp", license: "GPL", insns: insns.toString("hex") },
    });
    await outlive(namespace, session);
    openGate(gate);
    expect((await load).status).toBe(201);
    await Promise.all(busy);
  });

  // The only thread needs the time limit for each, which is longer than a session lives.
  it("a run may take longer than the ttl, and so may one that waits for it", async () => {
    const sessions = [(await short()).session, (await short()).session];
    const runs = sessions.map(async (session) => {
      const { fd } = await asm(session, LOOP, { prog_type: "xdp" });
      const body = await refused(session, fd, { repeat: 1_000_000 });
      expect(body).toMatchObject({ errno: "E2BIG", fault: { reason: "time" } });
      await isAlive(session);
    });
    await Promise.all(runs);
  });

  it("a long poll and a stream of events renew their sessions", async () => {
    const { namespace, channel } = await world();
    const [polling, streaming] = [
      await another(namespace, service, SHORT),
      await another(namespace, service, SHORT),
    ];
    const waiting = polling.get(LONG);
    await events(streaming);
    await listening(channel, 1);
    await outlive(namespace, polling);
    await outlive(namespace, streaming);
    for (const session of [polling, streaming]) await isAlive(session);
    await polling.del("/v1/session");
    expect((await waiting).body).toMatchObject({ errno: "ESRCH", reason: "exited" });
  });
});
