import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { routes } from "../../api/openapi/openapi.ts";
import { expectProblem, pathOf, raw, typeOfBody } from "../support/raw.ts";
import { testService } from "../support/service.ts";

/** Rules of HTTP, and what no client may make the service store or change. */

const service = await testService();
const withBody = routes.filter(({ operation }) => operation.requestBody);
const MAP = { key_size: 4, value_size: 4, max_entries: 8 };

/** The answers to HEAD and GET. Other tests make namespaces, so the list of them may change in between. */
async function headAndGet(path: string, headers: Record<string, string>) {
  for (;;) {
    const before = await raw(service.base, "GET", path, headers);
    const head = await raw(service.base, "HEAD", path, headers);
    const get = await raw(service.base, "GET", path, headers);
    if (before.text.length === get.text.length) return { head, get };
  }
}

it("HEAD answers as GET without the body, on every path that has GET", async () => {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", MAP);
  await session.put("/v1/fds/3/elements/u32:1", { value: "u32:1" });
  await session.put("/v1/fs?path=/x", { type: "directory" });
  const headers = { authorization: `Bearer ${session.token}` };
  for (const route of routes.filter(({ method }) => method === "get")) {
    const { head, get } = await headAndGet(pathOf(route), headers);
    expect(head.status, route.path).toBe(get.status);
    expect(head.text).toBe("");
    for (const name of ["content-type", "content-length", "www-authenticate"]) {
      if (name !== "content-length" || get.status < 400) {
        expect(head.headers[name], `${route.path} ${name}`).toBe(get.headers[name]);
      }
    }
  }
});

it("an unknown method is 405 with Allow, an unknown path or another case of it is 404", async () => {
  const paths = [...new Set(routes.map(({ path }) => path))];
  const known = paths.map((path) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`));
  for (const path of paths) {
    const methods = routes
      .filter((route) => route.path === path)
      .map(({ method }) => method.toUpperCase());
    const allowed = methods.includes("GET") ? [...methods, "HEAD"] : methods;
    const at = path.replace(/\{\w+\}/g, "1");
    for (const method of [
      "GET",
      "HEAD",
      "POST",
      "PUT",
      "PATCH",
      "DELETE",
      "OPTIONS",
      "TRACE",
      "LINK",
    ]) {
      if (allowed.includes(method)) continue;
      const answer = await raw(service.base, method, at);
      expect(answer.status, `${method} ${at}`).toBe(405);
      // RFC 9110, 15.5.6: the origin server MUST generate an Allow header field.
      expect(answer.headers.allow?.split(/, */).sort(), at).toEqual([...allowed].sort());
      if (method !== "HEAD") expectProblem(answer, at);
    }
    for (const other of [
      at.toUpperCase(),
      at.replace(/.$/, (c) => c.toUpperCase()),
      `${at}/no/such`,
    ]) {
      if (known.some((pattern) => pattern.test(other))) continue;
      const answer = await raw(service.base, "GET", other);
      expect(answer.status, other).toBe(404);
      expectProblem(answer, other);
    }
  }
});

it("a path with a slash at its end is 404, whatever the method", async () => {
  const { token } = await service.session(service.namespace());
  const headers = { authorization: `Bearer ${token}` };
  for (const route of routes) {
    const [path = "", query] = pathOf(route).split("?");
    const at = `${path}/${query === undefined ? "" : `?${query}`}`;
    const answer = await raw(service.base, route.method.toUpperCase(), at, headers);
    expect([answer.status, at]).toEqual([404, at]);
    expectProblem(answer, at);
  }
});

const MEDIA: [
  about: string,
  path: string,
  headers: Record<string, string>,
  body: string | undefined,
  status: number,
  detail: string,
][] = [
  [
    "a body without its type",
    "/v1/maps",
    {},
    "{}",
    415,
    "Content-Type is missing; send Content-Type: application/json",
  ],
  [
    "an optional body without its type",
    "/v1/sessions",
    {},
    '{"uid":1}',
    415,
    "Content-Type is missing",
  ],
  ["no body", "/v1/maps", {}, undefined, 400, "body: is missing"],
  ["an empty body", "/v1/maps", {}, "", 400, "body: is missing"],
  [
    "a chunked body without its type",
    "/v1/maps",
    { "transfer-encoding": "chunked" },
    "{}",
    415,
    "Content-Type is missing; send Content-Type: application/json",
  ],
  [
    "an optional chunked body without its type",
    "/v1/sessions",
    { "transfer-encoding": "chunked" },
    '{"uid":1}',
    415,
    "Content-Type is missing",
  ],
  [
    "an empty chunked body",
    "/v1/maps",
    { "transfer-encoding": "chunked" },
    "",
    400,
    "body: is missing",
  ],
  [
    "octets where JSON is taken",
    "/v1/fds/3/send",
    { "content-type": "application/octet-stream" },
    "x",
    415,
    "Content-Type application/octet-stream is not taken here; send application/json",
  ],
];

it.each(MEDIA)("%s is reported as such", async (_about, path, more, body, status, detail) => {
  const { token } = await service.session(service.namespace());
  const headers = { authorization: `Bearer ${token}`, ...more };
  const answer = await raw(service.base, "POST", path, headers, body);
  const problem = expectProblem(answer, path);
  expect([answer.status, problem.detail]).toEqual([status, expect.stringContaining(detail)]);
});

const HALF = { duplex: "half" } as const;

/** Sends a stream as fetch() does, chunked and without a type. */
const postStream = (path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(service.base + path, { method: "POST", headers, body: new Blob([body]).stream(), ...HALF });

it("a stream without its type is refused and changes nothing, an empty one is no body", async () => {
  const session = await service.session(service.namespace());
  const authorization = `Bearer ${session.token}`;
  const sessions = async () => (await session.get("/v1/sessions")).body.sessions.length;
  expect((await postStream("/v1/session/fork", '{"label":"x"}', { authorization })).status).toBe(
    415,
  );
  expect(await sessions()).toBe(1);
  expect((await postStream("/v1/session/fork", "", { authorization })).status).toBe(201);
  expect(await sessions()).toBe(2);
});

it("401 names the header that is missing, 405 the methods of Allow", async () => {
  const unknown = expectProblem(await raw(service.base, "GET", "/v1/session"), "401");
  expect(unknown.detail).toBe("Authorization: Bearer <session token> is missing");
  const answer = await raw(service.base, "LINK", "/v1/session");
  expect(expectProblem(answer, "405").detail).toContain(`allowed: ${answer.headers.allow}`);
});

const collect = () => {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
};

it("made-up content types do not accumulate in memory", async () => {
  const COUNT = 1000;
  const session = await service.session(service.namespace());
  const authorization = `Bearer ${session.token}`;
  const round = async (name: string, from: number, to: number) => {
    for (let n = from; n < to; n += 10) {
      const batch = Array.from({ length: 10 }, (_, i) => {
        const types = [`a/b${name}${n + i}`, `application/json; v=${name}${n + i}`];
        return Promise.all([
          raw(service.base, "GET", "/v1/session", {
            authorization,
            "content-type": types[0] ?? "",
          }),
          ...types.map((type) =>
            raw(
              service.base,
              "POST",
              "/v1/fds/9/send",
              { authorization, "content-type": type },
              "{}",
            ),
          ),
        ]);
      });
      const statuses = (await Promise.all(batch)).flat().map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([200, 415, 400]));
    }
  };
  await round("warm", 0, 200);
  const before = collect();
  await round("x", 0, COUNT);
  // Without the check each of them would keep 11.6 KB.
  expect((collect() - before) / 1024 / 1024).toBeLessThan(5);
});

const MIB = 1024 * 1024;
const LIMITS: Record<string, number> = {
  ...{ progLoad: 17 * MIB, mapBatch: 17 * MIB, mapBatchWriteBytes: 17 * MIB },
  ...{ mapCreate: 2 * MIB, elfLoad: 2 * MIB, elfLoadBytes: 2 * MIB },
  ...{ mapUpdate: 9 * MIB, mapUpdateBytes: 9 * MIB, mapPush: 9 * MIB },
  ...{ ringWrite: 9 * MIB, ringWriteBytes: 9 * MIB, btfLoad: 9 * MIB },
};

it("a body larger than the operation's limit is 413, with or without Content-Length", async () => {
  const session = await service.session(service.namespace());
  for (const route of withBody) {
    const size = (LIMITS[route.operation.operationId] ?? MIB) + 1;
    const body = Buffer.alloc(size, "a");
    const usual = { authorization: `Bearer ${session.token}`, "content-type": typeOfBody(route) };
    for (const untold of [{}, { "transfer-encoding": "chunked" }]) {
      const headers = { ...usual, ...untold };
      const answer = await raw(
        service.base,
        route.method.toUpperCase(),
        pathOf(route),
        headers,
        body,
      );
      expect(answer.status, route.operation.operationId).toBe(413);
      expectProblem(answer, route.path);
    }
  }
});

it("no name in a body, a query or a path can change Object.prototype", async () => {
  const session = await service.session(service.namespace());
  const headers = { authorization: `Bearer ${session.token}`, "content-type": "application/json" };
  const before = Object.getOwnPropertyDescriptors(Object.prototype);
  for (const name of ["__proto__", "constructor", "prototype", "constructor[prototype]"]) {
    const json = `{"${name}":{"polluted":1,"prototype":{"polluted":1}},"path":"/${name}"}`;
    for (const route of routes) {
      const at = pathOf(route);
      const path = `${at}${at.includes("?") ? "&" : "?"}${name}=1&${name}[polluted]=1`;
      const body = route.method === "get" || route.method === "delete" ? undefined : json;
      const sent = { ...headers, "content-type": typeOfBody(route) };
      const answer = await raw(service.base, route.method.toUpperCase(), path, sent, body);
      expect(answer.status, `${route.path} ${answer.text}`).toBe(400);
    }
    const named = encodeURIComponent(`/${name}`);
    expect((await session.put(`/v1/fs?path=${named}`, { type: "directory" })).status).toBe(201);
    await session.post("/v1/maps", { ...MAP, map_name: name });
  }
  expect(Object.getOwnPropertyDescriptors(Object.prototype)).toEqual(before);
});
