import { expect, it } from "vitest";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { type TestReply, type TestSession, testService } from "../support/service.ts";

/** The Location of what a request made, which leads to it. */

const service = await testService();

const MAP = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const at = (path: string) => `/v1/fs?path=${encodeURIComponent(path)}`;

type Make = (session: TestSession, headers?: Record<string, string>) => Promise<TestReply>;

/** Requests that make something, and the part of the response that its URL must show. */
const MADE: Record<string, [make: Make, shown: (body: TestReply["body"]) => object]> = {
  "a map": [
    (session, headers) => session.post("/v1/maps", MAP, headers),
    ({ fd, id }) => ({ kind: "map", fd, id }),
  ],
  "a program": [
    (session, headers) => session.post("/v1/progs", { insns: RETURN_ZERO_HEX }, headers),
    ({ fd, id }) => ({ kind: "prog", fd, id }),
  ],
  "an fd by id": [
    (session, headers) => session.post("/v1/fds", { map_id: 1 }, headers),
    ({ fd, id }) => ({ kind: "map", fd, id }),
  ],
  "a duplicate": [
    (session, headers) => session.post("/v1/fds/3/dup", undefined, headers),
    ({ fd }) => ({ kind: "map", fd, id: 1 }),
  ],
  "a received fd": [
    async (session, headers) => {
      if (!headers?.repeat) await session.post("/v1/fds/3/send", { session: session.id });
      return session.post("/v1/fds/receive", undefined, headers);
    },
    ({ fd, id }) => ({ kind: "map", fd, id }),
  ],
  "a fork": [
    (session, headers) => session.post("/v1/session/fork", { label: "child" }, headers),
    ({ session: { id } }) => ({ id, label: "child" }),
  ],
  "a pin": [
    (session, headers) => session.put(at("/a b&c%é+d"), { type: "pin", fd: 3 }, headers),
    ({ ino }) => ({ type: "map", ino }),
  ],
  "a directory": [
    (session, headers) => session.put(at("/dir"), { type: "directory" }, headers),
    ({ ino }) => ({ type: "directory", ino }),
  ],
  "a symlink": [
    (session, headers) =>
      session.put(at("/link"), { type: "symlink", target: "/nowhere" }, headers),
    ({ ino }) => ({ type: "symlink", ino, target: "/nowhere" }),
  ],
};

it.each(Object.entries(MADE))(
  "the Location of %s leads to it, after a repeat too",
  async (_, [make, shown]) => {
    const session = await service.session(service.namespace());
    await session.post("/v1/maps", MAP);
    const plain = await make(session);
    expect(plain.status, JSON.stringify(plain.body)).toBe(201);
    const url = plain.headers.get("location") ?? "";
    expect((await session.get(url)).body).toMatchObject(shown(plain.body));
    expect(url).toMatch(/^\/v1\/[!-~]+$/);
    const key = { "idempotency-key": "once" };
    if (url.startsWith("/v1/fs")) await session.del(`${url.split("&")[0]}`);
    if (url.endsWith("dir")) await session.del(`${url}&type=directory`);
    const first = await make(session, key);
    const repeat = await make(session, { ...key, repeat: "1" });
    expect(first.status).toBe(201);
    expect([repeat.status, repeat.body]).toEqual([201, first.body]);
    expect(repeat.headers.get("location")).toBe(first.headers.get("location"));
    expect(first.headers.get("location")).toMatch(/^\/v1\//);
  },
);

it("the Location of a new session leads to it", async () => {
  const session = await service.session(service.namespace());
  const { namespace } = (await session.get("/v1/session")).body;
  const { body, headers } = await session.post("/v1/sessions", { namespace, label: "new" });
  expect(headers.get("location")).toBe(`/v1/sessions/${body.session.id}`);
  expect((await session.get(headers.get("location") ?? "")).body).toMatchObject({ label: "new" });
});

it("what has no URL has no Location", async () => {
  const session = await service.session(service.namespace());
  const ring = { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 };
  await session.post("/v1/maps", ring);
  const written = await session.post("/v1/fds/3/records", { records: ["00"] });
  expect(written.status).toBe(201);
  expect(written.headers.get("location")).toBeNull();
});
