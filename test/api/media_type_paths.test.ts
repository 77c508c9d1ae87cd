import { expect, it } from "vitest";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { raw } from "../support/raw.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Requests that choose a media type as clients of the first version do. */

const service = await testService();
const OCTETS = "application/octet-stream";
const HASH = { key_size: 4, value_size: 4, max_entries: 8 };

/** fd 3 is a hash with the element 1, fd 4 a ring buffer, program 1 is loaded at fd 5. */
async function world(): Promise<TestSession> {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", HASH);
  await session.post("/v1/maps", { map_type: "ringbuf", max_entries: 4096 });
  await session.post("/v1/progs", { insns: RETURN_ZERO_HEX });
  await session.put("/v1/fds/3/elements/u32:1", { value: "u32:7" });
  return session;
}

function send(session: TestSession, line: string, headers: object, body?: string) {
  const [method = "", path = ""] = line.split(" ");
  const all = { authorization: `Bearer ${session.token}`, ...headers };
  return raw(service.base, method, path, all, body);
}

const LOOKUP = '{"op":"lookup","count":1}';
const JSON_BODY = { "content-type": "application/json" };

// RFC 9110, 12.1: "When content negotiation preferences are sent by the user agent in a request to encourage an
// algorithm located at the server to select the preferred representation".
it.each([
  ["GET /v1/fds/3/elements/u32:1", "/bytes", { accept: OCTETS }, undefined],
  ["GET /v1/fds/3/elements/u32:1", "/bytes", { accept: `${OCTETS};q=1, */*` }, undefined],
  ["PUT /v1/fds/3/elements/u32:2", "/bytes", { "content-type": OCTETS }, "abcd"],
  ["POST /v1/fds/3/batch", "/read-bytes", { ...JSON_BODY, accept: OCTETS }, LOOKUP],
  ["POST /v1/fds/3/batch?op=delete&count=1", "/write-bytes", { "content-type": OCTETS }, "abcd"],
  ["POST /v1/fds/4/records", "/bytes", { "content-type": OCTETS }, "abcd"],
  ["GET /v1/fds/3/elements/u32:1", "/bytes", { "content-type": OCTETS, accept: OCTETS }, undefined],
  ["GET /v1/progs/1/instructions?format=text", "/text", {}, undefined],
  ["GET /v1/progs/1/instructions?format=raw", "/text", { accept: OCTETS }, undefined],
  ["GET /v1/progs/1/instructions?limit=1&format=raw", "/text", {}, undefined],
] as const)(
  "%s answers as its path with %s, if that is chosen",
  async (line, suffix, headers, body) => {
    const [old, own] = [await world(), await world()];
    const before = await send(old, line, headers, body);
    const [path, query] = line.split("?");
    const longer = query === undefined ? `${path}${suffix}` : `${path}${suffix}?${query}`;
    const type = body === undefined ? {} : { "content-type": headers["content-type" as never] };
    const after = await send(own, longer, type, body);
    const seen = ({ status, headers, text }: typeof before) => [
      status,
      headers["content-type"],
      text,
    ];
    const plain = (answer: typeof before) =>
      JSON.stringify(seen(answer)).replaceAll(/"request_id.*/g, "");
    expect(plain(before)).toBe(plain(after));
  },
);

it("a HEAD has the header fields of the GET for the same media type", async () => {
  const session = await world();
  const line = "/v1/fds/3/elements/u32:1";
  const get = await send(session, `GET ${line}`, { accept: OCTETS });
  const head = await send(session, `HEAD ${line}`, { accept: OCTETS });
  for (const name of ["content-type", "content-length", "etag"]) {
    expect(head.headers[name], name).toBe(get.headers[name]);
  }
});

it("a request that prefers JSON gets JSON", async () => {
  const session = await world();
  for (const accept of ["application/json", "*/*", `application/json, ${OCTETS}`]) {
    const answer = await send(session, "GET /v1/fds/3/elements/u32:1", { accept });
    expect(answer.headers["content-type"], accept).toMatch(/^application\/json/);
  }
});

it("octets for an operation that takes none are 415", async () => {
  const session = await world();
  const answer = await send(session, "POST /v1/maps", { "content-type": OCTETS }, "abcd");
  expect(answer.status).toBe(415);
});
