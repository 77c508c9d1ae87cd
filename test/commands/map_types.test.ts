import { describe, expect, it } from "vitest";
import { attributes, MapFixture, makeMapFixture, outcome } from "../support/map_fixture.ts";
import { KINDS, type MapKind } from "../support/map_types.ts";
import { testService } from "../support/service.ts";

/** One suite for every map type; map_types.ts lists how the types differ. */

const service = await testService();
const FLAGS = [0, 1, 2, 3, 4] as const;
const has = (kind: MapKind) => kind.lookup.present === "ok";
const dumps = (kind: MapKind) => kind.dump === "ok";
const byKey = (a: { key: string }, b: { key: string }) => (a.key < b.key ? -1 : 1);

/** Elements 0 to 3 by every read of the map's type. */
async function contents(map: MapFixture) {
  const { entries } = await map.info();
  const found = [];
  for (let n = 0; n < 4; n++) found.push((await map.lookup(n)).body.value);
  return { entries, found, dump: (await map.dump()).body.elements };
}

describe.each(KINDS.map((kind) => [kind.map_type, kind] as const))("%s", (_type, kind) => {
  it("map_create accepts right attributes and rejects wrong ones", async () => {
    const { session, objects, id, cpus } = await makeMapFixture(service, kind);
    const create = (changes: object) =>
      session.post("/v1/maps", attributes(kind, objects, { map_name: "m", ...changes }));
    const { map_type, key_size, value_size, max_entries, adds = 0 } = kind;
    const map_flags = kind.map_flags | adds;
    const creation = { id, map_type, key_size, value_size, max_entries, map_flags };
    const counts = { evictions: 0, failed_updates: 0, revision: 0, frozen: false };
    const info = (await session.get(`/v1/maps/${id}`)).body;
    expect(info).toMatchObject({ ...creation, ...counts });
    expect(info.entries).toBe(kind.walk === "indices" && !kind.holds ? max_entries : 0);
    expect(info.cpus).toBe(kind.percpu ? cpus : undefined);
    for (const [changes, errno] of kind.refused) {
      expect(outcome(await create(changes)), JSON.stringify(changes)).toBe(errno);
    }
    for (const changes of kind.taken) {
      const { status, body } = await create(changes);
      expect(status, JSON.stringify([changes, body])).toBe(201);
      const made = { ...changes, map_flags: (changes.map_flags ?? kind.map_flags) | adds };
      expect(await session.get(`/v1/fds/${body.fd}`)).toMatchObject({ body: made });
    }
    expect((await create({})).body.id, "a refused map takes no id").toBe(
      id + kind.taken.length + 1,
    );
  });

  it("an update obeys its flags for present, absent and excess elements", async () => {
    for (const flags of FLAGS) {
      const map = await makeMapFixture(service, kind);
      const { fresh, present, beyond } = kind.update;
      const said = `flags ${flags}`;
      expect(outcome(await map.update(0, flags)), `fresh, ${said}`).toBe(fresh[flags]);
      expect(outcome(await map.lookup(0))).toBe(fresh[flags] === "ok" ? "ok" : kind.lookup.fresh);
      if (!has(kind)) continue;
      await map.update(0);
      expect(outcome(await map.update(0, flags, 1)), `present, ${said}`).toBe(present[flags]);
      if (kind.keyed) {
        const now = present[flags] === "ok" ? 1 : 0;
        expect((await map.lookup(0)).body.value).toEqual(map.jsonValue(now));
      }
      await map.fill();
      const over = kind.max_entries;
      expect(outcome(await map.update(over, flags)), `beyond, ${said}`).toBe(beyond[flags]);
    }
  });

  it("lookup, delete and take answer as the type does", async () => {
    const map = await makeMapFixture(service, kind);
    const over = kind.max_entries;
    expect(outcome(await map.lookup(0))).toBe(kind.lookup.fresh);
    expect(outcome(await map.lookup(over))).toBe(kind.lookup.beyond);
    expect(outcome(await map.delete(0))).toBe(kind.delete.fresh);
    expect(outcome(await map.delete(over))).toBe(kind.delete.beyond);
    expect(outcome(await map.take(0))).toBe(kind.take.fresh);
    if (!has(kind)) return;
    await map.fill(2);
    expect((await map.lookup(0)).body.value).toEqual(
      map.jsonValue(kind.map_type === "stack" ? 1 : 0),
    );
    expect(outcome(await map.delete(0))).toBe(kind.delete.present);
    if (kind.delete.present === "ok") {
      expect(outcome(await map.lookup(0))).toBe(kind.lookup.fresh);
      expect(outcome(await map.delete(0))).toBe(kind.delete.fresh);
    }
    const taken = await map.take(1);
    expect(outcome(taken)).toBe(kind.take.present);
    if (kind.take.present !== "ok") return;
    expect(taken.body.value).toEqual(map.jsonValue(kind.map_type === "queue" ? 0 : 1));
    if (!kind.keyed) await map.take(0);
    expect(outcome(await map.take(1))).toBe(kind.take.fresh);
    expect((await map.info()).entries).toBe(0);
  });

  it("keys and values of another size, missing or unexpected, are rejected", async () => {
    const map = await makeMapFixture(service, kind);
    const { session, path } = map;
    const value = map.value(0);
    const put = (key: string, given: unknown) =>
      session.put(`${path}/elements/${key}`, { value: given });
    const key = map.key(0);
    const wrong = kind.keyed ? [`${key}00`, key.slice(2)] : ["00000000"];
    for (const other of wrong) {
      expect(outcome(await put(other, value))).toBe("EINVAL");
      expect(outcome(await session.get(`${path}/elements/${other}`))).toBe("EINVAL");
      expect(outcome(await session.del(`${path}/elements/${other}`))).toBe("EINVAL");
      expect(outcome(await session.post(`${path}/elements/${other}/take`))).toBe("EINVAL");
      expect(outcome(await map.next(other))).toBe("EINVAL");
    }
    const none = kind.keyed ? "EFAULT" : kind.update.fresh[0];
    expect(outcome(await put("hex:", value))).toBe(none);
    if (kind.keyed) {
      expect(outcome(await session.get(`${path}/peek`))).toBe("EFAULT");
      expect(outcome(await session.post(`${path}/pop`))).toBe("EFAULT");
      expect(outcome(await session.post(`${path}/push`, { value }))).toBe("EFAULT");
    }
    const long = Buffer.alloc(map.valueBytes + 1).toString("hex");
    expect(outcome(await put(key || "hex:", long))).toBe("EINVAL");
    if (map.valueBytes > 0) {
      expect(outcome(await put(key || "hex:", long.slice(4)))).toBe("EINVAL");
    }
  });

  it("next-key walks all keys and starts over at an absent key", async () => {
    const map = await makeMapFixture(service, kind);
    if (kind.walk !== "keys" && kind.walk !== "indices") {
      expect(outcome(await map.next())).toBe(kind.walk);
      return;
    }
    const all = (count: number) => Array.from({ length: count }, (_, n) => map.key(n)).sort();
    const there = (count: number) => all(kind.walk === "indices" ? kind.max_entries : count);
    expect((await map.walk()).sort()).toEqual(there(0));
    if (has(kind)) await map.fill(3);
    const keys = await map.walk();
    expect([...keys].sort()).toEqual(there(3));
    const first = (await map.next()).body.key;
    expect(first).toBe(keys[0]);
    expect((await map.next(map.key(1000))).body.key).toBe(first);
    expect(outcome(await map.next(keys.at(-1)))).toBe("ENOENT");
    if (outcome(await map.delete(1)) === "ok" && kind.walk === "keys") {
      expect((await map.next(map.key(1))).body.key, "after a deleted key").toBe(
        (await map.next()).body.key,
      );
      expect((await map.walk()).sort()).toEqual([map.key(0), map.key(2)].sort());
    }
    for (const key of await map.walk()) await map.delete(all(9).indexOf(key));
    expect((await map.walk()).sort()).toEqual(there(0));
  });

  it("a map is dumped by pages and as a snapshot", async () => {
    const map = await makeMapFixture(service, kind);
    expect(outcome(await map.dump())).toBe(kind.dump);
    expect(outcome(await map.dump("snapshot=true"))).toBe(kind.dump);
    if (!dumps(kind)) return;
    await map.fill(3);
    const whole = (await map.dump()).body.elements;
    const wanted = [0, 1, 2].map((n) => ({ key: map.key(n), value: map.jsonValue(n) }));
    const zeros = [{ key: map.key(3), value: "00".repeat(map.valueBytes) }];
    if (kind.walk === "indices" && !kind.holds) wanted.push(...zeros);
    expect(kind.keyed ? [...whole].sort(byKey) : whole).toEqual(wanted);
    const snapshot = (await map.dump("snapshot=true")).body;
    expect(snapshot).toEqual({ elements: whole, revision: (await map.info()).revision });
    for (const limit of [1, 2]) {
      const pages = [];
      for (let cursor = ""; ; ) {
        const { body } = await map.dump(`limit=${limit}${cursor}`);
        expect(body.elements.length).toBeLessThanOrEqual(limit);
        pages.push(...body.elements);
        if (body.next_cursor === undefined) break;
        cursor = `&cursor=${body.next_cursor}`;
      }
      expect(pages).toEqual(whole);
    }
    expect(outcome(await map.dump("cursor=00"))).toBe("EINVAL");
  });

  it("a frozen map is readable and never writable again", async () => {
    const map = await makeMapFixture(service, kind);
    if (has(kind)) await map.fill(2);
    const before = await contents(map);
    const { session, path } = map;
    expect(outcome(await session.post(`${path}/freeze`))).toBe("ok");
    expect(outcome(await session.post(`${path}/freeze`))).toBe("EPERM");
    const again = await session.post("/v1/fds", { map_id: map.id });
    for (const frozen of [map, map.behind(again.body.fd)]) {
      for (const flags of [0, 3]) {
        expect(outcome(await frozen.update(0, flags))).toBe("EPERM");
      }
      expect(outcome(await frozen.update(0, 4))).toBe("EPERM");
      expect(outcome(await frozen.delete(0))).toBe("EPERM");
      expect(outcome(await frozen.take(0))).toBe("EPERM");
      for (const op of ["update", "delete", "lookup_and_delete"]) {
        const answer = await frozen.batch({ op, keys: [map.key(0)], values: [map.value(0)] });
        expect(outcome(answer)).toBe("EPERM");
      }
      expect(await contents(frozen)).toEqual(before);
    }
    expect(await map.info()).toMatchObject({ frozen: true });
  });

  it("a read-only or write-only fd gives no more access than that", async () => {
    const map = await makeMapFixture(service, kind);
    const { session } = map;
    if (has(kind)) await map.fill(2);
    const open = async (open_flags: number) =>
      map.behind((await session.post("/v1/fds", { map_id: map.id, open_flags })).body.fd);
    const [reads, writes] = [await open(8), await open(16)];
    const before = await contents(map);
    const body = { keys: [map.key(0)], values: [map.value(0)] };
    for (const wrong of [
      () => reads.update(0),
      () => reads.delete(0),
      () => reads.take(0),
      () => reads.batch({ op: "update", ...body }),
      () => reads.batch({ op: "delete", ...body }),
      () => reads.batch({ op: "lookup_and_delete" }),
      () => session.post(`${reads.path}/freeze`),
      () => writes.lookup(0),
      () => writes.take(0),
      () => writes.next(),
      () => writes.dump(),
      () => writes.dump("snapshot=true"),
      () => writes.batch({ op: "lookup" }),
      () => writes.batch({ op: "lookup_and_delete" }),
    ]) {
      expect(outcome(await wrong()), String(wrong)).toBe("EPERM");
    }
    expect(await contents(map)).toEqual(before);
    expect(await contents(reads)).toEqual(before);
    expect(outcome(await writes.update(0))).toBe(kind.update.present[0]);
    expect(outcome(await writes.delete(0))).toBe(kind.delete.present);
    expect(outcome(await session.post(`${writes.path}/freeze`))).toBe("ok");
  });

  it("a pinned map keeps its elements, and another session opens it", async () => {
    const map = await makeMapFixture(service, kind);
    if (has(kind)) await map.fill(3);
    const before = await contents(map);
    const { namespace } = (await map.session.get("/v1/session")).body;
    await map.session.put("/v1/fs?path=/m", { type: "pin", fd: map.fd });
    expect((await map.session.del("/v1/session")).status).toBe(204);
    const other = await service.session(namespace);
    const { fd, id } = (await other.post("/v1/fds", { path: "/m" })).body;
    expect(id).toBe(map.id);
    expect(await contents(map.behind(fd, other))).toEqual(before);
  });

  it("a map without users keeps what its type keeps while a program holds it", async () => {
    const map = await makeMapFixture(service, kind);
    if (has(kind)) await map.fill(3);
    await map.hold();
    const before = await contents(map);
    const { revision } = await map.info();
    await map.session.del(map.path);
    const { fd } = (await map.session.post("/v1/fds", { map_id: map.id })).body;
    const after = await contents(map.behind(fd));
    if (!kind.flushed) return expect(after).toEqual(before);
    expect(after).toEqual({
      entries: 0,
      found: [undefined, undefined, undefined, undefined],
      dump: [],
    });
    expect((await map.behind(fd).info()).revision).toBeGreaterThan(revision);
  });

  it("a freed map leaves nothing behind", async () => {
    const other = await makeMapFixture(service, kind);
    const { session, objects } = other;
    const { namespace } = (await session.get("/v1/session")).body;
    const keys = async () =>
      (await service.kernel.script.redis.keys(`bpf:{${namespace}}:*`)).sort();
    const before = await keys();
    const { body } = await session.post("/v1/maps", attributes(kind, objects));
    const map = new MapFixture(session, kind, body, 2, objects);
    if (has(kind)) await map.fill();
    if (kind.evicts) await map.update(kind.max_entries, kind.keyed ? 0 : 2);
    expect((await keys()).length).toBeGreaterThan(before.length);
    await session.del(map.path);
    while ((await service.kernel.sweep(namespace)).workLeft);
    expect(await keys()).toEqual(before);
    for (const { id } of objects) {
      const { refcnt } = (await session.get(`/v1/${kind.holds}s/${id}`)).body;
      expect(refcnt, "its slots hold nothing any more").toBe(1);
    }
  });

  it("a map counts entries, evictions, failed updates and revisions", async () => {
    const map = await makeMapFixture(service, kind);
    const over = kind.max_entries;
    if (!has(kind)) {
      await map.update(0);
      expect(await map.info()).toMatchObject({ entries: 0, failed_updates: 0, revision: 0 });
      return;
    }
    await map.fill();
    expect(await map.info()).toMatchObject({ entries: over, evictions: 0, revision: over });
    const refused = await map.update(over);
    const full = ["E2BIG", "ENOSPC"].includes(outcome(refused)) && kind.walk !== "indices";
    expect(await map.info()).toMatchObject({ failed_updates: full ? 1 : 0 });
    expect(await map.update(0, 3)).toMatchObject({ body: { errno: "EINVAL" } });
    expect(await map.info()).toMatchObject({ failed_updates: full ? 1 : 0 });
    if (kind.evicts === "oldest") expect(outcome(await map.update(over, 2))).toBe("ok");
    const { evictions, revision, entries } = await map.info();
    expect(evictions).toBe(kind.evicts ? 1 : 0);
    expect(entries).toBe(kind.map_type === "bloom_filter" ? over + 1 : over);
    expect(revision).toBeGreaterThanOrEqual(over + (outcome(refused) === "ok" ? 1 : 0));
  });

  it("a batch processes as many elements as it can and reports how many", async () => {
    const map = await makeMapFixture(service, kind);
    const { batch } = kind;
    const some = (...ns: number[]) => ({
      keys: ns.map((n) => map.key(n) || "hex:"),
      values: ns.map((n) => map.value(n)),
    });
    const batchOutcome = async (op: keyof typeof batch, body: object) => {
      const answer = await map.batch({ op, ...body });
      return [outcome(answer), answer.body.count];
    };
    for (const op of ["update", "delete", "lookup", "lookup_and_delete"] as const) {
      if (batch[op] === "ok") continue;
      expect(await batchOutcome(op, { ...some(0, 1), count: 2 })).toEqual([batch[op], 2]);
      expect(await batchOutcome(op, { ...some(0), count: 0 })).toEqual([batch[op], 0]);
      expect(await batchOutcome(op, { ...some(0), elem_flags: 1 })).toEqual([
        batch[op],
        expect.anything(),
      ]);
    }
    if (batch.update !== "ok") return;
    expect(await batchOutcome("update", { ...some(0, 1, 2), count: 2 })).toEqual(["ok", 2]);
    expect(await batchOutcome("update", { ...some(2), count: 0 })).toEqual(["ok", 0]);
    for (const elem_flags of [1, 2, 4, 8]) {
      expect(await batchOutcome("update", { ...some(0, 1), elem_flags })).toEqual(["EINVAL", 2]);
    }
    const over = [3, 2, kind.max_entries, 0];
    const failing = kind.evicts ? ["ok", 4] : [kind.update.beyond[0], 2];
    expect(await batchOutcome("update", some(...over))).toEqual(failing);
    const { entries } = await map.info();
    expect(entries).toBe(4);
    const { status, body } = await map.batch({ op: "lookup", count: 9 });
    expect([status, body.errno, body.count]).toEqual([404, "ENOENT", 4]);
    const dump = (await map.dump()).body.elements;
    const rows = body.keys.map((key: string, i: number) => ({ key, value: body.values[i] }));
    expect(rows).toEqual(dump);
    // A hash table gives ENOENT with its last bucket, the others only for a request beyond the end.
    const whole = batch.lookup_and_delete === "ok";
    expect(await batchOutcome("lookup", { count: 4 })).toEqual([whole ? "ENOENT" : "ok", 4]);
    expect(await batchOutcome("lookup", { count: 4, flags: 1 })).toEqual([
      whole ? "EINVAL" : "ok",
      4,
    ]);
    expect(await batchOutcome("lookup", { count: 0 })).toEqual(["ok", 0]);
    const half = await map.batch({ op: "lookup", count: 2 });
    expect(half.body).toMatchObject({
      count: 2,
      keys: rows.slice(0, 2).map(({ key }: { key: string }) => key),
    });
    const rest = await map.batch({ op: "lookup", count: 9, cursor: half.body.cursor });
    expect(rest.body).toMatchObject({
      count: 2,
      keys: rows.slice(2).map(({ key }: { key: string }) => key),
    });
    if (batch.delete === "ok") {
      const [first, second] = rows.map(({ key }: { key: string }) => key);
      const { revision } = await map.info();
      expect(await batchOutcome("delete", { keys: [first, map.key(99), second] })).toEqual([
        "ENOENT",
        1,
      ]);
      expect(await map.info()).toMatchObject({ entries: 3 });
      expect((await map.info()).revision).toBeGreaterThan(revision);
    }
    if (whole) {
      const taken = await map.batch({ op: "lookup_and_delete", count: 9 });
      expect(taken.body).toMatchObject({ errno: "ENOENT", count: 3 });
      expect(taken.body.keys).toEqual(rows.slice(1).map(({ key }: { key: string }) => key));
      expect(await map.info()).toMatchObject({ entries: 0 });
      expect(await batchOutcome("lookup_and_delete", { count: 9 })).toEqual(["ENOENT", 0]);
    }
  });
});
