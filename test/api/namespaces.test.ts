import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type ApiKey, ApiKeys } from "../../api/api_keys.ts";
import { Client, type TestService, TestSession, testService } from "../support/service.ts";

/** Namespaces as a whole, over HTTP: who may list and delete which. */

const keyed = (id: string, more: Partial<ApiKey>): ApiKey => ({
  id,
  sha256: createHash("sha256").update(`key of ${id}`).digest("hex"),
  ...{ namespaces: ["t-*"], uid: 0, gid: 0, capabilities: "all" as const },
  ...more,
});
const headers = (id: string) => ({ "x-api-key": `key of ${id}` });

const open = await testService();
/** The names of two namespaces, which keys cover. */
const [MINE, OTHER] = [open.namespace(), open.namespace()].sort() as [string, string];
const guarded = await testService(
  new ApiKeys([
    keyed("admin", { admin: true }),
    keyed("mine", { admin: true, namespaces: [MINE] }),
    keyed("tenant", {}),
    keyed("no", { admin: false }),
  ]),
);

const MAP = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };

async function start(service: TestService, namespace: string): Promise<TestSession> {
  const client = new Client(service.base);
  const { status, body } = await client.post("/v1/sessions", { namespace }, headers("admin"));
  expect(status).toBe(201);
  const session = new TestSession(service.base, body);
  expect((await session.post("/v1/maps", MAP)).status).toBe(201);
  return session;
}

/** All names that the key sees, and the most that a page had. */
async function listed(service: TestService, key: Record<string, string>, limit = 1000) {
  const names: string[] = [];
  let cursor = "";
  for (;;) {
    const path = `/v1/namespaces?limit=${limit}${cursor}`;
    const { status, body } = await new Client(service.base).get(path, key);
    expect(status).toBe(200);
    expect(body.namespaces.length).toBeLessThanOrEqual(limit);
    names.push(...body.namespaces.map(({ name }: { name: string }) => name));
    if (body.next_cursor === undefined) return names;
    cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
  }
}

describe("a service with API keys", () => {
  const client = new Client(guarded.base);
  const at = (name: string) => `/v1/namespaces/${name}`;

  it.each(["tenant", "no"])(
    "the key %s without the right can do nothing to namespaces",
    async (id) => {
      await start(guarded, MINE);
      const answers = [
        await client.get("/v1/namespaces", headers(id)),
        await client.get(at(MINE), headers(id)),
        await client.del(at(MINE), headers(id)),
        await client.del(at("t-unused"), headers(id)),
      ];
      for (const { status, body } of answers) {
        expect([status, body.type]).toEqual([403, "/docs/errors/forbidden"]);
      }
      const session = await start(guarded, MINE);
      expect((await session.get("/v1/maps")).status).toBe(200);
      expect((await client.del(at(MINE), headers("admin"))).status).toBe(204);
    },
  );

  it("no key, an unknown key and a session's token are 401", async () => {
    const { token } = await start(guarded, MINE);
    const wrong = [{}, headers("nobody"), { authorization: `Bearer ${token}` }];
    for (const one of wrong) {
      expect((await client.get("/v1/namespaces", one)).status).toBe(401);
      expect((await client.get(at(MINE), one)).status).toBe(401);
      expect((await client.del(at(MINE), one)).status).toBe(401);
    }
    expect((await client.del(at(MINE), headers("admin"))).status).toBe(204);
  });

  it("a key sees and deletes the namespaces that it covers, and no other", async () => {
    await start(guarded, MINE);
    const kept = await start(guarded, OTHER);
    expect(await listed(guarded, headers("mine"))).toEqual([MINE]);
    expect(await listed(guarded, headers("admin"), 1)).toEqual(
      expect.arrayContaining([MINE, OTHER]),
    );
    expect((await client.get(at(MINE), headers("mine"))).body).toEqual({
      ...{ name: MINE, deleting: false, sessions: 1, maps: 1, progs: 0, inodes: 0, cpus: 2 },
    });
    for (const name of [OTHER, "t-unused", "x"]) {
      expect((await client.get(at(name), headers("mine"))).status).toBe(403);
      expect((await client.del(at(name), headers("mine"))).status).toBe(403);
    }
    expect((await client.del(at(MINE), headers("mine"))).status).toBe(204);
    expect(await listed(guarded, headers("mine"))).toEqual([]);
    const gone = await client.del(at(MINE), headers("mine"));
    expect([gone.status, gone.body.errno]).toEqual([404, "ENOENT"]);
    expect((await kept.get("/v1/maps")).body.maps).toHaveLength(1);
  });
});

describe("a service without API keys", () => {
  const client = new Client(open.base);

  it("lets everybody list, show and delete", async () => {
    const namespace = open.namespace();
    const session = await open.session(namespace);
    expect(await listed(open, {})).toContain(namespace);
    expect((await client.get(`/v1/namespaces/${namespace}`)).body).toMatchObject({ sessions: 1 });
    expect((await client.del(`/v1/namespaces/${namespace}`)).status).toBe(204);
    const { status, body } = await session.get("/v1/session");
    expect([status, body.reason]).toEqual([410, "deleted"]);
    expect((await client.get(`/v1/namespaces/${namespace}`)).body.errno).toBe("ENOENT");
    expect(await listed(open, {})).not.toContain(namespace);
  });

  it("answers 202 with what is left while the deletion goes on", async () => {
    const namespace = open.namespace();
    const session = await open.session(namespace);
    for (let fd = 3; fd < 303; fd++) await session.post("/v1/maps", MAP);
    // No step takes so long, so the clock has to leap, but for nobody else who reads it.
    const { now } = performance;
    let leap = 0;
    performance.now = () => {
      const [, , reader] = new Error().stack?.split("\n") ?? [];
      if (!reader?.includes("commands/namespace.ts")) return now.call(performance);
      leap += 10_000;
      return now.call(performance) + leap;
    };
    const { status, body } = await client
      .del(`/v1/namespaces/${namespace}`)
      .finally(() => (performance.now = now));
    expect([status, body.name, body.deleting, body.sessions]).toEqual([202, namespace, true, 0]);
    expect(body.maps).toBeGreaterThan(0);
    expect((await client.del(`/v1/namespaces/${namespace}`)).status).toBe(204);
  });

  it("a repeat by its Idempotency-Key deletes nothing that was made since", async () => {
    const namespace = open.namespace();
    await open.session(namespace);
    const key = { "idempotency-key": "delete-once" };
    expect((await client.del(`/v1/namespaces/${namespace}`, key)).status).toBe(204);
    const session = await open.session(namespace);
    expect((await client.del(`/v1/namespaces/${namespace}`, key)).status).toBe(204);
    expect((await session.get("/v1/session")).status).toBe(200);
    expect((await client.del(`/v1/namespaces/${namespace}`)).status).toBe(204);
  });

  it("a session's Idempotency-Key begins afresh with the namespace", async () => {
    const namespace = open.namespace();
    const key = { "idempotency-key": "create-once" };
    const create = () => client.post("/v1/sessions", { namespace }, key);
    const first = await create();
    expect((await create()).body.token).toBe(first.body.token);
    await open.kernel.script.run(namespace, "namespace_delete", ["", "", "", ""], []);
    expect((await create()).body.errno).toBe("EBUSY");
    expect((await client.del(`/v1/namespaces/${namespace}`)).status).toBe(204);
    const second = await create();
    expect([second.status, second.body.session.id]).toEqual([201, first.body.session.id + 1]);
    const again = await create();
    expect(again.body.token).toBe(second.body.token);
    expect((await new TestSession(open.base, second.body).get("/v1/session")).status).toBe(200);
  });

  it.each(["A", "-a", "a_b", "%7Ba%7D", "a".repeat(64)])(
    "rejects the name %s, which no namespace can have",
    async (name) => {
      const { status, body } = await client.del(`/v1/namespaces/${name}`);
      expect([status, body.errno, body.errors[0].pointer]).toEqual([
        ...[400, "EINVAL", "/params/namespace"],
      ]);
    },
  );

  it("rejects a cursor that no page has given", async () => {
    const { status, body } = await client.get("/v1/namespaces?cursor=A%20b");
    expect([status, body.errors[0].pointer]).toEqual([400, "/query/cursor"]);
  });
});
