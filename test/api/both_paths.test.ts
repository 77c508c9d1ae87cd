import { expect, it } from "vitest";
import { type Route, routes } from "../../api/openapi/openapi.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { randomBelow } from "../support/random.ts";
import { type RawAnswer, raw, typeOfBody } from "../support/raw.ts";
import { examples, partsOf, type Variant, variantsOf } from "../support/request_variants.ts";
import { type TestService, type TestSession, testService } from "../support/service.ts";

/**
 * The fast path answers as the general path does. The same requests, right and wrong, go to two services,
 * one of them without the fast path, and status, headers and body are compared.
 */

const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
process.stdout.write(`both paths: FUZZ_SEED=${SEED}\n`);
const fast = await testService(undefined, {}, "on");
const general = await testService(undefined, {}, "off");

const random = randomBelow(SEED);
const EVENTS = "text/event-stream";

const SIZES = { key_size: 4, value_size: 4, max_entries: 4 };

/**
 * fd 3 a hash, 4 an array, 5 a program array with a program, 6 that program, 7 the hash read-only,
 * 8 a ring buffer with a record, 9 a queue, 10 a hash with a schema; the hash is pinned at /x.
 */
async function world(service: TestService): Promise<TestSession> {
  const session = await service.session(service.namespace());
  for (const map_type of ["hash", "array", "prog_array"]) {
    await session.post("/v1/maps", { map_type, ...SIZES });
  }
  await session.post("/v1/progs", { insns: RETURN_ZERO_HEX });
  await session.put("/v1/fds/5/elements/u32:1", { value: { fd: 6 } });
  await session.put("/v1/fds/3/elements/u32:1", { value: "u32:7" });
  await session.post("/v1/fds", { map_id: 1, open_flags: 8 });
  await session.post("/v1/maps", { map_type: "ringbuf", max_entries: 4096 });
  await session.post("/v1/fds/8/records", { records: ["u32:1"] });
  await session.post("/v1/maps", { map_type: "queue", value_size: 4, max_entries: 4 });
  await session.post("/v1/maps", { ...SIZES, schema: { key: "__u32", value: "__u32" } });
  await session.put("/v1/fs?path=/x", { type: "pin", fd: 3 });
  return session;
}

/** Leaves out what differs between two namespaces, times and runs. */
function comparable({ status, headers, text }: RawAnswer) {
  const { date, ...rest } = headers;
  const same = text
    .replaceAll(/\bt-[0-9a-f]{16}\b/g, "NAMESPACE")
    .replaceAll(/"token":"[^"]*"/g, "TOKEN")
    // Both services create sessions in the namespace "default".
    .replaceAll(/"session":\{"id":\d+/g, "SESSION")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
    // Other tests have namespaces in the same Redis.
    .replaceAll(/"namespaces":\[[^\]]*\](,"next_cursor":"[^"]*")?/g, "LIST")
    .replaceAll(/"duration_ns":\d+/g, "DURATION")
    .replaceAll(/"(?:time_ns|random)":"?\d+"?/g, "SEED");
  // The id is that of a session in the namespace "default".
  if (/TOKEN/.test(same)) delete rest.location;
  // These texts may differ in length.
  if (/TOKEN|DURATION|SEED|LIST/.test(same)) delete rest["content-length"];
  return { status, headers: rest, text: same };
}

let sent = 0;

/** Ends what a request has created outside of the test's namespaces. */
async function endCreated(service: TestService, { text }: RawAnswer): Promise<void> {
  const token = /"token":"([^"]*)"/.exec(text)?.[1];
  const headers = { authorization: `Bearer ${token}` };
  if (token) await raw(service.base, "DELETE", "/v1/session", headers);
}

function send(service: TestService, { token }: TestSession, route: Route, variant: Variant) {
  const { path, headers, body } = variant;
  const method = route.method.toUpperCase();
  const usual: Record<string, string> = {
    authorization: `Bearer ${token}`,
    "x-request-id": `r${sent}`,
    ...(body === undefined ? {} : { "content-type": typeOfBody(route) }),
  };
  return raw(service.base, method, path, { ...usual, ...headers }, body);
}

/** The state that a rejected or half-done request could have changed. */
const LOOKS = ["/v1/fds", "/v1/fds/3/elements", "/v1/fds/4/elements", "/v1/fds/5/elements"];

async function seen(session: TestSession) {
  const paths = [...LOOKS, "/v1/fs?path=/", "/v1/fds/3", "/v1/fds/8/records?position=0"];
  const answers = await Promise.all(paths.map((path) => session.get(path)));
  return answers.map(({ status, body }) => [status, status < 400 ? body : body.errno]);
}

/** A long poll waits on both paths and events have no end, so one is enough. */
const isSlow = ({ path, headers }: Variant) =>
  /wait_ms=(?!0\b|1\b)\d|\/8\/records\/events/.test(path) || headers.accept === EVENTS;

async function compare(route: Route): Promise<void> {
  const method = route.method.toUpperCase();
  const [one, two] = [await world(fast), await world(general)];
  for (const variant of variantsOf(route, random)) {
    if (isSlow(variant)) continue;
    sent += 1;
    const answer = await send(fast, one, route, variant);
    const other = await send(general, two, route, variant);
    const about = `${method} ${JSON.stringify(variant).slice(0, 400)}`;
    expect(comparable(answer), about).toEqual(comparable(other));
    await endCreated(fast, answer);
    await endCreated(general, other);
  }
  expect(await seen(one)).toEqual(await seen(two));
}

it.each(routes.map((route) => [route.operation.operationId, route] as const))(
  "%s answers right and wrong requests the same on both paths",
  (_id, route) => compare(route),
  120_000,
);

const NOT_PLAIN = ["docsGet", "documentGet", "progDumpText", "ringEvents"];

it("the fast path takes the plain request of every operation that has JSON or octets", async () => {
  for (const route of routes) {
    const session = await world(fast);
    const before = fast.fastRequests();
    const { paths, queries } = partsOf(route);
    const path = queries[0] ? `${paths[0]}?${queries[0]}` : (paths[0] as string);
    const isJson = typeOfBody(route) === "application/json";
    const [example] = examples(route);
    const json = example === undefined ? undefined : JSON.stringify(example);
    const body = isJson ? json : "abcd";
    await send(fast, session, route, { path, headers: {}, body });
    const { operationId } = route.operation;
    const taken = NOT_PLAIN.includes(operationId) ? 0 : 1;
    expect(fast.fastRequests() - before, operationId).toBe(taken);
  }
});

it("no request of a service without the fast path takes it", () => {
  expect(general.fastRequests()).toBe(0);
});
