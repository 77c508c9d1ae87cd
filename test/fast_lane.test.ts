import fc from "fast-check";
import { expect, it } from "vitest";
import { dump, type RawAnswer, raw } from "./raw.ts";
import { type Session, testService } from "./service.ts";

/** The fast lane answers what the general way answers: status, type and body, for right and wrong. */

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
process.stdout.write(`fast lane: FUZZ_SEED=${SEED}\n`);
const service = await testService();

const SIZES = { key_size: 4, value_size: 4, max_entries: 4 };

/** fd 3 a hash, 4 an array, 5 a program array with a program, 6 that program, 7 a hash read-only. */
async function world(namespace: string): Promise<Session> {
  const session = await service.session(namespace);
  for (const map_type of ["hash", "array", "prog_array"]) {
    await session.post("/v1/maps", { map_type, ...SIZES });
  }
  await session.post("/v1/progs", { insns: "b7000000000000009500000000000000" });
  await session.put("/v1/fds/5/elements/u32:1", { value: { fd: 6 } });
  await session.put("/v1/fds/3/elements/u32:1", { value: "u32:7" });
  const { id } = (await session.get("/v1/fds/3")).body;
  await session.post("/v1/fds", { map_id: id, open_flags: 8 });
  return session;
}

const FDS = ["3", "4", "5", "6", "7", "0", "8", "99", "999999999", "2147483647", "03", "+3", "3.0"];
const KEYS = [
  ...["u32:0", "u32:1", "u32:3", "u32:4", "01000000", "0100000", "u32%3A1", "U32:1", "u8:1", "00"],
  ...[
    "be32:1",
    "u16:1+u16:0",
    "u16:1%2Bu16:0",
    "str:abcd",
    "str:a%62cd",
    "str:abc%00",
    "str:abc%0a",
  ],
  ...[
    "str:abc%7f",
    "str:abc",
    "%30%31000000",
    "%ff",
    "%zz",
    "%",
    "b64:AQAAAA==",
    "b64:AQAAAA%3D%3D",
  ],
  ...["zz", "-", ".", "..", "%2e%2e", "str:%C3%A9%C3%A9", "str:%ed%a0%80x", "0".repeat(3000)],
];
const HEADERS: Record<string, string>[] = [
  {},
  { accept: "application/json" },
  { accept: "*/*" },
  { accept: "text/html" },
  { accept: "application/octet-stream" },
  { authorization: "" },
  { authorization: "Bearer x" },
  { "content-encoding": "gzip" },
  { "content-type": "application/json; charset=utf-8" },
  { "content-type": "text/plain" },
  { "content-type": "application/octet-stream" },
];
const BODIES = [
  ...[
    '{"value":"01000000"}',
    '{"value":"u32:5"}',
    '{"value":"u32:5","flags":0}',
    '{"value":{"fd":6}}',
  ],
  ...['{"value":"u32:6","flags":1}', '{"value":"u32:6","flags":2}', '{"value":"u32:6","flags":3}'],
  ...[
    '{"value":"u32:6","flags":4}',
    '{"value":"u32:6","flags":9007199254740992}',
    '{"value":"u8:1"}',
  ],
  ...[
    '{"value":"u32:6","flags":"1"}',
    '{"value":"zz"}',
    '{"value":{"fd":3}}',
    '{"value":{"fd":-1}}',
  ],
  ...[
    '{"value":{"fd":6,"id":1}}',
    '{"value":null}',
    "{}",
    "[]",
    "null",
    "1",
    '"u32:1"',
    "true",
    "",
  ],
  ...[
    "{",
    '{"value":"u32:1"}x',
    '\ufeff{"value":"u32:1"}',
    '{"value":"u32:1","__proto__":{}}',
    " ",
  ],
  ...['{"value":"str:\\u0000abc"}', '{"value":"str:\\ud800"}', `{"value":"${"0".repeat(70_000)}"}`],
  ...[`{"value":${"[".repeat(40)}${"]".repeat(40)}}`, `${"[".repeat(20_000)}${"]".repeat(20_000)}`],
  ...[
    '{"value":"u32:1","value":"u32:2"}',
    '{"value":"u32:1.0"}',
    '{"value":"u16:1+u16:2"}',
    "\u0000",
  ],
];

/** Pointers and texts of the request's own id aside. */
function told({ status, headers, text }: RawAnswer) {
  const body: unknown = text.startsWith("{") ? { ...JSON.parse(text), request_id: "" } : text;
  return {
    status,
    body,
    type: headers["content-type"],
    allow: headers.allow,
    authenticate: headers["www-authenticate"],
    cache: headers["cache-control"],
  };
}

const usual = (session: Session) => ({ authorization: `Bearer ${session.token}` });
const paths = fc
  .tuple(fc.constantFrom(...FDS), fc.constantFrom(...KEYS))
  .map(([fd, key]) => `/v1/fds/${fd}/elements/${key}`);

it("a lookup is the same on both ways", async () => {
  const session = await world(service.namespace());
  const property = fc.asyncProperty(paths, fc.constantFrom(...HEADERS), async (path, headers) => {
    const all = { ...usual(session), ...headers };
    const plain = await raw(service.base, "GET", path, all);
    const general = await raw(service.base, "GET", `${path}?flags=0`, all);
    expect(told(plain), `${path} ${JSON.stringify(headers)}`).toEqual(told(general));
  });
  await fc.assert(property, { seed: SEED, numRuns: 1000, endOnFailure: true });
}, 60_000);

it("an update is the same on both ways, and leaves the same behind", async () => {
  const names = [service.namespace(), service.namespace()] as const;
  const [one, two] = [await world(names[0]), await world(names[1])];
  let n = 0;
  const contents = async (session: Session) =>
    Promise.all([3, 4, 5].map(async (fd) => (await session.get(`/v1/fds/${fd}/elements`)).body));
  const requests = fc.tuple(paths, fc.constantFrom(...HEADERS), fc.constantFrom(...BODIES));
  const property = fc.asyncProperty(requests, async ([path, headers, text]) => {
    const json = { "content-type": "application/json" };
    const body = Buffer.from(text);
    const plain = await raw(
      service.base,
      "PUT",
      path,
      { ...usual(one), ...json, ...headers },
      body,
    );
    n += 1;
    const general = await raw(
      service.base,
      "PUT",
      path,
      { ...usual(two), ...json, ...headers, "idempotency-key": `k${n}` },
      body,
    );
    const about = `${path} ${JSON.stringify(headers)} ${text.slice(0, 100)}`;
    expect(told(plain), about).toEqual(told(general));
    if (plain.status < 400) expect(await contents(one), about).toEqual(await contents(two));
  });
  await fc.assert(property, { seed: SEED, numRuns: 1000, endOnFailure: true });
  expect(await contents(one)).toEqual(await contents(two));
}, 60_000);

it("every body, to the key that is there, is the same on both ways", async () => {
  const [one, two] = [await world(service.namespace()), await world(service.namespace())];
  const json = { "content-type": "application/json" };
  for (const fd of [3, 4, 5]) {
    for (const [n, text] of BODIES.entries()) {
      const path = `/v1/fds/${fd}/elements/u32:1`;
      const plain = await raw(service.base, "PUT", path, { ...usual(one), ...json }, text);
      const more = { ...usual(two), ...json, "idempotency-key": `${fd}-${n}` };
      const general = await raw(service.base, "PUT", path, more, text);
      expect.soft(told(plain), text.slice(0, 100)).toEqual(told(general));
    }
  }
});

it("every key, of every map, is the same on both ways", async () => {
  const session = await world(service.namespace());
  for (const fd of FDS) {
    for (const key of KEYS) {
      const path = `/v1/fds/${fd}/elements/${key}`;
      const plain = await raw(service.base, "GET", path, usual(session));
      const general = await raw(service.base, "GET", `${path}?flags=0`, usual(session));
      expect.soft(told(plain), path.slice(0, 100)).toEqual(told(general));
    }
  }
});

it("a refused update changes nothing on either way", async () => {
  const namespace = service.namespace();
  const session = await world(namespace);
  const state = await dump(service.kernel, namespace);
  const json = { "content-type": "application/json" };
  for (const body of [
    "{",
    '{"value":"u8:1"}',
    '{"value":"u32:1","flags":1}',
    '{"value":{"fd":-1}}',
  ]) {
    const path = "/v1/fds/3/elements/u32:1";
    const answer = await raw(service.base, "PUT", path, { ...usual(session), ...json }, body);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await dump(service.kernel, namespace), body).toBe(state);
  }
});
