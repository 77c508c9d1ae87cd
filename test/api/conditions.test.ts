import { describe, expect, it } from "vitest";
import { raw } from "../support/raw.ts";
import { type TestService, type TestSession, testService } from "../support/service.ts";

/** Conditions of HTTP: 304, If-None-Match: * for what is only created, and what an Idempotency-Key remembers. */

const fast = await testService(undefined, {}, "on");
const general = await testService(undefined, {}, "off");
const SIZES = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 4 };

/** fd 3 a hash with an element. */
async function world(service: TestService): Promise<TestSession> {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", SIZES);
  await session.put("/v1/fds/3/elements/u32:1", { value: "u32:7" });
  return session;
}

const PATHS = [
  ["the fast path", fast],
  ["the general path", general],
] as const;
const ELEMENT = "/v1/fds/3/elements/u32:1";
const TAG = '"07000000"';

describe.each(PATHS)("a service with %s", (name, service) => {
  const get = (session: TestSession, path: string, tags: string, method = "GET") =>
    raw(service.base, method, path, {
      authorization: `Bearer ${session.token}`,
      "if-none-match": tags,
    });

  it.each([ELEMENT, `${ELEMENT}/bytes`])(
    `a lookup at %s is 304 for its ETag: ${name}`,
    async (path) => {
      const session = await world(service);
      expect((await session.get(path)).headers.get("etag")).toBe(TAG);
      for (const tags of [TAG, `W/${TAG}`, `"00", ${TAG}`, "*"]) {
        for (const method of ["GET", "HEAD"]) {
          const answer = await get(session, path, tags, method);
          expect([answer.status, answer.text, answer.headers.etag], tags).toEqual([304, "", TAG]);
          expect(answer.headers).toHaveProperty("bpf-map-revision");
        }
      }
      for (const tags of ['"08000000"', '"0700"', TAG.slice(1), "r1"]) {
        const answer = await get(session, path, tags);
        expect([answer.status, answer.headers.etag], tags).toEqual([200, TAG]);
      }
      await session.put(ELEMENT, { value: "u32:8" });
      expect((await get(session, path, TAG)).status).toBe(200);
      await session.del(ELEMENT);
      expect((await get(session, path, "*")).status).toBe(404);
    },
  );

  it(`what has no ETag is never 304: ${name}`, async () => {
    const session = await world(service);
    for (const path of ["/v1/fds/3", "/v1/fds", "/v1/fds/3/elements", "/v1/session", "/livez"]) {
      const answer = await get(session, path, "*");
      expect([answer.status, answer.headers.etag], path).toEqual([200, undefined]);
    }
  });

  it.each([
    { type: "pin", fd: 3 },
    { type: "directory" },
    { type: "symlink", target: "/a" },
    { type: "link", from: "/a" },
  ])(`PUT of a $type that exists is 409, with If-None-Match: * 412: ${name}`, async (body) => {
    const session = await world(service);
    await session.put("/v1/fs?path=/a", { type: "pin", fd: 3 });
    const create = { "if-none-match": "*" };
    const first = await session.put("/v1/fs?path=/x", body, create);
    expect(first.status).toBe(201);
    const again = await session.put("/v1/fs?path=/x", body);
    expect([again.status, again.body.errno]).toEqual([409, "EEXIST"]);
    const condition = await session.put("/v1/fs?path=/x", body, create);
    expect([condition.status, condition.body.errno]).toEqual([412, "ESTALE"]);
    const { body: now } = await session.get("/v1/fs?path=/x&follow=false");
    expect([now.ino, now.nlink]).toEqual([first.body.ino, first.body.nlink]);
    const other = await session.put("/v1/fs?path=/no/x", body, create);
    expect([other.status, other.body.errno]).toEqual([404, "ENOENT"]);
  });

  it(`a PUT takes no tags in If-None-Match, and other writes no If-None-Match: ${name}`, async () => {
    const session = await world(service);
    for (const tags of [TAG, "", "*, *", "W/*"]) {
      for (const path of [ELEMENT, "/v1/fs?path=/x"]) {
        const body = path === ELEMENT ? { value: "u32:1" } : { type: "directory" };
        const answer = await session.put(path, body, { "if-none-match": tags });
        expect([answer.status, answer.body.errno], `${path} ${tags}`).toEqual([400, "EINVAL"]);
        expect(answer.body.errors[0].pointer).toMatch(/^\/headers\/if-none-match$/i);
      }
    }
    const none = { "if-none-match": "*" };
    expect((await session.del(ELEMENT, none)).status).toBe(400);
    expect((await session.post("/v1/maps", SIZES, none)).status).toBe(400);
    expect((await session.get(ELEMENT)).body.value).toBe("07000000");
  });
});

it("If-None-Match: * creates an element from octets and never replaces one", async () => {
  const session = await world(fast);
  const put = (key: string) =>
    session.put(`/v1/fds/3/elements/${key}/bytes`, Buffer.alloc(4), { "if-none-match": "*" });
  expect((await put("u32:1")).status).toBe(412);
  expect((await put("u32:2")).status).toBe(204);
  expect((await put("u32:2")).status).toBe(412);
});

it("a repeat of a refused creation with its Idempotency-Key is refused again", async () => {
  const session = await world(fast);
  const body = { type: "pin", fd: 3 };
  await session.put("/v1/fs?path=/x", body);
  const headers = { "if-none-match": "*", "idempotency-key": "k" };
  for (let times = 0; times < 2; times++) {
    const answer = await session.put("/v1/fs?path=/x", body, headers);
    expect([answer.status, answer.body.errno]).toEqual([412, "ESTALE"]);
  }
});

it("an Idempotency-Key with another condition is another request", async () => {
  const session = await world(fast);
  const put = (conditions: Record<string, string>) =>
    session.put(ELEMENT, { value: "u32:9" }, { ...conditions, "idempotency-key": "k" });
  const first = await put({ "if-match": TAG });
  expect(first.status).toBe(204);
  const repeat = await put({ "if-match": TAG });
  expect([repeat.status, repeat.headers.get("bpf-map-revision")]).toEqual([
    204,
    first.headers.get("bpf-map-revision"),
  ]);
  const others: Record<string, string>[] = [
    {},
    { "if-match": "*" },
    { "if-match": `${TAG},` + `${TAG}` },
    { "if-none-match": "*" },
    { "if-match": TAG, "if-none-match": "*" },
  ];
  for (const conditions of others) {
    const { status, body } = await put(conditions);
    expect([status, body.type], JSON.stringify(conditions)).toEqual([
      422,
      "/docs/errors/idempotency-key-reused",
    ]);
  }
});
