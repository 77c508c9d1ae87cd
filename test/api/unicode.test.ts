import { brotliCompressSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type Parameter, type Route, resolve, routes } from "../../api/openapi/openapi.ts";
import { dump, example, expectProblem, pathOf, raw } from "../support/raw.ts";
import { type TestService, type TestSession, testService } from "../support/service.ts";
import { changed, type FieldSteps, textFields } from "../support/text_fields.ts";

/** Ill-formed Unicode is 400 with the pointer, wherever a request can have text, on both paths. */

const fast = await testService(undefined, {}, "on");
const general = await testService(undefined, {}, "off");
const services = [fast, general];

const SIZES = { key_size: 4, value_size: 4, max_entries: 4 };

/** fd 3 a hash with an element, pinned at /x. */
async function world(service: TestService) {
  const namespace = service.namespace();
  const session = await service.session(namespace);
  await session.post("/v1/maps", { map_type: "hash", ...SIZES });
  await session.put("/v1/fds/3/elements/u32:1", { value: "u32:7" });
  await session.put("/v1/fs?path=/x", { type: "pin", fd: 3 });
  const state = () => dump(service.kernel, namespace);
  return { service, session, state, before: await state() };
}

interface IllFormedRequest {
  path: string;
  body?: Buffer | string;
  pointer: string;
}

type World = Awaited<ReturnType<typeof world>>;

async function expectRefused(at: World, method: string, request: IllFormedRequest) {
  const { path, body, pointer } = request;
  const headers = {
    authorization: `Bearer ${at.session.token}`,
    ...(body === undefined ? {} : { "content-type": "application/json" }),
  };
  const answer = await raw(at.service.base, method.toUpperCase(), path, headers, body);
  const about = `${method} ${path} ${body?.toString("latin1")}: ${answer.text}`;
  const problem = expectProblem(answer, about);
  expect([problem.status, problem.errno, problem.errors?.[0]?.pointer], about).toEqual([
    400,
    "EINVAL",
    pointer,
  ]);
  expect(answer.text.isWellFormed(), about).toBe(true);
  expect(answer.text, about).not.toContain("\ufffd");
}

/** Each as the text of JSON; no two of them make a pair with what surrounds them. */
const SURROGATES = [
  "\\ud800",
  "\\uDFFF",
  "\\udc00\\ud800",
  "\\uD83D\\u0041",
  "\\ud800\\ud800\\udc00",
];
/** A surrogate, an overlong slash, a byte of no sequence, a sequence that is cut, beyond U+10FFFF. */
const INVALID_UTF8 = ["eda080", "c0af", "ff", "e282", "f4908080"];

const affix = fc.string({ unit: "grapheme", maxLength: 4 });
/** The text between the quotes of a JSON string. */
const quoted = (text: string) => JSON.stringify(text).slice(1, -1);

const MARK = "MARK";

/** Puts octets in the place of the mark of a JSON text. */
function withOctets(json: string, hex: string): Buffer {
  const [before = "", after = ""] = json.split(MARK);
  return Buffer.concat([Buffer.from(before), Buffer.from(hex, "hex"), Buffer.from(after)]);
}

const pointerTo = (steps: FieldSteps) =>
  ["/body", ...steps.map((step) => String(step).replaceAll("/", "~1"))].join("/");

/** Bodies of the operation with the mark in each string and in a name of each object. */
function markedBodies(route: Route): { json: string; pointer: string }[] {
  const isJson = "application/json" in (route.operation.requestBody?.content ?? {});
  const right: unknown = isJson ? JSON.parse(example(route) ?? "{}") : {};
  const { strings, objects } = textFields(route);
  const named = (part: unknown) => ({ ...(part as object | undefined), [MARK]: 1 });
  return [
    ...strings.map((steps) => ({ steps, body: changed(right, steps, () => MARK) })),
    ...objects.map((steps) => ({ steps, body: changed(right, steps, named) })),
  ].map(({ steps, body }) => ({ json: JSON.stringify(body), pointer: pointerTo(steps) }));
}

let turn = 0;
/** Goes through the list, one for each call, so that every text meets many fields. */
const next = (list: readonly string[]) => list[turn++ % list.length] as string;

async function attackBodies(route: Route, at: World[]): Promise<void> {
  const [path, { method }] = [pathOf(route), route];
  for (const { json, pointer } of markedBodies(route)) {
    const [before = "", after = ""] = fc.sample(affix, 2).map(quoted);
    const [surrogate, hex] = [next(SURROGATES), next(INVALID_UTF8)];
    const escaped = json.replace(MARK, () => before + surrogate + after);
    const octets = withOctets(
      json.replace(MARK, () => before + MARK + after),
      hex,
    );
    for (const one of at) {
      await expectRefused(one, method, { path, body: escaped, pointer });
      await expectRefused(one, method, { path, body: octets, pointer: "/body" });
    }
  }
}

const percent = (hex: string) => hex.replaceAll(/../g, "%$&");
const BROKEN = [...INVALID_UTF8.map(percent), "%", "%zz", "%e9x"];

/** URLs of the operation with ill-formed text in each parameter, and in one that it does not have. */
function brokenUrls(route: Route): IllFormedRequest[] {
  const right = pathOf(route);
  const parameters = (route.operation.parameters ?? []).map(resolve);
  const places: Parameter[] = [...parameters, { name: "x", in: "query" }];
  const join = right.includes("?") ? "&" : "?";
  return places.flatMap(({ name, in: place }) => {
    if (place === "header") return [];
    const text = `a${next(BROKEN)}`;
    if (place === "query") {
      return [{ path: `${right}${join}${name}=${text}`, pointer: `/query/${name}` }];
    }
    const path = pathOf({ ...route, path: route.path.replace(`{${name}}`, text) });
    return [{ path, pointer: `/params/${name}` }];
  });
}

it.each(routes.map((route) => [route.operation.operationId, route] as const))(
  "%s refuses ill-formed Unicode in every text with the pointer, and changes nothing",
  async (_id, route) => {
    const at = await Promise.all(services.map(world));
    await attackBodies(route, at);
    for (const request of brokenUrls(route)) {
      for (const one of at) await expectRefused(one, route.method, request);
    }
    for (const one of at) expect(await one.state()).toBe(one.before);
  },
  60_000,
);

it.each([
  ["%ff=1", "/query"],
  ["a=1&%c0%af", "/query"],
  ["path=/x&limit=%", "/query/limit"],
])("a query %j with an ill-formed name or value has the pointer %s", async (query, pointer) => {
  for (const at of await Promise.all(services.map(world))) {
    await expectRefused(at, "GET", { path: `/v1/fs?${query}`, pointer });
  }
});

it("ill-formed Unicode in a path that no operation has is 400 as well", async () => {
  for (const at of await Promise.all(services.map(world))) {
    await expectRefused(at, "GET", { path: "/v1/nothing/%ff", pointer: "/params" });
  }
});

/** Text that is well-formed, however it is written, is stored as it is. */
it.each(["\u00e9", "\u{1f600}", "\\ud83d\\ude00", "\\u00e9", "\\\\ud800", "\\u0041", "\ufeff"])(
  "the label %s in JSON is stored as the text that it stands for",
  async (json) => {
    const expected: unknown = JSON.parse(`"${json}"`);
    for (const service of services) {
      const session = await service.session(service.namespace());
      const answer = await raw(
        service.base,
        "POST",
        "/v1/session/fork",
        { authorization: `Bearer ${session.token}`, "content-type": "application/json" },
        `{"label":"${json}"}`,
      );
      expect(answer.status, answer.text).toBe(201);
      expect(JSON.parse(answer.text).session.label).toBe(expected);
    }
  },
);

it.each([
  ["an escape", Buffer.from('{"label":"\\ud800"}'), "/body/label"],
  ["a byte", Buffer.from([...Buffer.from('{"label":"'), 0xff, 0x22, 0x7d]), "/body"],
  ["UTF-16", Buffer.from('\ufeff{"label":"a"}', "utf16le"), "/body"],
])("ill-formed Unicode is found in a body with a Content-Encoding: %s", async (...given) => {
  const [, body, pointer] = given;
  const session = await general.session(general.namespace());
  for (const [coding, sent] of [
    ["gzip", gzipSync(body)],
    ["br", brotliCompressSync(body)],
  ] as const) {
    const headers = {
      authorization: `Bearer ${session.token}`,
      "content-type": "application/json",
      "content-encoding": coding,
    };
    const answer = await raw(general.base, "POST", "/v1/session/fork", headers, sent);
    const problem = expectProblem(answer, coding);
    expect([problem.status, problem.errors?.[0]?.pointer]).toEqual([400, pointer]);
  }
});

it.each([
  ['{"value":{"a":{"\\udc00":1}}}', "/body/value/a"],
  ['{"value":{"b/~":["x",["\\ud800"]]}}', "/body/value/b~1~0/1/0"],
  ['{"value":1,"__proto__":{"\\ud800":1}}', "/body/__proto__"],
  ['{"\\ud800":1}', "/body"],
  ['"\\ud800"', "/body"],
])("the ill-formed text in %s is found at %s", async (body, pointer) => {
  const path = "/v1/fds/3/elements/u32:1?format=json";
  for (const at of await Promise.all(services.map(world))) {
    await expectRefused(at, "PUT", { path, body, pointer });
  }
});

async function send(service: TestService, { token }: TestSession, body: string) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  return raw(service.base, "PUT", "/v1/fds/3/elements/u32:2", headers, body);
}

it("of two properties with one name the last counts, on both paths", async () => {
  for (const { service, session } of await Promise.all(services.map(world))) {
    const body = '{"value":"u32:1","value":"u32:2"}';
    expect((await send(service, session, body)).status).toBe(204);
    const { body: element } = await session.get("/v1/fds/3/elements/u32:2");
    expect(element.value).toBe("02000000");
  }
});
