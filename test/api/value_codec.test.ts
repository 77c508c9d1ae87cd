import { describe, expect, it } from "vitest";
import { type TestSession, testService } from "../support/service.ts";

/** `?format=` over every operation on elements: hex, base64, and JSON by the map's schema. */

const service = await testService();
const FLOW = "struct { __be32 addr; __be16 port; __u16 pad; }";
const STATS = "struct { __u64 packets, bytes; }";
const SIZES = { key_size: 8, value_size: 16, max_entries: 4 };
const SCHEMA = { key: FLOW, value: STATS };

async function make(attr: object): Promise<TestSession> {
  const session = await service.session(service.namespace());
  const made = await session.post("/v1/maps", attr);
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return session;
}

const flow = (addr: number) => ({ addr, port: 443, pad: 0 });
const at = (key: unknown) => encodeURIComponent(JSON.stringify(key));
const JSON_AT = (key: unknown) => `/v1/fds/3/elements/${at(key)}?format=json`;
const HEX = "0a00000101bb0000";

describe("JSON by a schema", () => {
  it("keys and values are JSON of their types, and the same bytes in hex", async () => {
    const session = await make({ map_type: "hash", ...SIZES, schema: SCHEMA });
    const value = { packets: 10, bytes: 1500 };
    expect((await session.put(JSON_AT(flow(0x0a000001)), { value })).status).toBe(204);
    expect((await session.get(JSON_AT(flow(0x0a000001)))).body).toEqual({
      key: flow(0x0a000001),
      value,
    });
    expect((await session.get(`/v1/fds/3/elements/${HEX}`)).body).toEqual({
      key: HEX,
      value: "0a00000000000000dc05000000000000",
    });
    const base64 = (await session.get(`/v1/fds/3/elements/${HEX}?format=base64`)).body;
    expect(base64).toEqual({ key: "CgAAAQG7AAA=", value: "CgAAAAAAAADcBQAAAAAAAA==" });
  });

  it("a key that is not JSON is a literal, and its error names the place", async () => {
    const session = await make({ map_type: "hash", ...SIZES, schema: SCHEMA });
    const path = "/v1/fds/3/elements/ip4:10.0.0.1%2Bbe16:443%2Bu16:0?format=json";
    await session.put(path, { value: { packets: 1, bytes: 2 } });
    expect((await session.get(path)).body.key).toEqual(flow(0x0a000001));
    const wrong = await session.get("/v1/fds/3/elements/ip4:10.0.0.1%2Bbe16:x?format=json");
    expect(wrong.status).toBe(400);
    expect(wrong.body.errors[0]).toMatchObject({ pointer: "/params/key" });
    expect(wrong.body.errors[0].detail).toMatch(/^at character 14, "be16:x"/);
  });

  it.each([
    [{ packets: 1 }, "/body/value", /bytes/],
    [{ packets: 1, bytes: -1 }, "/body/value/bytes", /./],
    [{ packets: 1, bytes: 2, more: 3 }, "/body/value/more", /./],
    [{ packets: "18446744073709551616", bytes: 0 }, "/body/value/packets", /./],
    ["0a", "/body/value", /./],
    [null, "/body/value", /./],
  ])("the value %j is rejected at %s", async (value, pointer, detail) => {
    const session = await make({ map_type: "hash", ...SIZES, schema: SCHEMA });
    const { status, body } = await session.put(JSON_AT(flow(1)), { value });
    expect([status, body.errno]).toEqual([400, "EINVAL"]);
    expect(body.errors[0].pointer).toBe(pointer);
    expect(body.errors[0].detail).toMatch(detail);
  });

  it("dumps, next keys, takes and batches use JSON too", async () => {
    const session = await make({ map_type: "hash", ...SIZES, schema: SCHEMA });
    const [one, two] = [1, 2].map((n) => ({ key: flow(n), value: { packets: n, bytes: 0 } }));
    const rows = [one, two] as { key: object; value: object }[];
    const batch = "/v1/fds/3/batch?format=json";
    const keys = rows.map(({ key }) => key);
    const values = rows.map(({ value }) => value);
    expect((await session.post(batch, { op: "update", keys, values })).body).toEqual({ count: 2 });
    const read = await session.post(batch, { op: "lookup", count: 9 });
    expect(read.body).toMatchObject({ errno: "ENOENT", count: 2, values });
    expect(read.body.keys).toEqual(keys);
    const { elements } = (await session.get("/v1/fds/3/elements?format=json")).body;
    expect(elements).toEqual(rows);
    const next = await session.get(`/v1/fds/3/next-key?format=json&key=${at(flow(1))}`);
    expect(next.body).toEqual({ key: flow(2) });
    const take = `/v1/fds/3/elements/${at(flow(2))}/take?format=json`;
    expect((await session.post(take)).body).toEqual(two);
  });

  it("a value of a per-CPU map is an array of values, one for each CPU", async () => {
    const schema = { value: "__u32" };
    const sizes = { key_size: 4, value_size: 4, max_entries: 2 };
    const session = await make({ map_type: "percpu_array", ...sizes, schema });
    const path = "/v1/fds/3/elements/u32:1";
    expect((await session.put(`${path}?format=json`, { value: [7, 8] })).status).toBe(204);
    expect((await session.get(path)).body.value).toBe("07000000000000000800000000000000");
    const { body } = await session.get(`${path}?format=json`);
    expect(body).toEqual({ key: "01000000", value: [7, 8] });
    const wrong = await session.put(`${path}?format=json`, { value: [7] });
    expect(wrong.body.errors[0].detail).toMatch(/^must be an array of 2 values/);
  });

  it("queues and Bloom filters take and give JSON", async () => {
    const schema = { value: "struct { int a; char b[4]; }" };
    const session = await make({ map_type: "queue", value_size: 8, max_entries: 2, schema });
    const filter = { map_type: "bloom_filter", value_size: 8, max_entries: 2, schema };
    await session.post("/v1/maps", filter);
    const value = { a: -1, b: "xy" };
    for (const fd of [3, 4]) await session.post(`/v1/fds/${fd}/push?format=json`, { value });
    expect((await session.get("/v1/fds/3/peek?format=json")).body).toEqual({ value });
    expect((await session.post("/v1/fds/3/pop?format=json")).body).toEqual({ value });
    const ask = (value: object) => session.get(`/v1/fds/4/peek?format=json&value=${at(value)}`);
    expect((await ask(value)).body).toEqual({ value });
    expect((await ask({ a: 0, b: "" })).body.errno).toBe("ENOENT");
  });

  it("the info of a map shows its schema to every session, lists do not", async () => {
    const session = await make({ map_type: "hash", ...SIZES, schema: SCHEMA });
    await session.put("/v1/fs?path=/m", { type: "pin", fd: 3 });
    await session.post("/v1/fds", { path: "/m" });
    expect((await session.get("/v1/fds/4")).body.schema.value).toMatchObject({ size: 16 });
    expect((await session.get("/v1/maps")).body.maps[0].schema).toBeUndefined();
    expect((await session.get("/v1/maps/1")).body.schema.key).toMatchObject({ size: 8 });
  });
});

describe("values that ?format= rejects", () => {
  it("hex without a prefix is rejected where a key is JSON, because hex can be JSON", async () => {
    const schema = { key: "__u32" };
    const session = await make({
      map_type: "hash",
      key_size: 4,
      value_size: 1,
      max_entries: 2,
      schema,
    });
    const at_ = (key: string) => `/v1/fds/3/elements/${key}?format=json`;
    const wrong = await session.put(at_("0a000000"), { value: "00" });
    expect(wrong.body.errors[0]).toMatchObject({ pointer: "/params/key" });
    expect(wrong.body.errors[0].detail).toMatch(/write hex as hex:/);
    for (const key of ["10", "hex:0a000000", "u32:10"]) {
      expect((await session.put(at_(key), { value: "00" })).status).toBe(204);
    }
    expect((await session.get("/v1/fds/3")).body.entries).toBe(1);
  });

  it("a missing body, flags in the query and unmet conditions are rejected", async () => {
    const session = await make({ map_type: "hash", key_size: 4, value_size: 1, max_entries: 2 });
    const path = "/v1/fds/3/elements/u32:1";
    const body = { value: "00" };
    expect((await session.put(path, body)).status).toBe(204);
    const ask = async (method: string, at: string, more?: object, headers = {}) => {
      const answer = await session.send(method, at, more, headers);
      return [answer.status, answer.body.errors?.[0].pointer];
    };
    expect(await ask("PUT", path)).toEqual([400, "/body"]);
    expect(await ask("PUT", `${path}?flags=1`, body)).toEqual([400, "/query/flags"]);
    const none = { "if-none-match": "*" };
    expect(await ask("PUT", path, body, none)).toEqual([412, undefined]);
    const stale = { "if-match": '"ff"' };
    const batch = { op: "delete", keys: ["u32:1"] };
    expect(await ask("POST", "/v1/fds/3/batch", batch, stale)).toEqual([400, "/headers/if-match"]);
    expect(await ask("POST", `${path}/take`, {}, stale)).toEqual([412, undefined]);
    expect(await ask("GET", path, undefined, none)).toEqual([200, undefined]);
  });

  it.each([
    [
      { key: "__u32" },
      "/body/schema/key",
      "the type must have the 8 bytes of key_size, got 4 bytes",
    ],
    [{ value: "struct nothing" }, "/body/schema/value", "nothing"],
    [{ value: "int [" }, "/body/schema/value", "line 1"],
    [{ btf: "AAAA", value: "int" }, "/body/schema/btf", ""],
    [{}, "/body/schema", "must describe the key"],
  ])("a map with the schema %j is rejected", async (schema, pointer, detail) => {
    const session = await service.session(service.namespace());
    const { status, body } = await session.post("/v1/maps", { map_type: "hash", ...SIZES, schema });
    expect([status, body.errno]).toEqual([400, "EINVAL"]);
    expect(body.errors[0].pointer).toBe(pointer);
    expect(body.errors[0].detail).toContain(detail);
    expect((await session.get("/v1/maps")).body.maps).toEqual([]);
  });

  it("format=json is rejected for a map without a schema and for an fd of no map", async () => {
    const session = await make({ map_type: "hash", ...SIZES });
    const none = await session.get(JSON_AT(1));
    expect(none.body.errors).toEqual([
      { pointer: "/query/format", detail: "map 1 has no schema; use hex or base64" },
    ]);
    const closed = await session.get("/v1/fds/9/elements/00?format=json");
    expect([closed.status, closed.body.errno]).toEqual([404, "EBADF"]);
    await session.post("/v1/progs", { insns: "b700000000000000" + "9500000000000000" });
    expect((await session.get("/v1/fds/4/elements/00?format=json")).body.errno).toBe("EINVAL");
  });
});

const LITERALS: [literal: string, hex: string][] = [
  ...([
    ["u8:255", "ff"],
    ["u16:1", "0100"],
    ["u32:0xff", "ff000000"],
  ] as [string, string][]),
  ...([
    ["u64:1", "0100000000000000"],
    ["i8:-1", "ff"],
    ["i16:-2", "feff"],
  ] as [string, string][]),
  ...([
    ["i32:-1", "ffffffff"],
    ["i64:-1", "ffffffffffffffff"],
  ] as [string, string][]),
  ...([
    ["be16:443", "01bb"],
    ["be32:1", "00000001"],
  ] as [string, string][]),
  ...([
    ["be64:1", "0000000000000001"],
    ["ip4:10.0.0.1", "0a000001"],
  ] as [string, string][]),
  ["ip6:::1", "00000000000000000000000000000001"],
  ...([
    ["mac:01:23:45:67:89:ab", "0123456789ab"],
    ["str:eth0", "65746830"],
  ] as [string, string][]),
  ...([
    ["hex:C0FE", "c0fe"],
    ["b64:wP4=", "c0fe"],
  ] as [string, string][]),
  ["u32:24+ip4:10.1.2.0", "180000000a010200"],
];

describe("literals beside ?format=", () => {
  it.each(LITERALS)("the literal %s is %s in a path, a body and a query", async (literal, hex) => {
    const size = hex.length / 2;
    const attr = { map_type: "hash", key_size: size, value_size: size, max_entries: 2 };
    const session = await make(attr);
    const key = encodeURIComponent(literal);
    const put = await session.put(`/v1/fds/3/elements/${key}`, { value: literal });
    expect(put.status).toBe(204);
    expect((await session.get(`/v1/fds/3/elements/${hex}`)).body).toEqual({ key: hex, value: hex });
    const none = await session.get(`/v1/fds/3/next-key?key=${key}`);
    expect(none.body.errno).toBe("ENOENT");
    const batch = { op: "delete", keys: [literal] };
    expect((await session.post("/v1/fds/3/batch", batch)).body).toEqual({ count: 1 });
  });

  it.each([
    ["PUT", "/v1/fds/3/elements/u32:1%2Bu8:300", { value: "00" }, "/params/key", 7],
    ["PUT", "/v1/fds/3/elements/u32:1", { value: "u32:1+be16:x" }, "/body/value", 7],
    ["GET", "/v1/fds/3/next-key?key=ip4:10.0.0", undefined, "/query/key", 1],
    ["POST", "/v1/fds/3/batch", { op: "delete", keys: ["u32:1", "u32:"] }, "/body/keys/1", 1],
    ["POST", "/v1/fds/3/push", { value: "mac:1" }, "/body/value", 1],
    ["GET", "/v1/fds/3/peek?value=b64:A", undefined, "/query/value", 1],
  ])(
    "the problem of %s %s names the place of the error",
    async (method, path, body, pointer, at) => {
      const session = await make({ map_type: "hash", key_size: 4, value_size: 4, max_entries: 2 });
      const answer = await session.send(method, path, body);
      expect([answer.status, answer.body.errno]).toEqual([400, "EINVAL"]);
      expect(answer.body.errors[0].pointer).toBe(pointer);
      expect(answer.body.errors[0].detail).toContain(`at character ${at}, `);
    },
  );
});
