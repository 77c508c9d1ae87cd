import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type TestSession, testService } from "../support/service.ts";

/** Object files over HTTP: what a session holds after a load, and after one that failed. */

const service = await testService();
const object = (name: string) =>
  readFileSync(join(import.meta.dirname, "../elf/objects", `${name}.o`));

const root = () => service.session(service.namespace());

const load = (session: TestSession, name: string, query = "") =>
  session.post(`/v1/elf?name=${name}${query}`, object(name));

async function loaded(session: TestSession, name: string, query = "") {
  const { status, body } = await load(session, name, query);
  expect(status, JSON.stringify(body)).toBe(201);
  return body;
}

interface NamedObject {
  name: string;
  fd: number;
  id: number;
}

const named = (list: NamedObject[], name: string) =>
  list.find((each) => each.name === name) as NamedObject;

/** Everything that a load could leave behind. */
async function everything(session: TestSession) {
  const paths = ["/v1/maps", "/v1/progs", "/v1/fds", "/v1/fs?path=/"];
  const answers = await Promise.all(paths.map((path) => session.get(path)));
  return answers.map(({ body }) => body);
}

describe("maps of an object file", () => {
  it("loaded maps have the object's attributes and names of at most 15 characters", async () => {
    const session = await root();
    const { maps, license } = await loaded(session, "sections");
    expect(license).toBe("Dual MIT/GPL");
    const info = (name: string) => session.get(`/v1/maps/${named(maps, name).id}`);
    expect((await info("a_very_long_map_name")).body).toMatchObject({
      ...{ map_type: "array", map_name: "a_very_long_map", max_entries: 3, frozen: false },
    });
    expect((await info("sections.rodata")).body).toMatchObject({
      ...{ map_type: "array", map_flags: 0x480, value_size: 47, frozen: true },
    });
    expect((await info("sections.bss")).body).toMatchObject({ map_flags: 0x400, frozen: false });
    expect((await info("seen")).body).toMatchObject({ map_type: "bloom_filter", map_extra: 3 });
  });

  it("data maps hold their sections, by the names of variables", async () => {
    const session = await root();
    const { maps } = await loaded(session, "sections");
    const value = async (name: string) =>
      (await session.get(`/v1/fds/${named(maps, name).fd}/elements/u32:0?format=json`)).body.value;
    expect(await value("sections.rodata")).toEqual({
      ...{ limit: 1500, greeting: "hello", classify_____fmt: "len %d" },
    });
    expect(await value("sections.data")).toEqual({ threshold: 40 });
    expect(await value("sections.bss")).toEqual({ total: 0, calls: 0 });
    expect(await value(".data.custom_section_name")).toEqual({ custom: 11 });
  });

  it("loaded maps take keys and values in JSON by the object's own types", async () => {
    const session = await root();
    const { maps } = await loaded(session, "sections");
    const { fd } = named(maps, "flows");
    const key = { address: 1, port: 443, flags: 5, kind: 17, tag: "web" };
    const value = { packets: 2, bytes: 3000, last: "DROP" };
    const path = `/v1/fds/${fd}/elements`;
    const put = `${path}/${encodeURIComponent(JSON.stringify(key))}?format=json`;
    expect((await session.put(put, { value })).status).toBe(204);
    const { body } = await session.get(`${path}?format=json`);
    expect(body.elements).toEqual([{ key, value }]);
  });

  it("loaded maps of maps hold their maps, program arrays their programs", async () => {
    const session = await root();
    const { maps, progs } = await loaded(session, "nested");
    const slot = async (name: string, index: number) =>
      (await session.get(`/v1/fds/${named(maps, name).fd}/elements/u32:${index}`)).body.value;
    expect(await slot("outer", 0)).toEqual({ id: named(maps, "first").id });
    expect(await slot("outer", 3)).toEqual({ id: named(maps, "second").id });
    expect(await slot("jumps", 1)).toEqual({ id: named(progs, "one").id });
    expect(await slot("jumps", 2)).toEqual({ id: named(progs, "two").id });
    const { body } = await session.get("/v1/fds");
    expect(body.fds).toHaveLength(maps.length + progs.length);
  });

  it("maps of tc are pinned by scope and filled by sections", async () => {
    const session = await root();
    const { maps, progs } = await loaded(session, "iproute2", "&pin_root=/mnt");
    const pinned = await session.post("/v1/fds", { path: "/mnt/tc/globals/jmp_tc" });
    const slots = (await session.get(`/v1/fds/${pinned.body.fd}/elements`)).body.elements;
    const ids = ["drop", "count"].map((name) => ({ id: named(progs, name).id }));
    expect(slots).toEqual([
      { key: "00000000", value: ids[0] },
      { key: "03000000", value: ids[1] },
    ]);
    const inner = await session.get(`/v1/fds/${named(maps, "outer").fd}/elements`);
    expect(inner.body.elements).toEqual([
      { key: "01000000", value: { id: named(maps, "inner").id } },
    ]);
  });
});

describe("programs of an object file", () => {
  it("loaded programs have type, name, license and their maps", async () => {
    const session = await root();
    const { maps, progs } = await loaded(session, "sections");
    const { body } = await session.get(`/v1/progs/${named(progs, "take").id}`);
    expect(body).toMatchObject({ prog_type: "socket_filter", license: "Dual MIT/GPL" });
    const constants = ["sections.rodata", ".rodata.extra", ".rodata.hidden"];
    expect(body.map_ids).toEqual(constants.map((name) => named(maps, name).id));
  });

  it("programs with callbacks and tail calls in subprograms load by func_info", async () => {
    const { progs } = await loaded(await root(), "callback");
    expect(progs.map(({ name }: NamedObject) => name)).toEqual(["sum", "jump"]);
  });

  it("programs are pinned by name in a new directory", async () => {
    const session = await root();
    const { progs } = await loaded(session, "nested", "&pin_progs=/a/b");
    const { body } = await session.get("/v1/fs?path=/a/b");
    expect(body.entries.map(({ name }: NamedObject) => name)).toEqual(["entry", "one", "two"]);
    const opened = await session.post("/v1/fds", { path: "/a/b/two" });
    expect(opened.body).toMatchObject({ kind: "prog", id: named(progs, "two").id });
  });

  it("a rejected program is named with its log, and nothing is left", async () => {
    const session = await root();
    const before = await everything(session);
    const { status, body } = await load(session, "ld_abs", "&pin_progs=/progs");
    expect(status).toBe(400);
    expect(body).toMatchObject({
      errno: "EINVAL",
      detail: expect.stringMatching(/^prog 'refused': .*not allowed/),
    });
    expect(body.log).toContain("skb[0]");
    expect(await everything(session)).toEqual(before);
  });
});

describe("a request in JSON", () => {
  it("a JSON request has the object as base64 or hex, and max_entries by name", async () => {
    const session = await root();
    for (const encoding of ["base64", "hex"] as const) {
      const text = object("legacy").toString(encoding);
      const { status, body } = await session.post("/v1/elf", {
        object: text,
        max_entries: { counts: 3 },
      });
      expect(status).toBe(201);
      const info = await session.get(`/v1/maps/${named(body.maps, "counts").id}`);
      expect(info.body.max_entries).toBe(3);
    }
  });

  it("a JSON request has its fields in the body, not in the query", async () => {
    const body = { object: object("legacy").toString("hex") };
    const answer = await (await root()).post("/v1/elf?name=x", body);
    expect(answer.body.errors).toMatchObject([{ pointer: "/query/name" }]);
  });
});

describe("pinned maps", () => {
  it("the next load reuses pinned maps and refills their program arrays", async () => {
    const session = await root();
    const first = await loaded(session, "pinned");
    const other = await service.session((await session.get("/v1/session")).body.namespace);
    const second = await loaded(other, "pinned");
    for (const name of ["counters", "policy"]) {
      expect(named(first.maps, name)).toMatchObject({ pinned: `/${name}` });
      expect(named(second.maps, name)).toMatchObject({
        ...{ id: named(first.maps, name).id, pinned: `/${name}`, reused: true },
      });
    }
    const slot = await other.get(`/v1/fds/${named(second.maps, "policy").fd}/elements/u32:0`);
    expect(slot.body.value).toEqual({ id: named(second.progs, "next").id });
  });

  it("pinned maps that differ are reported field by field, and nothing is left", async () => {
    const session = await root();
    const attr = { map_type: "array", key_size: 4, value_size: 4, max_entries: 16 };
    const { body: map } = await session.post("/v1/maps", attr);
    await session.put("/v1/fs?path=/counters", { type: "pin", fd: map.fd });
    const before = await everything(session);
    const { status, body } = await load(session, "pinned_larger");
    expect([status, body.errno]).toEqual([400, "EINVAL"]);
    expect(body.detail).toBe(
      "map 'counters': couldn't reuse pinned map at '/counters': map_type is array, must be " +
        "hash; value_size is 4, must be 8; max_entries is 16, must be 32",
    );
    expect(await everything(session)).toEqual(before);
  });

  it("a pinned program in place of a map is rejected", async () => {
    const session = await root();
    const { progs } = await loaded(session, "legacy");
    await session.put("/v1/fs?path=/counters", { type: "pin", fd: named(progs, "mark").fd });
    const { body } = await load(session, "pinned");
    expect(body.detail).toMatch(/at '\/counters': the pin is a program$/);
  });
});

it.each([
  ["not an ELF file", Buffer.from("\x7fELF, it says"), 400],
  ["big-endian objects are not supported", object("big_endian"), 422],
  ["'LINUX_KERNEL_VERSION' is extern", object("extern_kconfig"), 422],
])("the object with %s is rejected, case %#", async (detail, bytes, status) => {
  const session = await root();
  const answer = await session.post("/v1/elf", bytes);
  expect(answer.status).toBe(status);
  expect(answer.body.detail).toContain(detail);
});
