import { describe, expect, inject, it } from "vitest";
import { type Call, createKernel, UNRECORDED } from "../../domain/bpf.ts";
import { LAYOUT } from "../../domain/redis/records.ts";
import { Sweeper } from "../../domain/sweeper.ts";
import { differences } from "../support/invariants/invariants.ts";
import { naming } from "../support/model/map_calls.ts";
import { DEADLINE_MS } from "../support/patience.ts";
import { Client, type TestSession, testService } from "../support/service.ts";

/** A namespace tells what it holds, and its deletion frees all of it in bounded steps. */

const service = await testService();
const { kernel } = service;
const { redis } = kernel.script;

const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const ARRAY = { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 200 };
const DEVMAP = { map_type: "devmap", key_size: 4, value_size: 8, max_entries: 4 };
const XDP_DEVMAP = 33;
const DAY = 86_400_000;

const callOf = (namespace: string): Call => ({ namespace, sid: "", hash: "", ...UNRECORDED });
const get = (namespace: string) => kernel.namespaceGet(callOf(namespace));
const remove = (namespace: string) => kernel.namespaceDelete(callOf(namespace));
const at = (path: string) => `/v1/fs?path=${encodeURIComponent(path)}`;

async function make(session: TestSession, path: string, body: object): Promise<number> {
  const answer = await session.post(path, body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.fd;
}

async function put(session: TestSession, path: string, body: object): Promise<void> {
  const { status, body: told } = await session.put(path, body);
  expect(status, JSON.stringify(told)).toBeLessThan(300);
}

/** The keys of a namespace, without those that expire by themselves. */
async function left(namespace: string): Promise<string[]> {
  const keys = await redis.keys(`bpf:{${namespace}}:*`);
  const lives = await Promise.all(keys.map((key) => redis.pttl(key)));
  return keys.filter((_, i) => (lives[i] ?? 0) < 0);
}

const isListed = async (namespace: string) =>
  (await kernel.registry.list([namespace], "", 1)).length > 0;

/** Only marks the namespace, as a service does that ends right after it. */
async function mark(namespace: string): Promise<void> {
  await kernel.script.run(namespace, "namespace_delete", ["", "", "", ""], []);
}

/** Checks every count after each step. */
async function finish(namespace: string): Promise<number> {
  for (let steps = 0; ; steps++) {
    expect(await differences(redis, namespace)).toEqual([]);
    if (!(await kernel.sweep(namespace)).workLeft) return steps;
  }
}

/** A program array whose programs hold it, pinned below a directory. */
async function fill(session: TestSession, name: string, pins: number): Promise<void> {
  const array = await make(session, "/v1/maps", ARRAY);
  const prog = await make(session, "/v1/progs", { insns: naming([array]) });
  for (let i = 0; i < 5; i++) {
    await put(session, `/v1/fds/${array}/elements/u32:${i}`, { value: { fd: prog } });
  }
  await put(session, at(`/${name}`), { type: "directory" });
  await put(session, at(`/${name}/s`), { type: "symlink", target: "a" });
  const pin = (i: number) =>
    put(session, at(`/${name}/${i}`), { type: "pin", fd: i % 2 ? prog : array });
  await Promise.all(Array.from({ length: pins }, (_, i) => pin(i)));
}

describe("namespace_get", () => {
  it("counts sessions, maps, programs and inodes as they come and go", async () => {
    const namespace = service.namespace();
    await expect(get(namespace)).rejects.toMatchObject({ code: "ENOENT" });
    const session = await service.session(namespace, { cpus: 4 });
    const empty = {
      name: namespace,
      deleting: false,
      sessions: 1,
      maps: 0,
      progs: 0,
      inodes: 0,
      cpus: 4,
    };
    expect(await get(namespace)).toEqual(empty);
    await fill(session, "d", 3);
    const child = session.as((await session.post("/v1/session/fork")).body);
    expect(await get(namespace)).toEqual({ ...empty, sessions: 2, maps: 1, progs: 1, inodes: 5 });
    // Failed commands and a second name change no count.
    await put(session, at("/l"), { type: "link", from: "/d/0" });
    expect((await session.put(at("/d/0"), { type: "pin", fd: 3 })).status).toBe(409);
    expect((await get(namespace)).inodes).toBe(5);
    await child.del("/v1/session");
    await session.post("/v1/fs/rename", { from: "/d/0", to: "/d/1" });
    expect(await get(namespace)).toMatchObject({ sessions: 1, inodes: 5 });
    await session.del(at("/d/2"));
    expect(await get(namespace)).toMatchObject({ sessions: 1, maps: 1, progs: 1, inodes: 4 });
  });
});

describe("a tree that a version without the count of inodes has left", () => {
  it("has no count until it is empty, and the right one from then on", async () => {
    const namespace = service.namespace();
    const session = await service.session(namespace);
    await fill(session, "d", 3);
    await session.del(at("/d/1"));
    await redis.hdel(`bpf:{${namespace}}:meta`, "inodes_freed", "inodes_counted");
    expect(await get(namespace)).not.toHaveProperty("inodes");
    await put(session, at("/e"), { type: "directory" });
    await session.del(at("/d/2"));
    expect(await get(namespace)).not.toHaveProperty("inodes");
    const list = (await new Client(service.base).get(`/v1/namespaces/${namespace}`)).body;
    expect(list).not.toHaveProperty("inodes");
    for (const path of ["/e", "/d"]) await session.del(`${at(path)}&recursive=true`);
    expect(await get(namespace)).toMatchObject({ inodes: 0 });
    await put(session, at("/f"), { type: "directory" });
    await put(session, at("/f/a"), { type: "symlink", target: "b" });
    expect(await get(namespace)).toMatchObject({ inodes: 2 });
    await session.del(at("/f/a"));
    expect(await get(namespace)).toMatchObject({ inodes: 1 });
  });
});

describe("namespace_list", () => {
  it("lists covered namespaces by name, page by page", async () => {
    const names = Array.from({ length: 5 }, () => service.namespace()).sort();
    await Promise.all(names.map((name) => service.session(name)));
    const list = async (patterns: string[], after: string | undefined, limit: number) => {
      const { namespaces, next_cursor } = await kernel.namespaceList(patterns, after, limit);
      return [namespaces.map(({ name }) => name), next_cursor];
    };
    const [a = "", b = "", c = "", d = "", e = ""] = names;
    expect(await list([e, a, `${a}*`, c, "t-unused"], undefined, 10)).toEqual([
      [a, c, e],
      undefined,
    ]);
    expect(await list([b, d, c], undefined, 2)).toEqual([[b, c], c]);
    expect(await list([b, d, c], c, 2)).toEqual([[d], undefined]);
    const all: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await kernel.namespaceList(["*"], cursor, 2);
      all.push(...page.namespaces.map(({ name }) => name));
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(all).toEqual([...new Set(all)].sort());
    expect(all).toEqual(expect.arrayContaining(names));
    await remove(c);
    expect(await list([b, c, d], undefined, 10)).toEqual([[b, d], undefined]);
  });

  it("leaves out names of what does not exist or another version stores", async () => {
    const [gone, other, own] = [service.namespace(), service.namespace(), service.namespace()];
    await kernel.registry.register(gone, 60_000);
    await Promise.all([other, own].map((name) => service.session(name)));
    const meta = `bpf:{${other}}:meta`;
    await redis.hset(meta, "layout", "99");
    const { namespaces } = await kernel.namespaceList([gone, other, own], undefined, 10);
    expect(namespaces.map(({ name }) => name)).toEqual([own]);
    await redis.hset(meta, "layout", LAYOUT);
    const claim = await kernel.registry.claim(gone);
    if (claim) await kernel.registry.forget(claim);
  });
});

describe("namespace_delete", () => {
  it("leaves nothing that lasts, and the namespace starts afresh", async () => {
    const namespace = service.namespace();
    await expect(remove(namespace)).rejects.toMatchObject({ code: "ENOENT" });
    const session = await service.session(namespace, { cpus: 4 });
    await fill(session, "d", 3);
    expect(await isListed(namespace)).toBe(true);
    expect(await remove(namespace)).toBeUndefined();
    expect(await left(namespace)).toEqual([]);
    expect(await isListed(namespace)).toBe(false);
    await expect(get(namespace)).rejects.toMatchObject({ code: "ENOENT" });
    await expect(remove(namespace)).rejects.toMatchObject({ code: "ENOENT" });
    expect((await session.get("/v1/session")).body).toMatchObject({
      ...{ status: 410, errno: "ESRCH", reason: "deleted" },
    });
    const again = await service.session(namespace, { cpus: 2 });
    expect(again.id).toBe(session.id + 1);
    expect((await again.post("/v1/maps", HASH)).body).toMatchObject({ fd: 3, id: 1 });
    expect((await again.get("/v1/fs?path=/")).body.entries).toEqual([]);
    expect(await isListed(namespace)).toBe(true);
    expect((await session.get("/v1/session")).body.reason).toBe("deleted");
    expect(await get(namespace)).toMatchObject({ sessions: 1, maps: 1, progs: 0, inodes: 0 });
  });

  it("keeps the counter of sessions for a day, and for good once it is used again", async () => {
    const namespace = service.namespace();
    await service.session(namespace);
    await remove(namespace);
    const meta = `bpf:{${namespace}}:meta`;
    expect(await redis.hgetall(meta)).toEqual({
      ...{ layout: "deleted", session: "1", generation: "1" },
    });
    expect(await redis.pttl(meta)).toBeGreaterThan(DAY - 60_000);
    expect(await redis.pttl(meta)).toBeLessThanOrEqual(DAY);
    await service.session(namespace);
    expect(await redis.pttl(meta)).toBe(-1);
  });

  it("frees circles that the end of their sessions leaves, as Linux leaves them", async () => {
    const namespace = service.namespace();
    const session = await service.session(namespace);
    const devmap = await make(session, "/v1/maps", DEVMAP);
    const prog = await make(session, "/v1/progs", {
      prog_type: "xdp",
      expected_attach_type: XDP_DEVMAP,
      insns: naming([devmap]),
    });
    const value = Buffer.alloc(8);
    value.writeUInt32LE(1);
    value.writeInt32LE(prog, 4);
    await put(session, `/v1/fds/${devmap}/elements/u32:0`, { value: value.toString("hex") });
    await session.del("/v1/session");
    await kernel.sweep(namespace);
    expect(await get(namespace)).toMatchObject({ sessions: 0, maps: 1, progs: 1 });
    expect(await remove(namespace)).toBeUndefined();
    expect(await left(namespace)).toEqual([]);
  });

  it("every count is right after each of its steps, in a wide and in a deep tree", async () => {
    const namespace = service.namespace();
    const sessions = await Promise.all(
      Array.from({ length: 40 }, () => service.session(namespace)),
    );
    const [first = await service.session(namespace)] = sessions;
    for (const name of ["a", "b", "c"]) await fill(first, name, 130);
    let path = "";
    for (let depth = 0; depth < 30; depth++) {
      path += "/d";
      await put(first, at(path), { type: "directory" });
      await put(first, at(`${path}/p`), { type: "pin", fd: 3 });
    }
    const send = async (session: TestSession) => {
      const fd = await make(session, "/v1/maps", HASH);
      await session.post(`/v1/fds/${fd}/send`, { session: first.id });
    };
    await Promise.all(sessions.map(send));
    await mark(namespace);
    expect(await finish(namespace)).toBeGreaterThan(2);
    expect(await left(namespace)).toEqual([]);
  });
});

describe("a deletion that lost an item of its work to a fault", () => {
  it("ends sessions and empties the tree in a second round", async () => {
    const namespace = service.namespace();
    await fill(await service.session(namespace), "d", 3);
    // Neither end_sessions nor prune is left.
    await redis.hset(`bpf:{${namespace}}:meta`, "layout", "deleting");
    await redis.rpush(`bpf:{${namespace}}:work`, "forget 0");
    await finish(namespace);
    expect(await left(namespace)).toEqual([]);
  });

  it("stays while objects are left, resets no counter, and ends when it is repeated", async () => {
    const namespace = service.namespace();
    const session = await service.session(namespace);
    const fd = await make(session, "/v1/maps", HASH);
    const dup = () => session.post(`/v1/fds/${fd}/dup`);
    await Promise.all(Array.from({ length: 400 }, dup));
    await mark(namespace);
    const work = `bpf:{${namespace}}:work`;
    const lost = (await redis.lrange(work, 0, -1)).find((item) => item.startsWith("exit ")) ?? "";
    expect(await redis.lrem(work, 1, lost)).toBe(1);
    while ((await kernel.sweep(namespace)).workLeft);
    expect(await get(namespace)).toMatchObject({ deleting: true, sessions: 0, maps: 1 });
    expect(await redis.hget(`bpf:{${namespace}}:meta`, "map")).toBe("1");
    const create = await new Client(service.base).post("/v1/sessions", { namespace });
    expect([create.status, create.body.errno]).toEqual([409, "EBUSY"]);
    await redis.rpush(work, lost);
    while ((await kernel.sweep(namespace)).workLeft);
    expect(await remove(namespace)).toBeUndefined();
    expect(await left(namespace)).toEqual([]);
  });
});

describe("a namespace that is being deleted", () => {
  it("answers 410 to its sessions, 409 to a new one, and tells its state", async () => {
    const namespace = service.namespace();
    const sessions = await Promise.all(
      Array.from({ length: 100 }, () => service.session(namespace)),
    );
    await mark(namespace);
    expect(await get(namespace)).toMatchObject({ deleting: true });
    const statuses = new Set();
    for (const session of sessions) {
      const { status, body } = await session.post("/v1/maps", HASH);
      statuses.add(`${status} ${body.reason}`);
    }
    expect([...statuses]).toEqual(["410 deleted"]);
    const create = await new Client(service.base).post("/v1/sessions", { namespace });
    expect([create.status, create.body.errno]).toEqual([409, "EBUSY"]);
    await finish(namespace);
    expect((await new Client(service.base).post("/v1/sessions", { namespace })).status).toBe(201);
  });

  it("goes on in another replica when the one that began it ends", async () => {
    const namespace = service.namespace();
    const session = await service.session(namespace);
    for (const name of ["a", "b"]) await fill(session, name, 130);
    const [first, second] = [0, 1].map(() =>
      createKernel(inject("redisUrl"), Buffer.alloc(32, 7), { deadline: DEADLINE_MS }),
    );
    if (!first || !second) throw new Error("no replicas");
    await Promise.all([first.script.ready(), second.script.ready()]);
    const errors: unknown[] = [];
    const sweepers = [first, second].map((one) => new Sweeper(one, (error) => errors.push(error)));
    // The first registers the namespace and marks it, and ends before its next step.
    await first.registry.register(namespace, 1000);
    await first.script.run(namespace, "namespace_delete", ["", "", "", ""], []);
    await sweepers[0]?.stop();
    first.disconnect();
    sweepers[1]?.start();
    await expect.poll(() => left(namespace)).toEqual([]);
    await expect.poll(() => isListed(namespace)).toBe(false);
    await sweepers[1]?.stop();
    second.disconnect();
    expect(errors).toEqual([]);
  });

  it("two deletions at once are one, and a repeat by its key deletes nothing new", async () => {
    const namespace = service.namespace();
    const session = await service.session(namespace);
    await fill(session, "d", 100);
    const call = { ...callOf(namespace), record: "key::once", fingerprint: "f" };
    const answers = [kernel.namespaceDelete(call), remove(namespace), remove(namespace)];
    const outcomes = await Promise.allSettled(answers);
    for (const outcome of outcomes) {
      const result = outcome.status === "fulfilled" ? outcome.value : outcome.reason.code;
      expect([undefined, "ENOENT"]).toContain(result);
    }
    expect(outcomes[0]).toEqual({ status: "fulfilled", value: undefined });
    expect(await left(namespace)).toEqual([]);
    const again = await service.session(namespace);
    await again.post("/v1/maps", HASH);
    expect(await kernel.namespaceDelete(call)).toBeUndefined();
    expect(await get(namespace)).toMatchObject({ deleting: false, sessions: 1, maps: 1 });
  });

  it("a session made meanwhile is either refused, ended, or in the new namespace", async () => {
    const namespace = service.namespace();
    for (let round = 0; round < 5; round++) {
      const session = await service.session(namespace);
      await fill(session, "d", 60);
      let isDone = false;
      const made: TestSession[] = [];
      const creators = Array.from({ length: 8 }, async () => {
        while (!isDone) {
          const body = { namespace, ttl_ms: 3_600_000 };
          const answer = await new Client(service.base).post("/v1/sessions", body);
          expect([201, 409]).toContain(answer.status);
          if (answer.status === 201) made.push(session.as(answer.body));
        }
      });
      await remove(namespace);
      isDone = true;
      await Promise.all(creators);
      const states = await Promise.all(made.map((one) => one.get("/v1/session")));
      const alive = states.filter(({ status }) => status === 200).length;
      for (const { status, body } of states) {
        if (status !== 200) expect([status, body.reason]).toEqual([410, "deleted"]);
      }
      expect(await differences(redis, namespace)).toEqual([]);
      if (alive > 0) {
        expect(await get(namespace)).toMatchObject({ deleting: false, sessions: alive, maps: 0 });
        expect(await isListed(namespace)).toBe(true);
        await remove(namespace);
      }
      expect(await isListed(namespace)).toBe(false);
    }
  });

  it("has a layout that versions from before deletions refuse", async () => {
    const namespace = service.namespace();
    await service.session(namespace);
    await mark(namespace);
    const meta = `bpf:{${namespace}}:meta`;
    expect(await redis.hget(meta, "layout")).toBe("deleting");
    await finish(namespace);
    expect(await redis.hget(meta, "layout")).toBe("deleted");
  });
});
