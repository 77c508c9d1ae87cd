import { describe, expect, it } from "vitest";
import { u32Hex } from "../support/bytes.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { makeMapFixture, outcome } from "../support/map_fixture.ts";
import { KINDS, type MapKind } from "../support/map_types.ts";
import { testService } from "../support/service.ts";

/** Extensions of Linux: If-Match, revisions, snapshots, and the CPUs of a namespace. */

const service = await testService();

const KEYED = KINDS.filter((kind) => kind.keyed && kind.lookup.present === "ok");

describe.each(KEYED.map((kind) => [kind.map_type, kind] as const))(
  "If-Match on %s",
  (_type, kind) => {
    const when = (tags: string) => ({ "if-match": tags });

    it("a change with If-Match goes ahead only when a tag matches", async () => {
      const map = await makeMapFixture(service, kind);
      await map.fill(1);
      const tag = async () => (await map.lookup(0)).headers.get("etag") ?? "";
      const revision = async () => Number((await map.lookup(0)).headers.get("bpf-map-revision"));
      const first = await tag();
      const fits = await map.update(0, 0, 1, when(first));
      expect(fits.status).toBe(204);
      expect(Number(fits.headers.get("bpf-map-revision"))).toBe(await revision());
      const now = await revision();
      for (const stale of [first, '"r0"', `"r${now + 1}"`, `"00", ${first}`, '"x"']) {
        const answer = await map.update(0, 0, 2, when(stale));
        expect([answer.status, answer.body.errno], stale).toEqual([412, "ESTALE"]);
        expect(outcome(await map.delete(0, when(stale)))).toBe("ESTALE");
      }
      expect((await map.lookup(0)).body.value).toEqual(map.jsonValue(1));
      expect(await revision()).toBe(now);
      expect(outcome(await map.update(0, 0, 2, when(`"r${now}"`)))).toBe("ok");
      expect(outcome(await map.update(0, 0, 3, when(`"r${now}"`)))).toBe("ESTALE");
      expect(outcome(await map.update(0, 0, 3, when(`"00" , ${await tag()},"r0"`)))).toBe("ok");
      expect(outcome(await map.update(0, 0, 4, when("*")))).toBe("ok");
      expect((await map.lookup(0)).body.value).toEqual(map.jsonValue(4));
      expect(outcome(await map.delete(0, when(await tag())))).toBe(kind.delete.present);
    });

    it('If-Match "*" needs an element, a revision does not', async () => {
      const map = await makeMapFixture(service, kind);
      const there = kind.lookup.fresh === "ok";
      expect(outcome(await map.update(0, 0, 0, when("*")))).toBe(there ? "ok" : "ESTALE");
      const { revision } = await map.info();
      expect(outcome(await map.update(1, 0, 1, when(`"r${revision}"`)))).toBe("ok");
      expect((await map.lookup(1)).body.value).toEqual(map.jsonValue(1));
    });

    it("If-None-Match: * creates an element and never replaces one", async () => {
      const map = await makeMapFixture(service, kind);
      const isThere = kind.lookup.fresh === "ok";
      const create = { "if-none-match": "*" };
      expect(outcome(await map.update(0, 0, 0, create))).toBe(isThere ? "ESTALE" : "ok");
      expect(outcome(await map.update(0, 0, 1))).toBe("ok");
      const { revision } = await map.info();
      const again = await map.update(0, 0, 2, create);
      expect([again.status, again.body.errno]).toEqual([412, "ESTALE"]);
      const both = { ...create, ...when(`"r${revision}"`) };
      expect(outcome(await map.update(0, 0, 2, both))).toBe("ESTALE");
      expect((await map.lookup(0)).body.value).toEqual(map.jsonValue(1));
      if (isThere) return;
      expect(outcome(await map.update(1, 0, 2, { ...create, ...when('"r0"') }))).toBe("ESTALE");
      expect(outcome(await map.update(1, 0, 2, both))).toBe("ok");
    });

    it("an If-Match that is not a tag is rejected", async () => {
      const map = await makeMapFixture(service, kind);
      await map.fill(1);
      for (const wrong of ["r1", '"', 'W/"00"', '"0" "1"', '"a b"', '"0";"1"']) {
        const { status, body } = await map.update(0, 0, 1, when(wrong));
        expect([status, body.type], wrong).toEqual([400, "/docs/errors/malformed"]);
        expect((await map.delete(0, when(wrong))).status).toBe(400);
      }
      expect((await map.lookup(0)).body.value).toEqual(map.jsonValue(0));
    });
  },
);

const PERCPU = KINDS.filter(({ percpu }) => percpu).flatMap((kind) =>
  [1, 2, 5].map((cpus) => [kind.map_type, cpus, kind] as const),
);

it.each(PERCPU)(
  "a %s with %i CPUs has a value for each, rounded up to 8",
  async (_type, cpus, kind) => {
    const map = await makeMapFixture(service, kind, { cpus, changes: { value_size: 5 } });
    const { session } = map;
    expect((await session.get("/v1/session")).body.cpus).toBe(cpus);
    expect(await map.info()).toMatchObject({ cpus, value_size: 5 });
    const values = Array.from({ length: cpus }, (_, n) => `${u32Hex(n + 1)}0000000${n}`).join("");
    const put = (value: string) => session.put(map.element(0), { value });
    expect((await put(values)).status).toBe(204);
    expect((await map.lookup(0)).body.value).toBe(values);
    expect(outcome(await put(values.slice(0, 10)))).toBe("EINVAL");
    expect(outcome(await put(`${values}0000000000000000`))).toBe("EINVAL");
    const dump = (await map.dump("limit=1")).body.elements;
    expect(dump).toEqual([{ key: map.key(0), value: values }]);
    const read = await map.batch({ op: "lookup", count: 1 });
    expect(read.body.values).toEqual([values]);
    const octets = Buffer.from(map.key(1) + values, "hex");
    expect(octets.length).toBe(4 + 8 * cpus);
    const written = await session.post(`${map.path}/batch?op=update&count=1`, octets);
    expect(written.body).toEqual({ count: 1 });
    expect((await map.lookup(1)).body.value).toBe(values);
  },
);

it("the first session of a namespace sets its CPUs for good", async () => {
  const namespace = service.namespace();
  await service.session(namespace, { cpus: 5 });
  expect((await (await service.session(namespace)).get("/v1/session")).body.cpus).toBe(5);
  await expect(service.session(namespace, { cpus: 2 })).rejects.toThrow(/EINVAL/);
});

it("If-Match finds a prefix by itself, not by a shorter one that holds it", async () => {
  const session = await service.session(service.namespace());
  const sizes = { key_size: 8, value_size: 4, max_entries: 4, map_flags: 1 };
  const { fd } = (await session.post("/v1/maps", { map_type: "lpm_trie", ...sizes })).body;
  const at = (prefix: string) => `/v1/fds/${fd}/elements/${prefix}`;
  const [wide, narrow] = [at("u32:16+ip4:10.1.0.0"), at("u32:24+ip4:10.1.2.0")];
  await session.put(wide, { value: "01000000" });
  const { etag = "" } = Object.fromEntries((await session.get(narrow)).headers);
  for (const tags of ["*", etag]) {
    const answer = await session.put(narrow, { value: "02000000" }, { "if-match": tags });
    expect(outcome(answer), tags).toBe("ESTALE");
  }
  expect((await session.put(wide, { value: "02000000" }, { "if-match": etag })).status).toBe(204);
});

it("a snapshot of few slots far apart has all of them", async () => {
  const session = await service.session(service.namespace());
  const sizes = { key_size: 4, value_size: 4, max_entries: 2 ** 32 - 1 };
  const { fd } = (await session.post("/v1/maps", { map_type: "prog_array", ...sizes })).body;
  const prog = (await session.post("/v1/progs", { insns: RETURN_ZERO_HEX })).body;
  const slots = [0, 3999, 4000, 1_000_000, 2 ** 32 - 2];
  for (const slot of slots) {
    await session.put(`/v1/fds/${fd}/elements/u32:${slot}`, { value: { fd: prog.fd } });
  }
  const { body } = await session.get(`/v1/fds/${fd}/elements?snapshot=true`);
  expect(body.elements).toEqual(slots.map((n) => ({ key: u32Hex(n), value: { id: prog.id } })));
});

it("a snapshot has at most 4,096 elements and 256 KiB", async () => {
  const session = await service.session(service.namespace());
  const make = async (attr: object) => {
    const sizes = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 5000 };
    return `/v1/fds/${(await session.post("/v1/maps", { ...sizes, ...attr })).body.fd}`;
  };
  const few = await make({});
  const keys = Array.from({ length: 4097 }, (_, n) => u32Hex(n));
  const put = (some: string[]) =>
    session.post(`${few}/batch`, { op: "update", keys: some, values: some });
  await put(keys.slice(0, 4096));
  const { elements } = (await session.get(`${few}/elements?snapshot=true`)).body;
  expect(elements.length).toBe(4096);
  await put(keys.slice(4096));
  const refused = await session.get(`${few}/elements?snapshot=true`);
  expect([refused.status, refused.body.errno]).toEqual([413, "EFBIG"]);
  const big = await make({ map_type: "array", value_size: 65536, max_entries: 4 });
  expect(outcome(await session.get(`${big}/elements?snapshot=true`))).toBe("EFBIG");
  const first = (await session.get(`${big}/elements?limit=1000`)).body;
  expect(first.elements.length).toBe(3);
  const rest = (await session.get(`${big}/elements?limit=1000&cursor=${first.next_cursor}`)).body;
  expect(rest.elements.map(({ key }: { key: string }) => key)).toEqual([u32Hex(3)]);
  const filter = await make({ map_type: "bloom_filter", key_size: 0, value_size: 300_000 });
  await session.post(`${filter}/push`, { value: "00".repeat(300_000) });
  expect(outcome(await session.get(`${filter}/elements?snapshot=true`))).toBe("EOPNOTSUPP");
});

it("a failed update of an LRU map that evicts makes a new revision", async () => {
  const kind = KINDS.find(({ map_type }) => map_type === "lru_hash") as MapKind;
  const map = await makeMapFixture(service, kind);
  await map.fill();
  const { revision } = await map.info();
  expect(outcome(await map.update(99, 2))).toBe("ENOENT");
  const info = await map.info();
  expect(info).toMatchObject({ entries: 3, evictions: 1 });
  expect(info.revision).toBeGreaterThan(revision);
});

it.each(["queue", "stack", "bloom_filter"])(
  "a push into a %s returns the revision",
  async (type) => {
    const map = await makeMapFixture(
      service,
      KINDS.find(({ map_type }) => map_type === type) as MapKind,
    );
    const pushed = await map.update(0);
    expect(pushed.headers.get("bpf-map-revision")).toBe(String((await map.info()).revision));
  },
);
