import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { type Running, startService } from "../../api/service.ts";
import { type Call, createKernel, type Kernel } from "../../domain/bpf.ts";
import { startPrivateRedis } from "../../domain/redis/private_server.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { differences } from "../support/invariants/invariants.ts";
import { DEADLINE_MS, PATIENT, WAIT } from "../support/patience.ts";
import { Client, TestSession, testService } from "../support/service.ts";
import { passTime } from "../support/stored.ts";

/** Sessions end on time and never early; an outage ends none. */

const service = await testService();
const { redis } = service.kernel.script;
const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const ARRAY = { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 8 };
const PROG = { prog_type: "xdp", insns: RETURN_ZERO_HEX, license: "GPL" };
const HOUR = 3_600_000;

const pass = (namespace: string, ms: number) => passTime(redis, namespace, ms);

/** The time of Redis at the last beat, without what a loaded machine has lost. */
function timeOfMaster(): number {
  const [, lost, tick] = service.kernel.script.heartbeats.beatFor(0).split(" ");
  return Number(tick) - Number(lost);
}

async function reason(session: TestSession): Promise<unknown> {
  const { status, body } = await session.get("/v1/session");
  return [status, body.errno, body.reason];
}

describe("ttl_ms", () => {
  // A value out of range is rejected, never silently changed.
  it.each([999, 86_400_001, 0, -1, 1.5])(
    "every operation rejects the ttl_ms %s",
    async (ttl_ms) => {
      const namespace = service.namespace();
      const root = await service.session(namespace);
      const answers = [
        await new Client(service.base).post("/v1/sessions", { namespace, ttl_ms }),
        await root.patch("/v1/session", { ttl_ms }),
        await root.post("/v1/session/fork", { ttl_ms }),
      ];
      for (const { status, body } of answers) expect([status, body.errno]).toEqual([400, "EINVAL"]);
      expect((await root.get("/v1/sessions")).body.sessions).toHaveLength(1);
      expect((await root.get("/v1/session")).body.ttl_ms).toBe(HOUR);
    },
  );

  it.each([1000, 86_400_000])("every operation accepts the ttl_ms %s", async (ttl_ms) => {
    const session = await service.session(service.namespace(), { ttl_ms });
    expect((await session.get("/v1/session")).body.ttl_ms).toBe(ttl_ms);
  });

  it("a shorter ttl_ms counts from now on, and a child inherits it", async () => {
    const namespace = service.namespace();
    const session = await service.session(namespace);
    await session.patch("/v1/session", { ttl_ms: 1000 });
    const child = session.as((await session.post("/v1/session/fork")).body);
    await pass(namespace, 2000);
    expect(await reason(session)).toEqual([410, "ESRCH", "expired"]);
    expect(await reason(child)).toEqual([410, "ESRCH", "expired"]);
  });
});

describe("renewal", () => {
  // Any request with the session's token renews it.
  it.each<[string, (session: TestSession) => Promise<unknown>]>([
    ["a read", (s) => s.get("/v1/fds/3/elements/u32:1")],
    ["a write", (s) => s.put("/v1/fds/3/elements/u32:1", { value: "00000000" })],
    ["a request that fails", (s) => s.del("/v1/fds/77")],
    ["renew", (s) => s.post("/v1/session/renew")],
    ["a list", (s) => s.get("/v1/sessions")],
  ])("%s renews the session", async (_, request) => {
    const namespace = service.namespace();
    const session = await service.session(namespace, { ttl_ms: 10_000 });
    await session.post("/v1/maps", HASH);
    for (let i = 0; i < 5; i++) {
      await pass(namespace, 9_900);
      await request(session);
    }
    await pass(namespace, 9_900);
    expect((await session.get("/v1/session")).status).toBe(200);
    await pass(namespace, 12_001);
    expect(await reason(session)).toEqual([410, "ESRCH", "expired"]);
  });

  it("other sessions' requests do not renew a session", async () => {
    const namespace = service.namespace();
    const [observer, session] = [
      await service.session(namespace),
      await service.session(namespace, { ttl_ms: 10_000 }),
    ];
    await observer.post("/v1/maps", HASH);
    await pass(namespace, 9_000);
    await observer.post("/v1/fds/3/send", { session: session.id });
    await observer.get("/v1/sessions");
    await pass(namespace, 3_000);
    expect(await reason(session)).toEqual([410, "ESRCH", "expired"]);
  });
});

describe("how long a session lives", () => {
  it("a session lives for its ttl after the last request and ends by ttl + 10 % + 1 s", async () => {
    const namespace = service.namespace();
    const [observer, session] = [
      await service.session(namespace),
      await service.session(namespace, { ttl_ms: 1000 }),
    ];
    await session.post("/v1/maps", HASH);
    const begin = performance.now();
    await session.get("/v1/fds/3");
    const end = timeOfMaster();
    let lastSeen = end;
    while ((await observer.get("/v1/maps/1")).status === 200) lastSeen = timeOfMaster();
    expect(performance.now() - begin).toBeGreaterThan(1000);
    // The last request that found the map was sent before this time.
    expect(lastSeen - end).toBeLessThan(1000 + 100 + 1000);
    expect(await reason(session)).toEqual([410, "ESRCH", "expired"]);
  });

  it.each<[string, (o: TestSession, id: number) => Promise<{ status: number }>, number]>([
    ["a look at the map by id", (o) => o.get("/v1/maps/1"), 404],
    ["opening it by id", (o) => o.post("/v1/fds", { map_id: 1 }), 404],
    ["a kill", (o, id) => o.del(`/v1/sessions/${id}`), 404],
    ["sending it a file", (o, session) => o.post("/v1/fds/3/send", { session }), 404],
    ["a lookup in the array it emptied", (o) => o.get("/v1/fds/3/elements/u32:0"), 404],
  ])("expiry is seen by the very next command: %s", async (_, command, status) => {
    const namespace = service.namespace();
    const session = await service.session(namespace, { ttl_ms: 1000 });
    await session.post("/v1/maps", HASH);
    const observer = await service.session(namespace);
    await observer.post("/v1/maps", ARRAY);
    await pass(namespace, 5000);
    expect((await command(observer, session.id)).status).toBe(status);
    expect((await observer.get("/v1/sessions")).body.sessions).toHaveLength(1);
  });
});

describe("exit, kill and expiry", () => {
  const ENDS: [
    string,
    (s: TestSession, observer: TestSession, namespace: string) => Promise<unknown>,
  ][] = [
    ["exited", (s) => s.del("/v1/session")],
    ["killed", (s, observer) => observer.del(`/v1/sessions/${s.id}`)],
    ["expired", (_s, _o, namespace) => pass(namespace, 5000)],
  ];

  async function world(namespace: string): Promise<[TestSession, TestSession]> {
    const observer = await service.session(namespace);
    const s = await service.session(namespace, { ttl_ms: 1000 });
    await s.post("/v1/maps", ARRAY); // fd 3: flushed, as the pin of it is unlinked below
    await s.post("/v1/progs", PROG); // fd 4: held by the pinned array's slot
    await s.put("/v1/fds/3/elements/u32:1", { value: { fd: 4 } });
    await s.post("/v1/maps", ARRAY); // fd 5: pinned, keeps its slots
    await s.put("/v1/fds/5/elements/u32:0", { value: { fd: 4 } });
    await s.put("/v1/fs?path=/kept", { type: "pin", fd: 5 });
    await s.post("/v1/maps", HASH); // fd 6: passed on
    await s.post("/v1/fds/6/send", { session: observer.id });
    await observer.post("/v1/maps", HASH);
    await observer.post("/v1/fds/3/send", { session: s.id }); // never received
    await observer.del("/v1/fds/3");
    return [observer, s];
  }

  async function state(observer: TestSession, namespace: string): Promise<unknown> {
    const root = `bpf:{${namespace}}:`;
    await observer.get("/v1/session");
    const keys = (await redis.keys(`${root}*`)).map((key) => key.slice(root.length));
    const { progs } = (await observer.get("/v1/progs")).body;
    for (const prog of progs) delete prog.load_time;
    const maps = [];
    for (const { id } of (await observer.get("/v1/maps")).body.maps) {
      maps.push((await observer.get(`/v1/maps/${id}`)).body);
    }
    expect(await differences(redis, namespace)).toEqual([]);
    return { keys: keys.sort(), progs, maps, tree: (await observer.get("/v1/fs?path=/")).body };
  }

  it("exit, kill and expiry leave the same state, and each says why", async () => {
    const states = [];
    for (const [why, end] of ENDS) {
      const namespace = service.namespace();
      const [observer, s] = await world(namespace);
      await end(s, observer, namespace);
      states.push(await state(observer, namespace));
      expect(await reason(s)).toEqual([410, "ESRCH", why]);
      // The observer still has what it was sent, the pinned array its slot.
      expect((await observer.post("/v1/fds/receive")).body.kind).toBe("map");
      expect((await observer.get("/v1/progs")).body.progs).toHaveLength(1);
    }
    expect(states[1]).toEqual(states[0]);
    expect(states[2]).toEqual(states[0]);
  });
});

describe("200 sessions due at once", () => {
  it("none of 200 due sessions can act before all are released", async () => {
    const namespace = service.namespace();
    const observer = await service.session(namespace);
    const sessions = await Promise.all(
      Array.from({ length: 200 }, () => service.session(namespace, { ttl_ms: 1000 })),
    );
    await Promise.all(sessions.map((session) => session.post("/v1/maps", HASH)));
    await pass(namespace, 5000);
    const last = sessions.slice(-5);
    for (const session of last) {
      const answer = await session.put("/v1/fds/3/elements/u32:1", { value: "00000000" });
      expect([answer.status, answer.body.reason]).toEqual([410, "expired"]);
    }
    for (const session of sessions)
      expect(await reason(session)).toEqual([410, "ESRCH", "expired"]);
    expect((await observer.get("/v1/maps")).body.maps).toEqual([]);
    expect(await differences(redis, namespace)).toEqual([]);
  });
});

describe("sessions on a Redis of their own", () => {
  const dir = mkdtempSync(join(tmpdir(), "bpf-expiry-"));
  let server: Awaited<ReturnType<typeof startPrivateRedis>>;
  let running: Running;
  beforeAll(async () => {
    server = await startPrivateRedis({ dir });
    const config = readConfig({ ...PATIENT, PORT: "0" });
    running = await startService(config, `unix://${server.url}`, Buffer.alloc(32, 1), () => {});
  });
  afterAll(async () => {
    await running.stop();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it("a Redis that stands still for longer than the ttl ends no session", async () => {
    const client = new Client(`http://127.0.0.1:${running.address.port}`);
    const created = await client.post("/v1/sessions", { namespace: "outage", ttl_ms: 1000 });
    const session = new TestSession(client.base, created.body);
    process.kill(server.pid, "SIGSTOP");
    try {
      await new Promise((resolve) => setTimeout(resolve, 4000));
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    const back = () => session.get("/v1/session");
    await vi.waitFor(async () => expect((await back()).status).not.toBe(503), WAIT);
    expect((await back()).status).toBe(200);
    const observer = await client.post("/v1/sessions", { namespace: "outage", ttl_ms: 60_000 });
    const count = async () =>
      (await new TestSession(client.base, observer.body).get("/v1/sessions")).body.sessions.length;
    await vi.waitFor(async () => expect(await count()).toBe(1), WAIT);
    expect(await reason(session)).toEqual([410, "ESRCH", "expired"]);
  });

  // A lookup writes nothing but, rarely, a renewal.
  it("a read writes nothing", async () => {
    const kernel = createKernel(`unix://${server.url}`, Buffer.alloc(32, 2), {
      deadline: DEADLINE_MS,
    });
    await kernel.script.ready();
    const call = await processOf(kernel, "reads");
    const { redis } = kernel.script;
    const { fd } = await kernel.mapCreate(call, {
      ...HASH,
      map_flags: 0,
      map_name: "",
      map_extra: "0",
    });
    const [key, value] = [Buffer.alloc(4), Buffer.alloc(4, 7)];
    await kernel.mapUpdateElem(call, fd, { key, value }, 0, "");
    const how = { follow: true, entries: true, limit: 10 };
    await running.stop(); // its sweeper writes
    // Beats alone use SET.
    const changes = async () => {
      const info = await redis.info("persistence", "commandstats");
      const all = /rdb_changes_since_last_save:(\d+)/.exec(info)?.[1];
      return Number(all) - Number(/cmdstat_set:calls=(\d+)/.exec(info)?.[1] ?? 0);
    };
    const before = await changes();
    for (let i = 0; i < 50; i++) {
      await kernel.mapLookupElem(call, fd, key, { flags: 0 });
      await kernel.mapGetNextKey(call, fd, undefined);
      await kernel.mapDump(call, fd, { limit: 10 });
      await kernel.objGetInfoByFd(call, fd);
      await kernel.fdList(call, { limit: 10 });
      await kernel.stat(call, "/", how);
      await kernel.mapGetNextId(call, { limit: 10 });
      await kernel.mapGet(call, 1);
      await kernel.sessionGet(call);
      await kernel.sessionList(call, { limit: 10 });
      await expect(kernel.close(call, 99)).rejects.toThrow();
    }
    expect(await changes()).toBe(before);
    redis.disconnect();
  });
});

async function processOf(kernel: Kernel, namespace: string): Promise<Call> {
  const none = { record: "", fingerprint: "" };
  const { token } = await kernel.sessionCreate(
    { namespace, sid: "", hash: "", ...none },
    {
      label: "",
      ttl_ms: HOUR,
      uid: 0,
      gid: 0,
      groups: [],
      capabilities: "*",
      umask: 0,
      nofile: 99,
    },
  );
  return { ...kernel.tokens.read(token), ...none };
}
