import { describe, expect, it } from "vitest";
import { u32Hex } from "../support/bytes.ts";
import { create } from "../support/map_fixture.ts";
import { type TestReply, type TestSession, testService } from "../support/service.ts";

/** The dump of a map of maps with the elements of the maps in it. */

const service = await testService();
const newSession = (more: object = {}) => service.session(service.namespace(), more);

const OUTERS = ["array_of_maps", "hash_of_maps"];
type Body = TestReply["body"];

/** Makes inner maps and an outer map, whose slot n has inner map n. @returns the fd of the outer map */
async function nest(session: TestSession, map_type: string, inner: object, count: number) {
  const fds: number[] = [];
  for (let n = 0; n < count; n++) fds.push(await create(session, inner));
  const fd = await create(session, { map_type, max_entries: 200, inner_map_fd: fds[0] });
  for (const [n, value] of fds.entries()) await put(session, fd, n, { fd: value });
  return { fd, fds };
}

async function put(session: TestSession, fd: number, n: number, value: unknown) {
  const { status, body } = await session.put(`/v1/fds/${fd}/elements/u32:${n}`, { value });
  expect(status, JSON.stringify(body)).toBe(204);
}

async function fill(session: TestSession, fd: number, count: number) {
  const keys = Array.from({ length: count }, (_, n) => u32Hex(n));
  const { status } = await session.post(`/v1/fds/${fd}/batch`, {
    op: "update",
    keys,
    values: keys,
  });
  expect(status).toBe(200);
}

const dump = (session: TestSession, fd: number, query = "") =>
  session.get(`/v1/fds/${fd}/elements?nested=true${query}`);

/** All pages of the outer map. */
async function pages(session: TestSession, fd: number, query = ""): Promise<Body[]> {
  const read: Body[] = [];
  for (let cursor = ""; ; ) {
    const { status, body } = await dump(session, fd, `${query}${cursor}`);
    expect(status, JSON.stringify(body)).toBe(200);
    read.push(body);
    if (body.next_cursor === undefined) return read;
    expect(read.length).toBeLessThan(300);
    cursor = `&cursor=${body.next_cursor}`;
  }
}

describe.each(OUTERS)("nested dump of %s", (outer) => {
  it("each value has the id and the elements of its map", async () => {
    const session = await newSession();
    const { fd, fds } = await nest(session, outer, { map_type: "hash" }, 3);
    await put(session, fds[0] as number, 7, "u32:70");
    await put(session, fds[2] as number, 8, "u32:80");
    const { body } = await dump(session, fd);
    expect(body).toEqual({
      elements: [
        { key: u32Hex(0), value: { id: 1, elements: [{ key: u32Hex(7), value: u32Hex(70) }] } },
        { key: u32Hex(1), value: { id: 2, elements: [] } },
        { key: u32Hex(2), value: { id: 3, elements: [{ key: u32Hex(8), value: u32Hex(80) }] } },
      ],
    });
    const [first, second] = await pages(session, fd, "&limit=2");
    expect(first.next_cursor).toBe(u32Hex(1));
    expect([...first.elements, ...second.elements]).toEqual(body.elements);
    const plain = (await session.get(`/v1/fds/${fd}/elements`)).body.elements;
    expect(plain.map(({ value }: Body) => value)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  it("a page has at most 1,000 elements, and only a map larger than that is cut", async () => {
    const session = await newSession();
    const { fd, fds } = await nest(session, outer, { map_type: "hash", max_entries: 2000 }, 4);
    for (const [n, count] of [400, 700, 1500, 300].entries()) {
      await fill(session, fds[n] as number, count);
    }
    const read = await pages(session, fd);
    const counts = read.map(({ elements }) =>
      elements.map(({ value }: Body) => value.elements.length),
    );
    expect(counts).toEqual([[400], [700], [1000], [300]]);
    const [cut] = (read[2] as Body).elements;
    expect(
      read.flatMap(({ elements }) => elements).filter(({ value }) => value.next_cursor),
    ).toEqual([cut]);
    const opened = (await session.post("/v1/fds", { map_id: cut.value.id, open_flags: 8 })).body;
    const rest = await session.get(
      `/v1/fds/${opened.fd}/elements?limit=1000&cursor=${cut.value.next_cursor}`,
    );
    expect(rest.body.elements).toHaveLength(500);
    expect(rest.body).not.toHaveProperty("next_cursor");
  });

  it("a page has at most 100 maps and 256 KiB", async () => {
    const session = await newSession();
    const few = await nest(session, outer, { map_type: "hash" }, 130);
    const maps = (await pages(session, few.fd, "&limit=1000")).map(
      ({ elements }) => elements.length,
    );
    expect(maps).toEqual([100, 30]);
    const big = await nest(
      session,
      outer,
      { map_type: "array", value_size: 65_536, max_entries: 2 },
      3,
    );
    const sizes = (await pages(session, big.fd)).map(({ elements }) => elements.length);
    expect(sizes).toEqual([1, 1, 1]);
  });
});

it.each([
  ["array", {}, 8],
  ["percpu_hash", { value_size: 8 }, 0],
  ["lru_hash", {}, 0],
  ["lpm_trie", { key_size: 8, map_flags: 1 }, 0],
  ["queue", { key_size: 0 }, 0],
  ["devmap", {}, 0],
])("nested dump reads inner maps of type %s", async (map_type, attr, count) => {
  const session = await newSession();
  const { fd } = await nest(session, "array_of_maps", { map_type, ...attr }, 2);
  const { body } = await dump(session, fd);
  expect(body.elements.map(({ value }: Body) => value.elements.length)).toEqual([count, count]);
});

it("format=json writes each inner map by its own schema", async () => {
  const session = await newSession();
  const declarations = "struct v { __u16 a; __u16 b; };";
  const schema = { declarations, key: "__u32", value: "struct v" };
  const { fd, fds } = await nest(session, "hash_of_maps", { map_type: "hash" }, 1);
  const typed = await create(session, { map_type: "hash", schema });
  await put(session, fd, 1, { fd: typed });
  await put(session, fds[0] as number, 5, "u32:6");
  await put(session, typed, 7, "u16:8+u16:9");
  const { status, body } = await dump(session, fd, "&format=json");
  expect(status, JSON.stringify(body)).toBe(200);
  expect(body.elements).toEqual([
    { key: u32Hex(0), value: { id: 1, elements: [{ key: u32Hex(5), value: u32Hex(6) }] } },
    { key: u32Hex(1), value: { id: 3, elements: [{ key: 7, value: { a: 8, b: 9 } }] } },
  ]);
});

it("nested dump needs what opening the inner maps by id needs", async () => {
  const root = await newSession();
  const { fd } = await nest(root, "array_of_maps", { map_type: "hash" }, 1);
  const child = root.as((await root.post("/v1/session/fork")).body);
  expect((await child.patch("/v1/session", { uid: 1000 })).status).toBe(200);
  const { status, body } = await dump(child, fd);
  expect([status, body.errno]).toEqual([403, "EPERM"]);
  const opened = await child.post("/v1/fds", { map_id: 1 });
  expect([opened.status, opened.body.errno]).toEqual([403, "EPERM"]);
  expect((await child.get(`/v1/fds/${fd}/elements`)).body.elements).toHaveLength(1);
});

it("nested dump is rejected for other maps, with a snapshot and for maps without elements", async () => {
  const session = await newSession();
  const hash = await create(session, { map_type: "hash" });
  const plain = await dump(session, hash);
  expect(plain.body).toMatchObject({ errno: "EINVAL", errors: [{ pointer: "/query/nested" }] });
  const { fd } = await nest(session, "array_of_maps", { map_type: "hash" }, 1);
  const both = await dump(session, fd, "&snapshot=true");
  expect(both.body).toMatchObject({ errno: "EINVAL", errors: [{ pointer: "/query/snapshot" }] });
  const ring = { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 };
  const rings = await nest(session, "array_of_maps", ring, 1);
  expect((await dump(session, rings.fd)).body.errno).toBe("ENOTSUPP");
});

it("a page of a nested dump is of one moment", async () => {
  const session = await newSession();
  const { fd, fds } = await nest(
    session,
    "array_of_maps",
    { map_type: "array", max_entries: 1 },
    2,
  );
  const [first, second] = fds as [number, number];
  let stopped = false;
  const write = async () => {
    for (let n = 1; !stopped; n++) {
      await put(session, first, 0, `u32:${n}`);
      await put(session, second, 0, `u32:${n}`);
    }
  };
  const writing = write();
  for (let round = 0; round < 100; round++) {
    const { body } = await dump(session, fd);
    const [a, b] = body.elements.map(({ value }: Body) =>
      Buffer.from(value.elements[0].value, "hex").readUInt32LE(),
    );
    expect(a - b, `${a} ${b}`).toBeOneOf([0, 1]);
  }
  stopped = true;
  await writing;
});
