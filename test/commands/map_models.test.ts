import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { u32Hex } from "../support/bytes.ts";
import { callOf, create, SEED } from "../support/map_fixture.ts";
import { LpmModel, lengthOf } from "../support/map_model/lpm.ts";
import { LruModel } from "../support/map_model/lru.ts";
import { ArrayModel, HashModel, QueueModel } from "../support/map_model/plain.ts";
import {
  type MapModel,
  type MapStep,
  playAll,
  steps,
  type Target,
} from "../support/map_model/step.ts";
import { randomBelow } from "../support/random.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Random calls on one map of each type answer as a naive model of it does. */

const OPS: MapStep["op"][] = ["update", "update", "update", "delete", "take", "lookup"];
const service = await testService();
const { kernel } = service;
process.stdout.write(`models: MAP_SEED=${SEED}\n`);

/** Plays the steps on both and compares answers, elements and counts. */
async function agree(
  session: TestSession,
  target: Target,
  model: MapModel,
  all: MapStep[],
): Promise<void> {
  const wanted = all.map((step) => model.apply(step));
  expect(await playAll(target, all)).toEqual(wanted);
  const { fd } = target;
  const found: string[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await session.get(`/v1/fds/${fd}/elements?limit=1000${cursor}`);
    for (const { key, value } of body.elements) found.push(`${key} ${value.slice(0, 8)}`);
    if (!body.next_cursor) break;
    cursor = `&cursor=${body.next_cursor}`;
  }
  const expected = [...model.elements].map(([key, value]) => `${target.key(key)} ${value}`);
  // Elements of a queue have an order; those with keys do not.
  const order = target.key(1) === "" ? (list: string[]) => list : (list: string[]) => list.sort();
  expect(order(found)).toEqual(order(expected));
  const { evictions, failed_updates, entries } = (await session.get(`/v1/fds/${fd}`)).body;
  expect([evictions, failed_updates, entries]).toEqual([
    model.evictions,
    model.failures,
    model.elements.size,
  ]);
}

interface ModelCase {
  attr: object;
  model: () => MapModel;
  keyless?: boolean;
  valueBytes?: number;
}

/** @param cases by the number of elements that fit. */
async function holds(
  cases: (max: number) => ModelCase,
  sizes: number[],
  ops: MapStep["op"][],
  runs: number,
) {
  const session = await service.session(service.namespace());
  const call = callOf(service, session);
  const property = fc.asyncProperty(
    fc
      .constantFrom(...sizes)
      .chain((max) => fc.tuple(fc.constant(max), steps(max + 1 + (max >> 1), ops, 160))),
    async ([max, all]) => {
      const { attr, model, keyless, valueBytes = 4 } = cases(max);
      const fd = await create(session, { ...attr, max_entries: max });
      const key = keyless ? () => "" : u32Hex;
      try {
        await agree(session, { kernel, call, fd, key, valueBytes }, model(), all);
      } finally {
        await session.del(`/v1/fds/${fd}`);
      }
    },
  );
  await fc.assert(property, { seed: SEED, numRuns: runs });
}

const sizes = (last: number) => Array.from({ length: last }, (_, n) => n + 1);

describe("random calls", () => {
  it.each([
    ["hash", 4],
    ["percpu_hash", 16],
  ] as const)("random calls on a %s agree with the model", async (map_type, valueBytes) => {
    const value_size = map_type === "hash" ? 4 : 8;
    const of = (max: number) => ({
      ...{ attr: { map_type, value_size }, valueBytes, model: () => new HashModel(max) },
    });
    await holds(of, sizes(12), OPS, 40);
  });

  it.each([
    ["array", 4],
    ["percpu_array", 16],
  ] as const)(
    "random calls on a %s agree with the model, per value",
    async (map_type, valueBytes) => {
      const value_size = map_type === "array" ? 4 : 8;
      const of = (max: number) => ({
        ...{ attr: { map_type, value_size }, valueBytes, model: () => new ArrayModel(max) },
      });
      await holds(of, sizes(12), OPS, 20);
    },
  );

  it.each(["queue", "stack"])(
    "random calls on a %s agree with the model, BPF_EXIST evicting the oldest",
    async (map_type) => {
      const of = (max: number) => ({
        ...{ attr: { map_type, key_size: 0 }, keyless: true },
        model: () => new QueueModel(max, map_type === "stack"),
      });
      await holds(of, sizes(8), OPS, 40);
    },
  );
});

describe("LRU maps", () => {
  const kinds = [
    ["lru_hash", 4],
    ["lru_percpu_hash", 16],
  ] as const;

  it.each(kinds)(
    "a %s of 1 to 16 elements evicts as Linux' lists do",
    async (map_type, valueBytes) => {
      const value_size = map_type === "lru_hash" ? 4 : 8;
      const of = (max: number) => ({
        ...{ attr: { map_type, value_size }, valueBytes },
        model: () => new LruModel(max, map_type === "lru_percpu_hash"),
      });
      await holds(of, sizes(16), [...OPS, "touch", "touch"], 80);
      await holds(of, sizes(16), ["update"], 25);
    },
  );

  it.each(kinds)("a %s of 600 elements evicts as Linux' lists do", async (map_type, valueBytes) => {
    const session = await service.session(service.namespace());
    const value_size = map_type === "lru_hash" ? 4 : 8;
    const fd = await create(session, { map_type, value_size, max_entries: 600 });
    const target = { kernel, call: callOf(service, session), fd, key: u32Hex, valueBytes };
    const model = new LruModel(600, map_type === "lru_percpu_hash");
    const [all = []] = fc.sample(
      steps(1100, [...Array(8).fill("update"), "touch", "touch", "delete"], 6000),
      {
        seed: SEED,
        numRuns: 1,
      },
    );
    const filled = Array.from({ length: 900 }, (_, n) => u32Hex(n));
    const values = filled.map((key) => key.repeat(valueBytes / 4));
    const update = { op: "update", keys: filled, values };
    expect((await session.post(`/v1/fds/${fd}/batch`, update)).body).toEqual({ count: 900 });
    for (const [key, value] of filled.entries()) {
      model.apply({ op: "update", key, value, flags: 0 });
    }
    const take = { op: "lookup_and_delete", count: 100 };
    const { keys } = (await session.post(`/v1/fds/${fd}/batch`, take)).body;
    for (const key of keys) {
      const gone = { op: "delete", key: filled.indexOf(key), value: "", flags: 0 } as const;
      expect(model.apply(gone)).toBe("ok");
    }
    await agree(session, target, model, all);
    expect(model.evictions).toBeGreaterThan(100);
  });

  it("an LRU map with 1 and 5 CPUs frees as many elements at once as Linux", async () => {
    for (const cpus of [1, 5]) {
      const session = await service.session(service.namespace(), { cpus });
      const call = callOf(service, session);
      for (const max of [1, 9, 16, 40]) {
        const fd = await create(session, { map_type: "lru_hash", max_entries: max });
        const [all = []] = fc.sample(steps(2 * max + 1, ["update"], 200), {
          seed: SEED,
          numRuns: 1,
        });
        const target = { kernel, call, fd, key: u32Hex, valueBytes: 4 };
        await agree(session, target, new LruModel(max, false, cpus), all);
      }
    }
  });

  it("touch=true counts as a program's lookup, other lookups do not", async () => {
    const session = await service.session(service.namespace());
    // u1 u2 p1 u3 u3: the element looked up by a program is active, so that 3 evicts itself.
    for (const [touch, left] of [
      ["?touch=true", [u32Hex(1), u32Hex(3)]],
      ["?touch=false", [u32Hex(3), u32Hex(3)]],
      ["", []],
    ] as const) {
      const fd = await create(session, { map_type: "lru_hash", max_entries: 2 });
      const put = (n: number) =>
        session.put(`/v1/fds/${fd}/elements/u32:${n}`, { value: u32Hex(n) });
      const model = new LruModel(2, false);
      const modelResult = (op: MapStep["op"], key: number) =>
        model.apply({ op, key, value: u32Hex(key), flags: 0 });
      for (const n of [1, 2])
        expect([(await put(n)).status, modelResult("update", n)]).toEqual([204, "ok"]);
      expect((await session.get(`/v1/fds/${fd}/elements/u32:1${touch}`)).body.value).toBe(
        modelResult(touch === "?touch=true" ? "touch" : "lookup", 1),
      );
      for (const n of [3, 3])
        expect([(await put(n)).status, modelResult("update", n)]).toEqual([204, "ok"]);
      const { elements } = (await session.get(`/v1/fds/${fd}/elements`)).body;
      const keys = elements.map(({ key }: { key: string }) => key);
      expect(keys).toEqual([...model.elements.keys()].sort().map(u32Hex));
      if (touch === "?touch=true") expect(keys).toEqual(left);
    }
  });
});

describe("longest prefixes", () => {
  const PREFIXES = 10_000;

  it.each([4, 16])(
    "10,000 random prefixes of %i bytes are found and walked as by a naive search",
    async (bytes) => {
      const random = randomBelow(SEED + bytes);
      const session = await service.session(service.namespace());
      const attr = {
        map_type: "lpm_trie",
        key_size: 4 + bytes,
        map_flags: 1,
        max_entries: PREFIXES,
      };
      const fd = await create(session, attr);
      const call = callOf(service, session);
      const model = new LpmModel();
      // Few different bytes, so that many prefixes hold each other.
      const key = (length: number) => {
        const data = Array.from({ length: bytes }, (_, i) =>
          i < bytes / 2 ? [0, 10, 128, 255][random(4)] : random(256),
        );
        return Buffer.from([...Buffer.from(u32Hex(length), "hex"), ...(data as number[])]);
      };
      while (model.prefixes.size < PREFIXES) {
        model.set({ key: key(random(8 * bytes + 1)), value: u32Hex(random(2 ** 31)) });
      }
      const all = [...model.prefixes.values()];
      const elements = Buffer.concat(
        all.map(({ key, value }) => Buffer.from(key.toString("hex") + value, "hex")),
      );
      const update = await session.post(
        `/v1/fds/${fd}/batch?op=update&count=${PREFIXES}`,
        elements,
      );
      expect(update.body).toEqual({ count: PREFIXES });

      const search = async (count: number) => {
        const wanted = Array.from({ length: count }, (_, n) =>
          key(n % 2 ? 8 * bytes : random(8 * bytes + 1)),
        );
        const found = await playAll(
          { kernel, call, fd, key: (n) => (wanted[n] as Buffer).toString("hex"), valueBytes: 4 },
          wanted.map((_, n) => ({ op: "lookup", key: n, value: "", flags: 0 })),
        );
        expect(found).toEqual(wanted.map((key) => model.lookup(key) ?? "ENOENT"));
        return found.filter((value) => value !== "ENOENT").length;
      };
      const walk = async () => {
        const read = await session.post(`/v1/fds/${fd}/batch`, {
          op: "lookup",
          count: PREFIXES + 1,
        });
        expect(read.body.keys).toEqual(model.walk());
      };
      expect(await search(1500)).toBeGreaterThan(100);
      await walk();

      const gone = all.filter(() => random(2) === 0).map(({ key }) => key);
      // The bits after a prefix are ignored.
      for (const key of gone)
        if (lengthOf(key) <= 8 * (bytes - 1)) key[key.length - 1] = random(256);
      const keys = gone.map((key) => key.toString("hex"));
      for (const key of gone) expect(model.delete(key)).toBe(true);
      const deleted = await session.post(`/v1/fds/${fd}/batch`, { op: "delete", keys });
      expect(deleted.body).toEqual({ count: gone.length });
      await search(500);
      await walk();
    },
    60_000,
  );
});
