import { afterEach, describe, expect, it, vi } from "vitest";
import { Unavailable } from "../../domain/errno.ts";
import { u32Hex } from "../support/bytes.ts";
import { batch, info, keysOf, make, numbers, outcomeAndCount } from "../support/map_batches.ts";
import { callOf } from "../support/map_fixture.ts";
import { testService } from "../support/service.ts";

/** Batches run in steps, between which requests are repeated and others change the map. */

const service = await testService();

afterEach(() => {
  vi.restoreAllMocks();
});

const { script } = service.kernel;
const run = script.run.bind(script);

/** Runs `act` ahead of the n-th script of a command. */
function ahead(command: string, n: number, act: () => Promise<unknown>): void {
  let seen = 0;
  vi.spyOn(script, "run").mockImplementation(async (...args) => {
    if (args[1] === command) {
      seen += 1;
      if (seen === n) await act();
    }
    return run(...args);
  });
}

/** The service decides how many elements a step has. */
function expectPart(count: number, all: number): void {
  expect(count).toBeGreaterThan(0);
  expect(count).toBeLessThan(all);
}

describe("a repeat with the same Idempotency-Key", () => {
  const once = (key: string) => ({ "idempotency-key": key });

  it("a repeat with the same Idempotency-Key changes nothing and answers the same", async () => {
    const map = await make(service, "hash", { max_entries: 1100 });
    const fill = { op: "update", keys: keysOf(1200), values: keysOf(1200) };
    const first = await batch(map, fill, once("fill"));
    expect(outcomeAndCount(first)).toEqual(["E2BIG", 1100]);
    await map.session.put(`${map.path}/elements/u32:3`, { value: "ffffffff" });
    const settled = await info(map);
    const again = await batch(map, fill, once("fill"));
    expect(outcomeAndCount(again)).toEqual(outcomeAndCount(first));
    expect(await info(map)).toEqual(settled);
    const take = { op: "lookup_and_delete", count: 1050 };
    const taken = await batch(map, take, once("take"));
    expect(taken.body.count).toBe(1050);
    expect((await batch(map, take, once("take"))).body).toEqual(taken.body);
    expect(await info(map)).toMatchObject({ entries: 50 });
    expect((await batch(map, fill, once("take"))).status).toBe(422);
  });

  it("a repeat of an interrupted batch continues where it stopped", async () => {
    const map = await make(service, "lru_hash", { max_entries: 2048 });
    const fill = { op: "update", keys: keysOf(1500), values: keysOf(1500) };
    ahead("map_update_batch", 3, async () => {
      throw new Error("the service dies");
    });
    const call = { ...callOf(service, map.session), record: "half", fingerprint: "f" };
    const elements = Buffer.from(fill.keys.map((key) => key + key).join(""), "hex");
    const batch = { elements, count: 1500, there: 1500, key_size: 4, elem_flags: 0 };
    const update = () =>
      service.kernel.mapUpdateBatch(call, Number(map.path.split("/").at(-1)), batch);
    await expect(update()).rejects.toThrow("the service dies");
    const broken = await info(map);
    expect(broken.revision).toBe(2);
    expectPart(broken.entries, 1500);
    let steps = 0;
    vi.spyOn(script, "run").mockImplementation((...args) => {
      steps += 1;
      return run(...args);
    });
    expect(await update()).toEqual({ count: 1500 });
    // Every step makes one revision; the first two are answered from their records.
    const revision = steps;
    expect(await info(map)).toMatchObject({ revision, entries: 1500 });
  });

  it("a repeat does not take an element of another request for its own", async () => {
    const map = await make(service, "hash");
    const body = { op: "update", keys: keysOf(1), values: keysOf(1) };
    expect((await batch(map, body, once("a"))).status).toBe(200);
    for (const key of ["a:1", "a:2", "a1", "1"]) {
      const put = await map.session.put(
        `${map.path}/elements/u32:5`,
        { value: u32Hex(5) },
        once(key),
      );
      expect(put.status, key).toBe(204);
    }
  });
});

describe("changes of others between two steps", () => {
  it("an fd closed midway gives EBADF and the count so far", async () => {
    const map = await make(service, "hash");
    const { fd } = (await map.session.post(`${map.path}/dup`)).body;
    ahead("map_update_batch", 2, () => map.session.del(map.path));
    const body = { op: "update", keys: keysOf(2000), values: keysOf(2000) };
    const { errno, count } = (await batch(map, body)).body;
    expect(errno).toBe("EBADF");
    expectPart(count, 2000);
    const other = { ...map, path: `/v1/fds/${fd}` };
    expect(await info(other)).toMatchObject({ entries: count });
    ahead("map_delete_batch", 2, () => map.session.post(`${other.path}/freeze`));
    const deleted = (await batch(other, { op: "delete", keys: keysOf(count) })).body;
    expect(deleted.errno).toBe("EPERM");
    expectPart(deleted.count, count);
    expect(await info(other)).toMatchObject({ entries: count - deleted.count });
  });

  it("a lookup_and_delete that fails midway still returns what it took", async () => {
    const map = await make(service, "hash");
    await batch(map, { op: "update", keys: keysOf(1500), values: keysOf(1500) });
    ahead("map_lookup_and_delete_batch", 3, () => map.session.post(`${map.path}/freeze`));
    const { body } = await batch(map, { op: "lookup_and_delete", count: 1500 });
    expectPart(body.count, 1500);
    expect(body.keys.length).toBe(body.count);
    const rest = (await batch(map, { op: "lookup", count: 1500 })).body;
    expect([...body.keys, ...rest.keys].sort()).toEqual(keysOf(1500).sort());
  });

  it("a session that ends midway gives 410, and the elements done stay done", async () => {
    const map = await make(service, "hash");
    const { namespace } = (await map.session.get("/v1/session")).body;
    const other = await service.session(namespace);
    const { fd } = (await other.post("/v1/fds", { map_id: map.id })).body;
    ahead("map_update_batch", 2, () => other.del(`/v1/sessions/${map.session.id}`));
    const body = { op: "update", keys: keysOf(2000), values: keysOf(2000) };
    expect((await batch(map, body)).status).toBe(410);
    const { entries } = await info({ ...map, session: other, path: `/v1/fds/${fd}` });
    expectPart(entries, 2000);
  });

  it("a read during inserts and deletes shows each stable element once", async () => {
    const map = await make(service, "hash");
    await batch(map, { op: "update", keys: keysOf(2000), values: keysOf(2000) });
    const even = numbers(1000).map((n) => u32Hex(2 * n + 1));
    ahead("map_lookup_batch", 2, async () => {
      await batch(map, { op: "delete", keys: even });
      await batch(map, { op: "update", keys: keysOf(500, 5000), values: keysOf(500) });
    });
    const { body } = await batch(map, { op: "lookup", count: 5000 });
    expect(new Set(body.keys).size).toBe(body.keys.length);
    expect(body.keys).toEqual(expect.arrayContaining(numbers(1000).map((n) => u32Hex(2 * n))));
  });
});

describe("the longest step of a batch", () => {
  /** How many scripts a command takes. */
  function countSteps(command: string): () => number {
    let steps = 0;
    vi.spyOn(script, "run").mockImplementation((...args) => {
      if (args[1] === command) steps += 1;
      return run(...args);
    });
    return () => steps;
  }

  it("an LRU map that evicts for each update takes at most 25 a step", async () => {
    const map = await make(service, "lru_hash", { max_entries: 3 });
    const steps = countSteps("map_update_batch");
    const body = { op: "update", keys: keysOf(500), values: keysOf(500) };
    expect(outcomeAndCount(await batch(map, body))).toEqual(["ok", 500]);
    expect(steps()).toBe(20);
  });

  it("a trie changes at most 100 prefixes and lists at most 400 a step", async () => {
    const map = await make(service, "lpm_trie", { key_size: 8, map_flags: 1, max_entries: 900 });
    const keys = numbers(900).map((n) => u32Hex(32) + u32Hex(n));
    const updates = countSteps("map_update_batch");
    await batch(map, { op: "update", keys, values: keysOf(900) });
    expect(updates()).toBe(9);
    vi.restoreAllMocks();
    const lookups = countSteps("map_lookup_batch");
    expect((await batch(map, { op: "lookup", count: 900 })).body.count).toBe(900);
    expect(lookups()).toBe(3);
    expect((await map.session.get(`${map.path}/elements?limit=1000`)).body.elements.length).toBe(
      400,
    );
  });
});

describe("a batch for which there is no room", () => {
  const enterRoom = () => Promise.reject(new Unavailable("no room"));
  const attr = { cursor: undefined, count: 8000, elem_flags: 0, flags: 0, enterRoom };
  const fdOf = ({ path }: { path: string }) => Number(path.split("/").at(-1));

  async function filled() {
    const map = await make(service, "hash", { max_entries: 8000, value_size: 64 });
    const values = keysOf(8000).map((key) => key.repeat(16));
    await batch(map, { op: "update", keys: keysOf(8000), values });
    return { map, call: callOf(service, map.session) };
  }

  it("a lookup is refused after its first step, when the size of its elements is known", async () => {
    const { map, call } = await filled();
    const sizes: unknown[] = [];
    const asks = (size: unknown) => Promise.resolve(void sizes.push(size));
    await service.kernel.mapLookupBatch(call, fdOf(map), { ...attr, enterRoom: asks });
    expect(sizes).toEqual([{ bytes: 8000 * 68, count: 8000 }]);
    const refusal = service.kernel.mapLookupBatch(call, fdOf(map), attr);
    await expect(refusal).rejects.toThrow("no room");
  });

  it("a lookup_and_delete ends early instead, and loses nothing", async () => {
    const { map, call } = await filled();
    const taken = await service.kernel.mapLookupAndDeleteBatch(call, fdOf(map), attr);
    expectPart(taken.count, 8000);
    expect(taken.cursor).toBeDefined();
    expect(taken.size).toBe(taken.count * 68);
    expect(await info(map)).toMatchObject({ entries: 8000 - taken.count });
  });
});
