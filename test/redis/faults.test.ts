import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, inject, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { startService } from "../../api/service.ts";
import { startPrivateRedis } from "../../domain/redis/private_server.ts";
import { PATIENT, WAIT } from "../support/patience.ts";
import { FaultProxy } from "../support/proxy.ts";
import { Dice } from "../support/random.ts";
import { Client, type TestReply, TestSession, testService } from "../support/service.ts";

/** When Redis or its connection fails, a call is done once, not done, or answered outcome-unknown. */

const config = readConfig({ ...PATIENT, PORT: "0" });
/** For tests in which no reply ever comes. */
const hasty = readConfig({ PORT: "0", REDIS_DEADLINE_MS: "400" });
const SECRET = Buffer.alloc(32, "faults");
const quiet = () => {};
const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };

const direct = await testService();
const proxy = new FaultProxy(inject("redisUrl").replace("unix://", ""));
const { address, stop } = await startService(config, await proxy.listen(), SECRET, quiet);
const base = `http://127.0.0.1:${address.port}`;

// Runs before the leak check, whose sessions need no proxy.
afterEach(() => proxy.heal());
afterAll(async () => {
  await stop();
  await proxy.close();
});

/** The first failing run is repeated with its seed, which each message names. */
const seed = Number(process.env.FAULTS_SEED ?? Date.now() % 1_000_000);
async function session(namespace: string, more: object = {}): Promise<TestSession> {
  const { body, status } = await new Client(base).post("/v1/sessions", {
    ...{ namespace, ttl_ms: 3_600_000, nofile: 4096 },
    ...more,
  });
  expect(status, JSON.stringify(body)).toBe(201);
  return new TestSession(base, body);
}

const problem = (answer: TestReply) => String(answer.body.type ?? "").replace("/docs/errors/", "");
const ready = async () => (await new Client(base).get("/readyz")).status;

/** Sends until the answer is not 503. @returns the number of answers. */
async function insist(
  send: () => Promise<TestReply>,
): Promise<{ answer: TestReply; tries: number }> {
  for (let tries = 1; ; tries++) {
    const answer = await send();
    if (answer.status !== 503) return { answer, tries };
    expect(answer.headers.get("retry-after"), `seed ${seed}`).toBe("1");
    if (problem(answer) === "unavailable")
      await vi.waitFor(async () => expect(await ready()).toBe(200), WAIT);
    expect(tries).toBeLessThan(50);
  }
}

async function mapNames(session: TestSession): Promise<Map<string, number[]>> {
  const names = new Map<string, number[]>();
  for (let cursor = ""; ; ) {
    const { body } = await session.get(`/v1/maps?limit=1000${cursor}`);
    for (const { map_name, id } of body.maps) {
      names.set(map_name, [...(names.get(map_name) ?? []), id]);
    }
    if (body.next_cursor === undefined) return names;
    cursor = `&cursor=${body.next_cursor}`;
  }
}

/** Loses the reply of about one in 20 requests that have the mark in them. */
function losing(mark: string, how: "onReply" | "onRequest" = "onReply"): () => number {
  const dice = new Dice(seed);
  let lost = 0;
  proxy[how] = (request) => {
    if (!(request.includes(mark) && dice.oneIn(20))) return "pass";
    lost += 1;
    return "cut";
  };
  return () => {
    expect(lost, `seed ${seed}: no fault was hit, the run proves nothing`).toBeGreaterThan(0);
    return lost;
  };
}

describe.each(["onReply", "onRequest"] as const)("one message in 20 lost (%s)", (how) => {
  // ioredis' own default would send the script again on the next connection.
  it("600 creations happen at most once, and each lost one answers 503 outcome-unknown", async () => {
    const root = await session(direct.namespace());
    const lost = losing("faulty_", how);
    const answers = new Map<string, TestReply>();
    for (let i = 0; i < 600; i++) {
      const answer = await root.post("/v1/maps", { ...HASH, map_name: `faulty_${i}` });
      answers.set(`faulty_${i}`, answer);
      if (answer.status === 503)
        await vi.waitFor(async () => expect(await ready()).toBe(200), WAIT);
    }
    proxy.heal();
    const names = await mapNames(root);
    let unknown = 0;
    for (const [name, answer] of answers) {
      const ids = names.get(name) ?? [];
      if (answer.status === 201) expect(ids, `seed ${seed} ${name}`).toEqual([answer.body.id]);
      else if (problem(answer) === "outcome-unknown") {
        unknown += 1;
        expect(answer.status).toBe(503);
        expect(answer.headers.get("retry-after")).toBe("1");
        // A request cut on its way to Redis is not done; a request whose reply is cut is done.
        expect(ids, `seed ${seed} ${name}`).toHaveLength(how === "onReply" ? 1 : 0);
      } else {
        expect(problem(answer), `seed ${seed} ${name}`).toBe("unavailable");
        expect(ids, `seed ${seed} ${name}`).toEqual([]);
      }
    }
    expect(unknown, `seed ${seed}`).toBe(lost());
  });
});

describe("Idempotency-Key", () => {
  it("a repeat after a lost reply gets the first answer and changes nothing", async () => {
    const root = await session(direct.namespace());
    const lost = losing("faulty_");
    let repeats = 0;
    for (let i = 0; i < 200; i++) {
      const headers = { "idempotency-key": `key-${i}` };
      const body = { ...HASH, map_name: `faulty_${i}` };
      const { answer, tries } = await insist(() => root.post("/v1/maps", body, headers));
      repeats += tries - 1;
      expect(answer.status, `seed ${seed}`).toBe(201);
      expect((await root.get(`/v1/fds/${answer.body.fd}`)).body.map_name).toBe(`faulty_${i}`);
    }
    proxy.heal();
    const names = await mapNames(root);
    expect(names.size).toBe(200);
    for (const ids of names.values()) expect(ids).toHaveLength(1);
    expect(repeats).toBeGreaterThanOrEqual(lost());
  });

  it("a repeat of POST /v1/sessions gets the same session and the same token", async () => {
    const namespace = direct.namespace();
    const lost = losing(namespace);
    const labels: string[] = [];
    const client = new Client(base);
    for (let i = 0; i < 60; i++) {
      const body = { namespace, label: `s${i}`, ttl_ms: 3_600_000 };
      const headers = { "idempotency-key": `session-${i}` };
      const { answer } = await insist(() => client.post("/v1/sessions", body, headers));
      const again = await insist(() => client.post("/v1/sessions", body, headers));
      expect(again.answer.body).toEqual(answer.body);
      const own = await insist(() => new TestSession(base, answer.body).get("/v1/session"));
      expect(own.answer.body.label).toBe(`s${i}`);
      labels.push(`s${i}`);
    }
    proxy.heal();
    lost();
    const root = await session(namespace, { label: "last" });
    const { body } = await root.get("/v1/sessions");
    expect(body.sessions.map(({ label }: { label: string }) => label)).toEqual([...labels, "last"]);
  });

  it("an errno repeats too, even when the state has changed since", async () => {
    const root = await session(direct.namespace());
    const headers = { "idempotency-key": "close-3" };
    const first = await root.del("/v1/fds/3", headers);
    expect(first.body.errno).toBe("EBADF");
    expect((await root.post("/v1/maps", HASH)).body.fd).toBe(3);
    const second = await root.del("/v1/fds/3", headers);
    expect({ ...second.body, request_id: "" }).toEqual({ ...first.body, request_id: "" });
    expect((await root.get("/v1/fds/3")).status).toBe(200);
  });

  it("a repeat of exit is 204 again although the session has ended", async () => {
    const root = await session(direct.namespace());
    const headers = { "idempotency-key": "bye" };
    expect((await root.del("/v1/session", headers)).status).toBe(204);
    expect((await root.del("/v1/session", headers)).status).toBe(204);
    expect((await root.del("/v1/session")).status).toBe(410);
  });

  it("another request with the same Idempotency-Key is 422 and changes nothing", async () => {
    const root = await session(direct.namespace());
    const headers = { "idempotency-key": "one" };
    expect((await root.post("/v1/maps", HASH, headers)).status).toBe(201);
    const other = await root.post("/v1/maps", { ...HASH, max_entries: 9 }, headers);
    expect([other.status, problem(other)]).toEqual([422, "idempotency-key-reused"]);
    expect((await root.del("/v1/fds/3", headers)).status).toBe(422);
    expect((await root.get("/v1/fds")).body.fds).toHaveLength(1);
  });

  it("an Idempotency-Key belongs to one session", async () => {
    const namespace = direct.namespace();
    const headers = { "idempotency-key": "one" };
    for (const who of [await session(namespace), await session(namespace)]) {
      expect((await who.post("/v1/maps", HASH, headers)).body.fd).toBe(3);
    }
  });
});

describe("the connection to Redis", () => {
  it("a black hole leaves nothing pending after the deadline, then a new connection", async () => {
    const root = await session(direct.namespace());
    const hole = new FaultProxy(inject("redisUrl").replace("unix://", ""));
    const service = await startService(hasty, await hole.listen(), SECRET, quiet);
    const client = new Client(`http://127.0.0.1:${service.address.port}`, root.token);
    hole.onReply = () => "swallow";
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => client.post("/v1/maps", { ...HASH, map_name: `m${i}` })),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get("retry-after")).toBe("1");
    }
    expect(hole.hits).toBeGreaterThan(0);
    // Connections that fell silent stay silent: only new ones work again.
    hole.heal();
    await vi.waitFor(async () => expect((await client.get("/readyz")).status).toBe(200), WAIT);
    await service.stop();
    await hole.close();
    for (const ids of (await mapNames(root)).values()) expect(ids).toHaveLength(1);
  });

  it("an unavailable Redis gives 503 at once, livez stays 200, and recovery is automatic", async () => {
    const root = await session(direct.namespace());
    proxy.away = true;
    proxy.cut();
    await vi.waitFor(async () => expect(await ready()).toBe(503), WAIT);
    const [made, read] = [await root.post("/v1/maps", HASH), await root.get("/v1/session")];
    for (const answer of [made, read]) {
      expect([answer.status, problem(answer)]).toEqual([503, "unavailable"]);
      expect(answer.headers.get("retry-after")).toBe("1");
    }
    expect((await new Client(base).get("/livez")).status).toBe(200);
    proxy.heal();
    await vi.waitFor(async () => expect(await ready()).toBe(200), WAIT);
    expect((await root.get("/v1/fds")).body.fds).toEqual([]);
  });

  it("an outage is logged once when it begins and once when it ends, as are the next ones", async () => {
    const lines: string[] = [];
    const own = new FaultProxy(inject("redisUrl").replace("unix://", ""));
    const service = await startService(config, await own.listen(), SECRET, (level, message) => {
      lines.push(`${level} ${message}`);
    });
    let connections = 0;
    own.onConnection = () => {
      connections += 1;
    };
    for (const outages of [1, 2]) {
      connections = 0;
      own.away = true;
      own.cut();
      // So many connections fail before Redis is back.
      await vi.waitFor(() => {
        expect(connections).toBeGreaterThan(6);
        expect(lines).toHaveLength(2 * outages - 1);
      }, WAIT);
      own.heal();
      await vi.waitFor(() => expect(lines.at(-1)).toBe("info Redis is back"), WAIT);
    }
    await service.stop();
    await own.close();
    // A cut that meets bytes under way resets the connection.
    const away = expect.stringMatching(
      /^error Redis is unavailable: (the connection was closed|.*(ECONNRESET|EPIPE)); trying again/,
    );
    expect(lines).toEqual([away, "info Redis is back", away, "info Redis is back"]);
  });

  it("late replies within the deadline change nothing for the client", async () => {
    const root = await session(direct.namespace());
    proxy.onReply = () => 100;
    expect((await root.post("/v1/maps", HASH)).status).toBe(201);
    expect(proxy.hits).toBeGreaterThan(0);
  });

  // SCRIPT FLUSH: "flushes the Lua scripts cache", so EVALSHA answers NOSCRIPT.
  it("a SCRIPT FLUSH in the middle harms nothing", async () => {
    const root = await session(direct.namespace());
    const { redis } = direct.kernel.script;
    for (let round = 0; round < 5; round++) {
      const made = Array.from({ length: 10 }, (_, i) =>
        root.post("/v1/maps", { ...HASH, map_name: `r${round}_${i}` }),
      );
      await redis.script("FLUSH", "SYNC");
      for (const { status } of await Promise.all(made)) expect(status).toBe(201);
    }
    const names = await mapNames(root);
    expect(names.size).toBe(50);
    for (const ids of names.values()) expect(ids).toHaveLength(1);
  });

  it("a session whose creation reply was lost is swept like any other", async () => {
    const namespace = direct.namespace();
    let isCreated = false;
    proxy.onRequest = (request) => {
      isCreated ||= request.includes(namespace) && request.includes("session_create");
      return "pass";
    };
    // A heartbeat may have been sent since.
    proxy.onReply = () => (isCreated ? "cut" : "pass");
    const lost = await new Client(base).post("/v1/sessions", { namespace, ttl_ms: 1000 });
    expect(problem(lost)).toBe("outcome-unknown");
    proxy.heal();
    const { redis } = direct.kernel.script;
    const sessions = () => redis.zcard(`bpf:{${namespace}}:ids:session`);
    expect(await sessions()).toBe(1);
    await vi.waitFor(async () => expect(await sessions()).toBe(0), WAIT);
  });
});

describe("Redis at maxmemory", () => {
  it("at maxmemory creating is ENOMEM; reading, renewing and freeing work", async () => {
    const dir = mkdtempSync(join(tmpdir(), "bpf-oom-"));
    const redis = await startPrivateRedis({ dir });
    const full = await startService(config, `unix://${redis.url}`, SECRET, quiet);
    try {
      const client = new Client(`http://127.0.0.1:${full.address.port}`);
      const start = async (more = {}) =>
        new TestSession(client.base, (await client.post("/v1/sessions", more)).body);
      const doomed = await start({ namespace: "doomed" });
      for (let i = 0; i < 3; i++) await doomed.post("/v1/maps", HASH);
      await doomed.put("/v1/fs?path=/pin", { type: "pin", fd: 3 });
      const [root, other] = [await start(), await start()];
      for (let i = 0; i < 3; i++) await root.post("/v1/maps", HASH);
      await root.put("/v1/fs?path=/pin", { type: "pin", fd: 3 });
      await root.put("/v1/fds/3/elements/u32:1", { value: "00000001" });
      await other.post("/v1/maps", { ...HASH, max_entries: 1 });
      await other.put("/v1/fds/3/elements/u32:1", { value: "00000001" });
      // Reading renews a session, from before Redis is full until much later than its ttl.
      const reader = await start({ ttl_ms: 1000 });
      let readUntil = Number.POSITIVE_INFINITY;
      const reading = repeatUntil(
        () => Date.now() > readUntil,
        async () => expect((await reader.get("/v1/session")).status).toBe(200),
      );
      await limit(redis.url, "1mb");
      readUntil = Date.now() + 2500;

      const state = async () => [
        (await other.get("/v1/maps")).body,
        (await other.get("/v1/sessions")).body.sessions.length,
        (await other.get("/v1/fs?path=/")).body,
      ];
      const before = await state();
      const refused = [
        await root.post("/v1/maps", HASH),
        await root.put("/v1/fs?path=/more", { type: "pin", fd: 4 }),
        await root.put("/v1/fds/3/elements/u32:2", { value: "00000001" }),
        await root.post("/v1/session/fork", {}),
        await root.post("/v1/fds/3/dup"),
        await client.post("/v1/sessions", {}),
      ];
      for (const { status, body } of refused) expect([status, body.errno]).toEqual([507, "ENOMEM"]);
      // Redis does not begin a command that may grow, so the full map is not noticed.
      const refusal = await other.put("/v1/fds/3/elements/u32:2", { value: "00000001" });
      expect(refusal.body.errno).toBe("ENOMEM");
      expect((await client.get("/readyz")).status).toBe(200);
      expect(await state()).toEqual(before);

      expect((await root.get("/v1/fds/3/elements/u32:1")).status).toBe(200);
      await reading;
      expect((await root.post("/v1/session/renew")).status).toBe(200);
      expect((await root.del("/v1/fds/3/elements/u32:1")).status).toBe(204);
      expect((await root.del("/v1/fds/3")).status).toBe(204);
      expect((await root.del("/v1/fs?path=/pin")).status).toBe(204);
      expect((await root.del("/v1/session")).status).toBe(204);
      expect((await other.del("/v1/fds/3")).status).toBe(204);
      expect((await other.get("/v1/maps")).body.maps).toEqual([]);
      expect((await client.del("/v1/namespaces/doomed")).status).toBe(204);
      expect((await client.get("/v1/namespaces/doomed")).status).toBe(404);
      await limit(redis.url, "0");
      expect((await other.post("/v1/maps", HASH)).status).toBe(201);
    } finally {
      await full.stop();
      await redis.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

async function repeatUntil(isOver: () => boolean, act: () => Promise<void>): Promise<void> {
  while (!isOver()) await act();
}

async function limit(url: string, maxmemory: string): Promise<void> {
  const { connect } = await import("../../domain/redis/connection.ts");
  const redis = connect(`unix://${url}`, 1000);
  await new Promise((resolve) => redis.once("ready", resolve));
  await redis.config("SET", "maxmemory", maxmemory);
  redis.disconnect();
}
