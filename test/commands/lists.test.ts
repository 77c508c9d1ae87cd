import { describe, expect, it } from "vitest";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { Dice } from "../support/random.ts";
import { type TestReply, type TestSession, testService } from "../support/service.ts";

/** Lists: pages by cursor and limit, and filters. A page with a filter looks at a bounded number of items. */

const service = await testService();
const newSession = () => service.session(service.namespace());

const MAP = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const at = (path: string) => `/v1/fs?path=${encodeURIComponent(path)}`;

async function create(
  session: TestSession,
  attr: object = {},
): Promise<{ fd: number; id: number }> {
  const { status, body } = await session.post("/v1/maps", { ...MAP, ...attr });
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
}

async function load(session: TestSession, attr: object = {}): Promise<{ fd: number; id: number }> {
  const { status, body } = await session.post("/v1/progs", { insns: RETURN_ZERO_HEX, ...attr });
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
}

type Item = TestReply["body"];

/** A list, with what makes item n of it and what identifies an item in its pages. */
interface List {
  path: string;
  field: string;
  /** Makes item n. @returns what identifies it */
  add(session: TestSession, n: number): Promise<unknown>;
  /** Removes an item. */
  remove(session: TestSession, item: never): Promise<unknown>;
  name(item: Item): unknown;
}

const LISTS: Record<string, List> = {
  sessions: {
    path: "/v1/sessions?",
    field: "sessions",
    add: async (session) => (await session.post("/v1/session/fork")).body.session.id,
    remove: (session, id) => session.del(`/v1/sessions/${id}`),
    name: ({ id }) => id,
  },
  fds: {
    path: "/v1/fds?",
    field: "fds",
    add: async (session) => (await create(session)).fd,
    remove: (session, fd) => session.del(`/v1/fds/${fd}`),
    name: ({ fd }) => fd,
  },
  maps: {
    path: "/v1/maps?",
    field: "maps",
    add: async (session) => (await create(session)).id,
    remove: async (session, id: number) => {
      const { fds } = (await session.get("/v1/fds?limit=1000")).body;
      const { fd } = fds.find((one: Item) => one.kind === "map" && one.id === id);
      return session.del(`/v1/fds/${fd}`);
    },
    name: ({ id }) => id,
  },
  progs: {
    path: "/v1/progs?",
    field: "progs",
    add: async (session) => (await load(session)).id,
    remove: async (session, id: number) => {
      const { fds } = (await session.get("/v1/fds?limit=1000")).body;
      const { fd } = fds.find((one: Item) => one.kind === "prog" && one.id === id);
      return session.del(`/v1/fds/${fd}`);
    },
    name: ({ id }) => id,
  },
  elements: {
    path: "/v1/fds/3/elements?",
    field: "elements",
    async add(session, n) {
      if (n === 0) await create(session, { max_entries: 100 });
      await session.put(`/v1/fds/3/elements/u32:${n}`, { value: "u32:0" });
      return Buffer.from([n, 0, 0, 0]).toString("hex");
    },
    remove: (session, key) => session.del(`/v1/fds/3/elements/${key}`),
    name: ({ key }) => key,
  },
  entries: {
    path: `${at("/")}&`,
    field: "entries",
    async add(session, n) {
      await session.put(at(`/d${n}`), { type: "directory" });
      return `d${n}`;
    },
    remove: (session, name) => session.del(`${at(`/${name}`)}&type=directory`),
    name: ({ name }) => name,
  },
};

/** Reads pages until the last; `between` runs after each page but that. */
async function pages(
  session: TestSession,
  path: string,
  between: () => Promise<unknown> = async () => {},
): Promise<Item[]> {
  const read: Item[] = [];
  for (let cursor = ""; ; ) {
    const { status, body } = await session.get(`${path}${cursor}`);
    expect(status, JSON.stringify(body)).toBe(200);
    read.push(body);
    if (body.next_cursor === undefined) return read;
    expect(typeof body.next_cursor).toBe("string");
    expect(read.length, "pages").toBeLessThan(500);
    cursor = `&cursor=${body.next_cursor}`;
    await between();
  }
}

describe.each(Object.entries(LISTS))("the list of %s", (_title, list) => {
  const names = (read: Item[]) => read.flatMap((page) => page[list.field].map(list.name));
  const walk = (session: TestSession, query: string, between?: () => Promise<unknown>) =>
    pages(session, `${list.path}${query}`, between);

  it("pages hold each item once, and only the last has no next_cursor", async () => {
    const session = await newSession();
    for (let n = 0; n < 7; n++) await list.add(session, n);
    const [whole] = await walk(session, "limit=1000");
    expect(whole).not.toHaveProperty("next_cursor");
    const all = names([whole]);
    expect(new Set(all).size).toBe(all.length);
    for (const limit of [1, 2, 3, all.length]) {
      const read = await walk(session, `limit=${limit}`);
      expect(read.length, `limit ${limit}`).toBe(Math.ceil(all.length / limit));
      expect(names(read).sort()).toEqual(all.sort());
      for (const page of read) {
        for (const old of ["next", "cursor"]) expect(page).not.toHaveProperty(old);
      }
    }
  });

  it("an item that stays is listed once, whatever comes and goes between pages", async () => {
    const session = await newSession();
    const dice = new Dice(Number(process.env.MAP_SEED ?? 7));
    const stay: unknown[] = [];
    const leave: never[] = [];
    for (let n = 0; n < 24; n++) {
      const item = await list.add(session, n);
      if (dice.oneIn(2) && n > 0) leave.push(item as never);
      else stay.push(item);
    }
    let n = 24;
    const read = await walk(session, "limit=3", async () => {
      const [gone] = leave.splice(dice.below(leave.length || 1), 1);
      if (gone !== undefined) await list.remove(session, gone);
      if (n < 40 && dice.oneIn(2)) await list.add(session, n++);
    });
    const found = names(read);
    expect(found.filter((name) => stay.includes(name)).sort()).toEqual([...stay].sort());
    expect(new Set(found).size, "nothing twice").toBe(found.length);
  });

  it("a cursor that no page has answered is EINVAL with its pointer", async () => {
    const session = await newSession();
    await list.add(session, 0);
    for (const cursor of [
      "junk",
      "-1",
      "1e3",
      "0x10",
      "str:abc",
      "1 a",
      "9".repeat(20),
      "1.",
      "é",
    ]) {
      const query = `cursor=${encodeURIComponent(cursor)}`;
      const { status, body } = await session.get(`${list.path}${query}`);
      expect([status, body.errno, body.errors?.[0].pointer], cursor).toEqual([
        400,
        "EINVAL",
        "/query/cursor",
      ]);
    }
  });
});

it("a cursor of an element must have the size of a key, and in a trie be a prefix", async () => {
  const session = await newSession();
  await create(session);
  const trie = { map_type: "lpm_trie", key_size: 8, map_flags: 1 };
  await create(session, trie);
  for (const [fd, cursor] of [
    [3, "000000"],
    [4, "2100000000000000"],
  ]) {
    const { body } = await session.get(`/v1/fds/${fd}/elements?cursor=${cursor}`);
    expect(body).toMatchObject({ errno: "EINVAL", errors: [{ pointer: "/query/cursor" }] });
  }
});

it.each(["maps", "progs"])(
  "start_id of %s starts after an id, but not beside a cursor",
  async (kind) => {
    const session = await newSession();
    for (let n = 0; n < 3; n++) await (kind === "maps" ? create(session) : load(session));
    const { body } = await session.get(`/v1/${kind}?start_id=1`);
    expect(body[kind].map(({ id }: Item) => id)).toEqual([2, 3]);
    const both = await session.get(`/v1/${kind}?start_id=1&cursor=1`);
    expect(both.body).toMatchObject({ errno: "EINVAL", errors: [{ pointer: "/query/start_id" }] });
    const high = await session.get(`/v1/${kind}?start_id=2147483647`);
    expect(high.body).toMatchObject({ errno: "EINVAL", errors: [{ pointer: "/query/start_id" }] });
  },
);

// Filters

async function select(session: TestSession, path: string): Promise<unknown[]> {
  const read = await pages(session, path);
  const [field = ""] = Object.keys(read[0]).filter((name) => Array.isArray(read[0][name]));
  return read.flatMap((page) => page[field].map((item: Item) => item.name ?? item.fd ?? item.id));
}

it("sessions can be listed by their label", async () => {
  const namespace = service.namespace();
  const labels = ["a", "b", "", "a b", "a", "A"];
  const all = [];
  for (const label of labels) all.push(await service.session(namespace, { label }));
  const [session] = all as [TestSession];
  for (const label of ["a", "b", "a b", "A", "a*", "c"]) {
    const wanted = all.filter((_, i) => labels[i] === label).map(({ id }) => id);
    const found = await select(session, `/v1/sessions?limit=1&label=${encodeURIComponent(label)}`);
    expect(found, label).toEqual(wanted);
  }
});

it("maps can be listed by type, by name and by the beginning of one", async () => {
  const session = await newSession();
  const array = { map_type: "array", key_size: 4 };
  await create(session, { map_name: "jmp_map" });
  await create(session, { ...array, map_name: "jmp_array" });
  await create(session, { ...array, map_name: "jmp" });
  await create(session, { map_type: "lpm_trie", key_size: 8, map_flags: 1 });
  const ids = (query: string) => select(session, `/v1/maps?limit=1&${query}`);
  expect(await ids("map_type=array")).toEqual([2, 3]);
  expect(await ids("map_type=2")).toEqual([2, 3]);
  expect(await ids("map_name=jmp")).toEqual([3]);
  expect(await ids("map_name=jmp*")).toEqual([1, 2, 3]);
  expect(await ids("map_name=%2A")).toEqual([1, 2, 3, 4]);
  expect(await ids("map_name=jmp_*&map_type=hash")).toEqual([1]);
  const above = await session.get("/v1/maps?map_name=jmp_*&start_id=1");
  expect(above.body.maps.map(({ id }: Item) => id)).toEqual([2]);
  expect(await ids("map_name=mp*")).toEqual([]);
});

it("programs can be listed by type, by name and by the beginning of one", async () => {
  const session = await newSession();
  await load(session, { prog_type: "xdp", prog_name: "in_a" });
  await load(session, { prog_type: "sched_cls", prog_name: "in_b" });
  await load(session, { prog_type: "xdp", prog_name: "out" });
  const ids = (query: string) => select(session, `/v1/progs?limit=1&${query}`);
  expect(await ids("prog_type=xdp")).toEqual([1, 3]);
  expect(await ids("prog_type=6&prog_name=in_*")).toEqual([1]);
  expect(await ids("prog_name=in_*")).toEqual([1, 2]);
  expect(await ids("prog_name=out")).toEqual([3]);
});

it.each([
  ["/v1/maps?map_type=hashes", "/query/map_type"],
  ["/v1/maps?map_type=9999", "/query/map_type"],
  ["/v1/progs?prog_type=tc", "/query/prog_type"],
  ["/v1/fds?kind=link", "/query/kind"],
  [`${at("/")}&type=pin`, "/query/type"],
])("the unknown kind of %s is EINVAL with its pointer", async (path, pointer) => {
  const session = await newSession();
  const { status, body } = await session.get(path);
  expect([status, body.errno, body.errors?.[0].pointer]).toEqual([400, "EINVAL", pointer]);
});

it("fds can be listed by the kind of their object", async () => {
  const session = await newSession();
  for (const kind of ["map", "prog", "map", "prog", "prog"]) {
    await (kind === "map" ? create(session) : load(session));
  }
  expect(await select(session, "/v1/fds?limit=2&kind=map")).toEqual([3, 5]);
  expect(await select(session, "/v1/fds?limit=2&kind=prog")).toEqual([4, 6, 7]);
});

it("entries of a directory can be listed by the type of their node", async () => {
  const session = await newSession();
  const { fd } = await create(session);
  const prog = await load(session);
  await session.put(at("/m"), { type: "pin", fd });
  await session.put(at("/p"), { type: "pin", fd: prog.fd });
  await session.put(at("/s"), { type: "symlink", target: "/m" });
  await session.put(at("/n"), { type: "link", from: "/m" });
  await session.put(at("/d"), { type: "directory" });
  const names = async (type: string) =>
    (await select(session, `${at("/")}&limit=1&type=${type}`)).sort();
  expect(await names("map")).toEqual(["m", "n"]);
  expect(await names("prog")).toEqual(["p"]);
  expect(await names("symlink")).toEqual(["s"]);
  expect(await names("directory")).toEqual(["d"]);
});

/** As many items as a page with a filter looks at. */
const LOOKS = 500;

it("a page with a filter looks at 500 items, so it may be empty and have a next_cursor", async () => {
  const session = await service.session(service.namespace(), { nofile: 2000 });
  for (let n = 0; n < LOOKS; n++) await create(session);
  await create(session, { map_name: "last" });
  const read = await pages(session, "/v1/maps?limit=1000&map_name=last");
  expect(read.map(({ maps }) => maps.length)).toEqual([0, 1]);
  expect(read[0].next_cursor).toBe(String(LOOKS));
  await load(session);
  const fds = await pages(session, "/v1/fds?limit=1000&kind=prog");
  expect(fds.map((page) => page.fds.length)).toEqual([0, 1]);
});
