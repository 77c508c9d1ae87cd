import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { u32Hex } from "../support/bytes.ts";
import { callOf, create, SEED } from "../support/map_fixture.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Errors of Bloom filters, memory of arrays, references of inner maps. */

const service = await testService();
const { kernel } = service;
process.stdout.write(`contents: MAP_SEED=${SEED}\n`);

describe("a Bloom filter", () => {
  /** The rate that the number of bits leads to, as the kernel chooses it. */
  function rate(entries: number, hashes: number): number {
    const wanted = Math.floor((entries * hashes) / 5) * 7;
    const bits = Math.max(64, 2 ** Math.ceil(Math.log2(Math.max(1, wanted))));
    return (1 - Math.exp((-hashes * entries) / bits)) ** hashes;
  }

  /** Values that were not pushed; `salt` makes filters of the same size differ. */
  async function measure(
    session: TestSession,
    entries: number,
    hashes: number,
    lookups: number,
    salt = 0,
  ) {
    const attr = { map_type: "bloom_filter", key_size: 0, value_size: 8, map_extra: hashes };
    const fd = await create(session, { ...attr, max_entries: entries });
    const call = callOf(service, session);
    const value = (n: number) => Buffer.from(u32Hex(n) + u32Hex(hashes + 100 * salt), "hex");
    const none = Buffer.alloc(0);
    const peek = (n: number) =>
      kernel.mapLookupElem(call, fd, none, { flags: 0, value: value(n) }).then(
        () => true,
        ({ code }: { code: string }) => {
          expect(code).toBe("ENOENT");
          return false;
        },
      );
    for (let n = 0; n < entries; n++) {
      await kernel.mapUpdateElem(call, fd, { key: none, value: value(n) }, 0, "");
    }
    /** The number of these values that the filter may hold, looked up some at a time. */
    const found = async (first: number, count: number) => {
      let seen = 0;
      for (let at = 0; at < count; at += 100) {
        const some = Array.from({ length: Math.min(100, count - at) }, (_, n) => first + at + n);
        seen += (await Promise.all(some.map(peek))).filter(Boolean).length;
      }
      return seen;
    };
    expect(await found(0, entries), "no false negatives").toBe(entries);
    const wrong = await found(1_000_000, lookups);
    await session.del(`/v1/fds/${fd}`);
    return wrong / lookups;
  }

  it.each([1, 3, 5, 10, 15])(
    "a Bloom filter with %i hash functions errs as rarely as its size allows",
    async (hashes) => {
      const session = await service.session(service.namespace());
      const measured = await measure(session, 500, hashes, 3000);
      expect(measured).toBeLessThanOrEqual(1.5 * rate(500, hashes) + 0.003);
    },
  );

  it("a small Bloom filter errs as rarely as its size allows", async () => {
    const session = await service.session(service.namespace());
    for (const [entries, hashes] of [
      [4, 5],
      [8, 5],
      [10, 5],
      [8, 10],
    ] as const) {
      let sum = 0;
      for (let n = 0; n < 30; n++) sum += await measure(session, entries, hashes, 100, n);
      const mean = sum / 30;
      expect(mean, `${entries} by ${hashes}`).toBeLessThanOrEqual(
        1.5 * rate(entries, hashes) + 0.003,
      );
    }
  });
});

describe("memory of large arrays", () => {
  it.each(["array", "percpu_array"])(
    "a large %s costs memory only for what was written",
    async (map_type) => {
      const namespace = service.namespace();
      const session = await service.session(namespace);
      const value_size = map_type === "array" ? 1000 : 504;
      const fd = await create(session, { map_type, value_size, max_entries: 100_000 });
      const { redis } = kernel.script;
      const pages = () => redis.keys(`bpf:{${namespace}}:elem:*`);
      expect(await pages()).toEqual([]);
      const bytes = map_type === "array" ? 1000 : 1008;
      const value = "ab".repeat(bytes);
      const written = [0, 1, 50_000, 99_999];
      for (const n of written) {
        expect((await session.put(`/v1/fds/${fd}/elements/u32:${n}`, { value })).status).toBe(204);
      }
      const names = await pages();
      expect(names.length).toBe(3);
      const usage = await Promise.all(names.map((name) => redis.memory("USAGE", name)));
      const total = usage.reduce((sum: number, n) => sum + Number(n), 0);
      expect(total).toBeLessThan(3 * 100_000);
      for (const n of [2, 49_999, 50_001, 99_998]) {
        const { body } = await session.get(`/v1/fds/${fd}/elements/u32:${n}`);
        expect(body.value).toBe("00".repeat(bytes));
      }
      for (const n of written) {
        expect((await session.get(`/v1/fds/${fd}/elements/u32:${n}`)).body.value).toBe(value);
      }
      expect((await pages()).length).toBe(3);
      await session.del(`/v1/fds/${fd}`);
      while ((await kernel.sweep(namespace)).workLeft);
      expect(await pages()).toEqual([]);
    },
  );
});

describe("references of inner maps", () => {
  const INNER = { map_type: "hash", max_entries: 1 };
  const step = fc.record({
    op: fc.constantFrom("put", "put", "put", "delete", "close", "reopen"),
    slot: fc.nat(5),
    inner: fc.nat(2),
    flags: fc.constantFrom(0, 0, 0, 1, 2),
  });

  it.each(["array_of_maps", "hash_of_maps"])(
    "the inner maps of a %s are referenced by slots and fds",
    async (map_type) => {
      const session = await service.session(service.namespace());
      const isHash = map_type === "hash_of_maps";
      const property = fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 25 }),
        async (all) => {
          const template = await create(session, INNER);
          const outer = await create(session, { map_type, max_entries: 4, inner_map_fd: template });
          const inner: { fd: number; id: number; open: boolean }[] = [];
          for (let n = 0; n < 3; n++) {
            const fd = await create(session, INNER);
            inner.push({ fd, id: (await session.get(`/v1/fds/${fd}`)).body.id, open: true });
          }
          const slots = new Map<number, number>();
          const put = (slot: number, n: number, flags: number): string => {
            if (!isHash && flags > 0) return "EINVAL";
            if (!isHash && slot >= 4) return "E2BIG";
            if (!inner[n]?.open) return "EBADF";
            if (slots.has(slot) && flags === 1) return "EEXIST";
            if (!slots.has(slot) && flags === 2) return "ENOENT";
            if (!slots.has(slot) && slots.size === 4) return "E2BIG";
            slots.set(slot, n);
            return "ok";
          };
          const held = (n: number) => [...slots.values()].filter((value) => value === n).length;
          for (const { op, slot, inner: n, flags } of all) {
            const map = inner[n] as (typeof inner)[0];
            const element = `/v1/fds/${outer}/elements/u32:${slot}`;
            if (op === "put") {
              const fd = map.open ? map.fd : 999;
              const { status, body } = await session.put(element, { value: { fd }, flags });
              expect(status === 204 ? "ok" : body.errno).toBe(put(slot, n, flags));
            } else if (op === "delete") {
              const there = slots.delete(slot);
              const beyond = !isHash && slot >= 4 ? "E2BIG" : "ENOENT";
              const { status, body } = await session.del(element);
              expect(status === 204 ? "ok" : body.errno).toBe(there ? "ok" : beyond);
            } else if (op === "close" && map.open) {
              await session.del(`/v1/fds/${map.fd}`);
              map.open = false;
            } else if (op === "reopen" && !map.open) {
              const { status, body } = await session.post("/v1/fds", { map_id: map.id });
              expect(status).toBe(held(n) > 0 ? 201 : 404);
              if (status === 201) Object.assign(map, { fd: body.fd, open: true });
            }
            for (const [n, { id, open }] of inner.entries()) {
              const { refcnt, usercnt } = (await session.get(`/v1/maps/${id}`)).body;
              const wanted = held(n) + (open ? 1 : 0);
              expect([refcnt, usercnt]).toEqual(
                wanted ? [wanted, open ? 1 : 0] : [undefined, undefined],
              );
            }
          }
          for (const fd of [outer, template]) await session.del(`/v1/fds/${fd}`);
          for (const { fd, id, open } of inner) {
            expect((await session.get(`/v1/maps/${id}`)).body.refcnt).toBe(open ? 1 : undefined);
            if (open) await session.del(`/v1/fds/${fd}`);
          }
        },
      );
      await fc.assert(property, { seed: SEED, numRuns: 12 });
    },
  );

  it.each(["array_of_maps", "hash_of_maps"])(
    "a %s of 2,000 inner maps is freed in steps",
    async (map_type) => {
      const namespace = service.namespace();
      const session = await service.session(namespace);
      const inner = await create(session, INNER);
      const { id } = (await session.get(`/v1/fds/${inner}`)).body;
      const fd = await create(session, { map_type, max_entries: 2000, inner_map_fd: inner });
      const body = Buffer.from(
        Array.from({ length: 2000 }, (_, n) => u32Hex(n) + u32Hex(inner)).join(""),
        "hex",
      );
      const written = await session.post(`/v1/fds/${fd}/batch?op=update&count=2000`, body);
      expect(written.body).toEqual({ count: 2000 });
      const refcnt = async () => (await session.get(`/v1/maps/${id}`)).body.refcnt;
      expect(await refcnt()).toBe(2001);
      await session.del(`/v1/fds/${fd}`);
      const work = await kernel.script.redis.lrange(`bpf:{${namespace}}:work`, 0, -1);
      expect(work, "the rest is for later steps").toEqual([expect.stringMatching(/^put_slots /)]);
      expect(await refcnt(), "no answer shows it").toBe(1);
    },
  );
});
