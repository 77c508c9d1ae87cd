import { afterEach, describe, expect, it, vi } from "vitest";
import { u32Hex } from "../support/bytes.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { batch, info, keysOf, make, numbers, outcomeAndCount } from "../support/map_batches.ts";
import { outcome } from "../support/map_fixture.ts";
import { type TestReply, testService } from "../support/service.ts";

/** The batch commands: many elements in one request, and the count when one of them fails. */

const service = await testService();
const MANY = 10_000;
const OCTETS = { accept: "application/octet-stream" };

afterEach(() => {
  vi.restoreAllMocks();
});

const { script } = service.kernel;
const run = script.run.bind(script);

describe("batches of 10,000 elements", () => {
  it("10,000 elements go in as JSON and come back in one request and by pages", async () => {
    const map = await make(service, "hash");
    const keys = keysOf(MANY);
    const values = keysOf(MANY, 7);
    expect((await batch(map, { op: "update", keys, values })).body).toEqual({ count: MANY });
    expect(await info(map)).toMatchObject({ entries: MANY });
    const wanted = new Map(keys.map((key, i) => [key, values[i]]));
    const read = (await batch(map, { op: "lookup", count: MANY + 1 })).body;
    expect([read.errno, read.count]).toEqual(["ENOENT", MANY]);
    expect(new Map(read.keys.map((key: string, i: number) => [key, read.values[i]]))).toEqual(
      wanted,
    );
    const paged: string[] = [];
    let cursor: string | undefined;
    for (let count = 0; count < MANY; ) {
      const { body } = await batch(map, { op: "lookup", count: 1999, cursor });
      count += body.count;
      paged.push(...body.keys);
      cursor = body.cursor;
      expect(body.errno).toBe(count === MANY ? "ENOENT" : undefined);
    }
    expect(paged).toEqual(read.keys);
    expect((await batch(map, { op: "delete", keys })).body).toEqual({ count: MANY });
    expect(await info(map)).toMatchObject({ entries: 0 });
  });

  const TYPES: [type: string, key: (n: number) => string, more: object][] = [
    ["hash", u32Hex, {}],
    ["percpu_hash", u32Hex, { value_size: 8 }],
    ["lru_hash", u32Hex, { max_entries: 2 * MANY }],
    ["array", u32Hex, {}],
    ["lpm_trie", (n) => u32Hex(32) + u32Hex(n), { key_size: 8, map_flags: 1 }],
  ];

  it.each(TYPES)(
    "10,000 elements of a %s go in and come back as octets",
    async (type, key, more) => {
      const map = await make(service, type, more);
      const { session, path } = map;
      const bytes = type === "percpu_hash" ? 16 : 4;
      const value = (n: number) => Buffer.alloc(bytes, u32Hex(n + 1), "hex").toString("hex");
      const body = Buffer.from(
        numbers(MANY)
          .map((n) => key(n) + value(n))
          .join(""),
        "hex",
      );
      const update = await session.post(`${path}/batch?op=update&count=${MANY}`, body);
      expect(update.body).toEqual({ count: MANY });
      const read = await batch(map, { op: "lookup", count: MANY + 1 }, OCTETS);
      const { headers } = read;
      expect([headers.get("bpf-count"), headers.get("bpf-errno")]).toEqual([
        String(MANY),
        "ENOENT",
      ]);
      const size = body.length / MANY;
      const rows = (octets: Buffer) =>
        numbers(MANY).map((n) => octets.toString("hex", n * size, (n + 1) * size));
      expect(rows(read.body).sort()).toEqual(rows(body).sort());
      const half = await batch(map, { op: "lookup", count: MANY / 2 }, OCTETS);
      expect(half.status).toBe(200);
      const cursor = half.headers.get("bpf-cursor");
      const rest = await batch(map, { op: "lookup", count: MANY, cursor }, OCTETS);
      expect(Buffer.concat([half.body, rest.body])).toEqual(read.body);
      if (type === "array") return;
      const some = Buffer.from(numbers(MANY).map(key).join(""), "hex");
      const deleted = await session.post(`${path}/batch?op=delete&count=${MANY}`, some);
      expect(deleted.body).toEqual({ count: MANY });
      expect(await info(map)).toMatchObject({ entries: 0 });
    },
    60_000,
  );

  it("a batch takes many steps of few elements, and fewer when elements are big", async () => {
    const sizes: number[] = [];
    vi.spyOn(script, "run").mockImplementation(async (...args) => {
      const answer = await run(...args);
      const bytes = (word: unknown) => (Buffer.isBuffer(word) ? word.length : 0);
      if (/_batch$/.test(args[1])) {
        sizes.push(Math.max(...[...args, ...answer.values].map(bytes)));
      }
      return answer;
    });
    const map = await make(service, "hash");
    await batch(map, { op: "update", keys: keysOf(MANY), values: keysOf(MANY) });
    expect(sizes.length).toBeGreaterThanOrEqual(10);
    const big = await make(service, "array", { value_size: 65536, max_entries: 64 });
    sizes.splice(0);
    const read = await batch(big, { op: "lookup", count: 64 }, OCTETS);
    expect(read.body.length).toBe(64 * (4 + 65536));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(262_144 + 65_540);
    sizes.splice(0);
    const value = Buffer.alloc(65536, 1);
    const elements = numbers(16).flatMap((n) => [Buffer.from(u32Hex(n), "hex"), value]);
    const path = `${big.path}/batch?op=update&count=16`;
    await big.session.post(path, Buffer.concat(elements));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(262_144 + 65_540);
    expect(sizes.length).toBeGreaterThanOrEqual(4);
  });

  it("an answer of big elements ends before its limit, and the cursor continues", async () => {
    const map = await make(service, "array", { value_size: 1 << 20, max_entries: 48 });
    const seen: number[] = [];
    let cursor: string | null | undefined;
    for (;;) {
      const request = { op: "lookup", count: 48, ...(cursor ? { cursor } : {}) };
      const { status, body, headers } = await batch(map, request, OCTETS);
      expect(body.length).toBeLessThanOrEqual(33 << 20);
      const size = 4 + (1 << 20);
      for (let at = 0; at < body.length; at += size) seen.push(body.readUInt32LE(at));
      cursor = headers.get("bpf-cursor") ?? cursor;
      if (status === 404) break;
    }
    expect(seen).toEqual(numbers(48));
  });
});

describe("count, when a batch fails", () => {
  it("count is the number of elements done before the one that fails", async () => {
    const map = await make(service, "hash", { max_entries: 600 });
    const update = await batch(map, { op: "update", keys: keysOf(700), values: keysOf(700) });
    expect(outcomeAndCount(update)).toEqual(["E2BIG", 600]);
    expect(await info(map)).toMatchObject({ entries: 600, failed_updates: 1 });
    const keys = [...keysOf(550), u32Hex(9999), u32Hex(560)];
    expect(outcomeAndCount(await batch(map, { op: "delete", keys }))).toEqual(["ENOENT", 550]);
    expect(await info(map)).toMatchObject({ entries: 50 });
    const one = { op: "delete", keys: [u32Hex(9999)] };
    expect(outcomeAndCount(await batch(map, one))).toEqual(["ENOENT", 0]);
  });

  it.each(["hash", "lru_hash", "array"])(
    "a batch of a %s with fewer elements than count is EFAULT after them",
    async (type) => {
      const map = await make(service, type, { max_entries: 1200 });
      const keys = keysOf(2);
      const few = await batch(map, { op: "update", keys, values: keysOf(2, 5), count: 5 });
      expect(outcomeAndCount(few)).toEqual(["EFAULT", 2]);
      expect((await map.session.get(`${map.path}/elements/u32:1`)).body.value).toBe(u32Hex(6));
      const values = await batch(map, { op: "update", keys, values: keysOf(1, 9), count: 2 });
      expect(outcomeAndCount(values)).toEqual(["EFAULT", 1]);
      expect((await map.session.get(`${map.path}/elements/u32:0`)).body.value).toBe(u32Hex(9));
      const none = await batch(map, { op: "update", count: 2 });
      expect(outcomeAndCount(none)).toEqual(["EFAULT", 0]);
      const more = { op: "update", keys: keysOf(600), values: keysOf(600), count: 601 };
      expect(outcomeAndCount(await batch(map, more))).toEqual(["EFAULT", 600]);
      const gone = await batch(map, { op: "delete", keys, count: 3 });
      expect(outcomeAndCount(gone)).toEqual(type === "array" ? ["ENOTSUPP", 3] : ["EFAULT", 2]);
    },
  );

  it("count stays as sent when the kernel rejects before the elements", async () => {
    const map = await make(service, "hash");
    const { session } = map;
    const at = (fd: number) => ({ ...map, path: `/v1/fds/${fd}` });
    const body = { op: "update", keys: keysOf(2), values: keysOf(2) };
    const open = async (open_flags: number) =>
      at((await session.post("/v1/fds", { map_id: map.id, open_flags })).body.fd);
    expect(outcomeAndCount(await batch(at(99), body))).toEqual(["EBADF", 2]);
    expect(outcomeAndCount(await batch(at(99), { ...body, count: 5 }))).toEqual(["EBADF", 5]);
    expect(outcomeAndCount(await batch(await open(8), { ...body, count: 5 }))).toEqual([
      "EPERM",
      5,
    ]);
    expect(outcomeAndCount(await batch(await open(16), { op: "lookup", count: 7 }))).toEqual([
      "EPERM",
      7,
    ]);
    expect(outcomeAndCount(await batch(map, { ...body, elem_flags: 4, count: 5 }))).toEqual([
      "EINVAL",
      5,
    ]);
    expect(outcomeAndCount(await batch(map, { op: "lookup", count: 3, flags: 4 }))).toEqual([
      "EINVAL",
      3,
    ]);
    const progs = await make(service, "prog_array", { max_entries: 4 });
    const slots = { op: "update", keys: keysOf(1), values: [{ fd: 0 }], count: 5 };
    expect(outcomeAndCount(await batch(progs, slots))).toEqual(["ENOTSUPP", 5]);
    expect(await info(map)).toMatchObject({ entries: 0, revision: 0 });
  });

  const TWICE: [type: string, more: object][] = [
    ["hash", {}],
    ["percpu_hash", { value_size: 2 }],
    ["lpm_trie", { key_size: 8, map_flags: 1 }],
  ];

  it.each(TWICE)(
    "a key twice in a batch of a %s takes one place and keeps the last value",
    async (type, more) => {
      const map = await make(service, type, { max_entries: 2, ...more });
      const key = (n: number) => (type === "lpm_trie" ? u32Hex(32) : "") + u32Hex(n);
      const value = (n: number) => (type === "percpu_hash" ? u32Hex(n).repeat(4) : u32Hex(n));
      const given = [1, 1, 2, 1, 3, 2];
      const body = { op: "update", keys: given.map(key), values: given.map((_, i) => value(i)) };
      const errno = type === "lpm_trie" ? "ENOSPC" : "E2BIG";
      expect(outcomeAndCount(await batch(map, body))).toEqual([errno, 4]);
      const { keys, values } = (await batch(map, { op: "lookup" })).body;
      expect([keys, values]).toEqual([
        [key(1), key(2)],
        [value(3), value(2)],
      ]);
    },
  );

  it("a batch with elements of another size is rejected whole", async () => {
    const map = await make(service, "hash");
    const { session, path } = map;
    const octets = (bytes: number, query: string) =>
      session.post(`${path}/batch?${query}`, Buffer.alloc(bytes, 1));
    for (const [bytes, query] of [
      [17, "op=update&count=2"],
      [12, "op=update&count=2"],
      [16, "op=update&count=3"],
      [16, "op=update&count=1"],
      [8, "op=delete&count=1"],
      [7, "op=delete&count=2"],
      [8, "op=update"],
      [8, "count=1"],
      [8, "op=update&count=4294967295"],
      [8, "op=lookup&count=1"],
    ] as const) {
      expect(outcome(await octets(bytes, query)), query).toBe("EINVAL");
    }
    for (const wrong of [
      { op: "update", keys: ["01"], values: ["00000000"] },
      { op: "update", keys: [u32Hex(1), "01"], values: keysOf(2) },
      { op: "update", keys: keysOf(2), values: [u32Hex(1), "0000000000"] },
      { op: "update", keys: ["0100000000"], values: ["000000"] },
      { op: "delete", keys: ["0100000000"] },
      { op: "lookup", cursor: "00" },
    ]) {
      expect(outcome(await batch(map, wrong)), JSON.stringify(wrong)).toBe("EINVAL");
    }
    expect(await info(map)).toMatchObject({ entries: 0, revision: 0 });
    expect((await octets(16, "op=update&count=2")).body).toEqual({ count: 2 });
  });
});

describe("end_as_success", () => {
  const asked = { op: "lookup", end_as_success: true };

  it.each(["hash", "array"])("a walk over an %s ends with end instead of ENOENT", async (type) => {
    const map = await make(service, type, { max_entries: 10 });
    const filled = { op: "update", keys: keysOf(10), values: keysOf(10) };
    expect((await batch(map, filled)).body).toEqual({ count: 10 });
    const seen: string[] = [];
    let last: TestReply["body"] = {};
    for (let n = 0; !last.end; n++) {
      expect(n, "batches").toBeLessThan(5);
      const { cursor } = last;
      const { status, body } = await batch(map, { ...asked, count: 4, cursor });
      expect(status, JSON.stringify(body)).toBe(200);
      seen.push(...body.keys);
      last = body;
    }
    expect(seen.sort()).toEqual(keysOf(10).sort());
    expect(last).not.toHaveProperty("cursor");
    expect((await batch(map, { op: "lookup", count: 11 })).status, "not asked").toBe(404);
  });

  it("an empty map ends at once, and a batch before the end has no end", async () => {
    const map = await make(service, "hash", { max_entries: 10 });
    const empty = await batch(map, asked);
    expect(empty.body).toEqual({ count: 0, keys: [], values: [], end: true });
    await batch(map, { op: "update", keys: keysOf(2), values: keysOf(2) });
    const { body } = await batch(map, { ...asked, count: 1 });
    expect(body).toMatchObject({ count: 1, cursor: body.keys[0] });
    expect(body).not.toHaveProperty("end");
    const taken = await batch(map, { ...asked, op: "lookup_and_delete" });
    expect(taken.body).toMatchObject({ count: 2, end: true });
  });

  it("bytes have the end in a header", async () => {
    const map = await make(service, "hash", { max_entries: 10 });
    await batch(map, { op: "update", keys: keysOf(2), values: keysOf(2) });
    const read = (body: object) => map.session.post(`${map.path}/batch/read-bytes`, body);
    const part = await read({ ...asked, count: 1 });
    expect([part.status, part.headers.get("bpf-end")]).toEqual([200, null]);
    const { status, headers } = await read(asked);
    expect(status).toBe(200);
    const names = ["bpf-count", "bpf-end", "bpf-cursor", "bpf-errno"];
    expect(names.map((name) => headers.get(name))).toEqual(["2", "true", null, null]);
  });

  it("other failures stay what they are", async () => {
    const map = await make(service, "hash", { max_entries: 10 });
    const wrong = await batch(map, { ...asked, flags: 1 });
    expect(outcome(wrong)).toBe("EINVAL");
    expect(outcome(await map.session.post("/v1/fds/99/batch", asked))).toBe("EBADF");
  });
});

describe("fds in batches", () => {
  const INNER = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 1 };

  async function outer(map_type: string) {
    const session = await service.session(service.namespace());
    const inner: { fd: number; id: number }[] = [];
    for (let n = 0; n < 3; n++) inner.push((await session.post("/v1/maps", INNER)).body);
    const sizes = { key_size: 4, value_size: 4, max_entries: 4, inner_map_fd: inner[0]?.fd };
    const { fd, id } = (await session.post("/v1/maps", { map_type, ...sizes })).body;
    const refs = async () =>
      Promise.all(inner.map(async (map) => (await session.get(`/v1/maps/${map.id}`)).body.refcnt));
    return { session, id, path: `/v1/fds/${fd}`, inner, refs };
  }

  it.each(["array_of_maps", "hash_of_maps"])(
    "batches of %s write fds and read ids",
    async (type) => {
      const map = await outer(type);
      const [a, b, c] = map.inner;
      const values = [{ fd: a?.fd }, { fd: b?.fd }, { fd: a?.fd }];
      expect(outcomeAndCount(await batch(map, { op: "update", keys: keysOf(3), values }))).toEqual([
        "ok",
        3,
      ]);
      expect(await map.refs()).toEqual([3, 2, 1]);
      const read = (await batch(map, { op: "lookup", count: 9 })).body;
      expect(read).toMatchObject({ errno: "ENOENT", count: 3, keys: keysOf(3) });
      expect(read.values).toEqual([{ id: a?.id }, { id: b?.id }, { id: a?.id }]);
      const octets = await batch(map, { op: "lookup", count: 9 }, OCTETS);
      const pairs = [a, b, a].map((held, n) => u32Hex(n) + u32Hex(held?.id ?? 0));
      expect(octets.body.toString("hex")).toBe(pairs.join(""));
      const body = Buffer.from(
        u32Hex(0) + u32Hex(c?.fd ?? 0) + u32Hex(3) + u32Hex(c?.fd ?? 0),
        "hex",
      );
      const written = await map.session.post(`${map.path}/batch?op=update&count=2`, body);
      expect(written.body).toEqual({ count: 2 });
      expect(await map.refs()).toEqual([2, 2, 3]);
    },
  );

  it.each(["array_of_maps", "hash_of_maps"])(
    "a wrong fd stops a batch of %s, and the elements done stay referenced",
    async (type) => {
      const map = await outer(type);
      const [a] = map.inner;
      const other = (await map.session.post("/v1/maps", { ...INNER, key_size: 8 })).body;
      for (const [wrong, errno] of [
        [{ fd: 99 }, "EBADF"],
        [{ fd: 1 }, "EINVAL"],
        [{ fd: other.fd }, "EINVAL"],
      ] as const) {
        const values = [{ fd: a?.fd }, wrong, { fd: a?.fd }];
        expect(
          outcomeAndCount(await batch(map, { op: "update", keys: keysOf(3), values })),
        ).toEqual([errno, 1]);
        expect(await map.refs()).toEqual([2, 1, 1]);
      }
      await map.session.del(`${map.path}/elements/u32:0`);
      expect(await map.refs()).toEqual([1, 1, 1]);
    },
  );

  it("a batch delete in a hash_of_maps puts inner maps and frees the last reference", async () => {
    const map = await outer("hash_of_maps");
    const values = map.inner.map(({ fd }) => ({ fd }));
    await batch(map, { op: "update", keys: keysOf(3), values });
    for (const { fd } of map.inner) await map.session.del(`/v1/fds/${fd}`);
    expect(await map.refs()).toEqual([1, 1, 1]);
    expect(outcomeAndCount(await batch(map, { op: "delete", keys: keysOf(1) }))).toEqual(["ok", 1]);
    expect(await map.refs()).toEqual([undefined, 1, 1]);
    const taken = (await batch(map, { op: "lookup_and_delete", count: 9 })).body;
    expect(taken.values).toEqual(map.inner.slice(1).map(({ id }) => ({ id })));
    expect(await map.refs()).toEqual([undefined, undefined, undefined]);
  });

  it("a batch of an array_of_maps leaves out empty slots, however many", async () => {
    const map = await outer("array_of_maps");
    const wide = {
      map_type: "array_of_maps",
      key_size: 4,
      value_size: 4,
      max_entries: 2 ** 32 - 1,
    };
    const inner_map_fd = map.inner[0]?.fd;
    const { fd } = (await map.session.post("/v1/maps", { ...wide, inner_map_fd })).body;
    const far = { ...map, path: `/v1/fds/${fd}` };
    const keys = [u32Hex(9), u32Hex(2 ** 32 - 2)];
    const values = keys.map(() => ({ fd: inner_map_fd }));
    expect(outcomeAndCount(await batch(far, { op: "update", keys, values }))).toEqual(["ok", 2]);
    let steps = 0;
    vi.spyOn(script, "run").mockImplementation((...args) => {
      steps += 1;
      if (steps > 50) throw new Error("too many steps");
      return run(...args);
    });
    const read = await batch(far, { op: "lookup", count: 9 });
    expect(read.body).toMatchObject({ errno: "ENOENT", count: 2, keys });
  });

  it("a prog_array has no batch operations", async () => {
    const map = await make(service, "prog_array", { max_entries: 4 });
    const { fd } = (await map.session.post("/v1/progs", { insns: RETURN_ZERO_HEX })).body;
    for (const op of ["lookup", "lookup_and_delete", "update", "delete"]) {
      const answer = await batch(map, { op, keys: keysOf(1), values: [{ fd }], count: 1 });
      expect(outcomeAndCount(answer), op).toEqual(["ENOTSUPP", 1]);
    }
  });
});
