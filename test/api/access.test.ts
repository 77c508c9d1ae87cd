import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { accessRules } from "../../api/access/access_rules.ts";
import { ApiKeys } from "../../api/api_keys.ts";
import { readConfig } from "../../api/config.ts";
import { routes } from "../../api/openapi/openapi.ts";
import { expectProblem, pathOf, type RawAnswer, raw } from "../support/raw.ts";
import { type TestService, testService } from "../support/service.ts";

/** Who may use a service from a browser: names of the host, origins of pages, with and without keys. */

const LISTED = "https://page.example";
const withLists = (hasKeys: boolean) => accessRules(hasKeys, ["bpf.example"], [LISTED]);

const fast = await testService();
const general = await testService(undefined, {}, "off");
const listing = await testService(undefined, {}, "on", withLists(false));
const secret = "key of page";
const keys = new ApiKeys([
  {
    id: "page",
    sha256: createHash("sha256").update(secret).digest("hex"),
    namespaces: ["t-*"],
    uid: 0,
    gid: 0,
    capabilities: "all",
  },
]);
const keyed = await testService(keys);
const keyedListing = await testService(keys, {}, "on", withLists(true));

const portOf = ({ base }: TestService) => new URL(base).port;

const get = (service: TestService, headers: Record<string, string>, path = "/docs") =>
  raw(service.base, "GET", path, headers);

const PROBES = ["/livez", "/readyz"];
const HOST_PROBLEM = "/docs/errors/host-not-allowed";
const ORIGIN_PROBLEM = "/docs/errors/origin-not-allowed";

function expectRefused(answer: RawAnswer, type: string, setting: string): void {
  const problem = expectProblem(answer, answer.text);
  expect([answer.status, problem.type]).toEqual([403, type]);
  expect(problem.detail).toContain(setting);
}

describe.each([
  ["the fast path", fast],
  ["the general path", general],
])("Host without API keys, on %s", (name, service) => {
  it.each([
    ...["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.8.7", "127.1", "[::1]"],
    ...["[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "localhost:1", "127.0.0.1:65535", "[::1]:8080"],
  ])(`the Host %s of loopback is answered on ${name}`, async (host) => {
    expect((await get(service, { host })).status).toBe(200);
  });

  it.each([
    ...["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost"],
    ...["127.0.0.1@evil.example", "evil.example@127.0.0.1", "127.0.0.1/", "10.0.0.1", "0.0.0.0"],
    ...["[::2]", "[::1", "::1", "127.0.0.1:x", "127.0.0.1:80:80", "localhost,evil", "local host"],
    ...["bpf.example", "xn--localhost", "128.0.0.1", "[::ffff:128.0.0.1]", "%6c"],
  ])(`the Host %s is refused on ${name}`, async (host) => {
    expectRefused(await get(service, { host }), HOST_PROBLEM, "ALLOWED_HOSTS");
  });

  it(`a refused Host reaches no operation on ${name}, and a body after it no parser`, async () => {
    const headers = { host: "evil.example", "content-type": "application/json" };
    for (const route of routes) {
      if (PROBES.includes(route.path)) continue;
      const body = route.operation.requestBody ? "x".repeat(1000) : undefined;
      const answer = await raw(
        service.base,
        route.method.toUpperCase(),
        pathOf(route),
        headers,
        body,
      );
      expectRefused(answer, HOST_PROBLEM, "ALLOWED_HOSTS");
    }
    for (const path of ["/", "/docs", "/docs/start.js", "/nowhere"]) {
      expectRefused(await get(service, headers, path), HOST_PROBLEM, "ALLOWED_HOSTS");
    }
  });
});

/** Sends text as it is and reads until the service closes the connection. */
async function rawText(service: TestService, request: string): Promise<string> {
  const socket = connect(Number(portOf(service)), "127.0.0.1");
  socket.write(request);
  return text(socket);
}

describe("Host", () => {
  it("HTTP/1.0 needs no Host, HTTP/1.1 without one is a 400 with a problem", async () => {
    expect(await rawText(fast, "GET /docs HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 /);
    const answer = await rawText(fast, "GET /docs HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(answer).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*application\/problem\+json[\s\S]*header Host is missing/,
    );
  });

  it("the host of an absolute URL counts instead of the header", async () => {
    const end = "Host: localhost\r\nConnection: close\r\n\r\n";
    const foreign = await rawText(fast, `GET http://evil.example/docs HTTP/1.1\r\n${end}`);
    expect(foreign).toContain(HOST_PROBLEM);
    const own = await rawText(fast, `GET http://127.0.0.1/docs HTTP/1.1\r\n${end}`);
    expect(own).not.toContain(HOST_PROBLEM);
  });

  it("a probe is answered under every Host, and nothing beside it", async () => {
    const host = "10.0.0.9:8080";
    for (const service of [fast, general, keyedListing]) {
      for (const path of [...PROBES, "/livez?x"]) {
        const { text: answer } = await get(service, { host }, path);
        expect(answer).not.toContain(HOST_PROBLEM);
      }
      expect((await get(service, { host }, "/readyz")).status).toBe(200);
      for (const path of ["/livez/", "/livez/x", "/livezz", "/x/livez", "/x?/livez", "//livez"]) {
        expectRefused(await get(service, { host }, path), HOST_PROBLEM, "ALLOWED_HOSTS");
      }
    }
    const origin = "https://evil.example";
    expectRefused(await get(fast, { host, origin }, "/livez"), ORIGIN_PROBLEM, "CORS_ORIGINS");
  });

  it("a listed name is answered, and with API keys every name unless a list exists", async () => {
    const foreign = { host: "other.example:99" };
    for (const host of ["bpf.example", "BPF.Example:8080", "localhost"]) {
      expect((await get(listing, { host })).status).toBe(200);
      expect((await get(keyedListing, { host })).status).toBe(200);
    }
    expectRefused(await get(listing, foreign), HOST_PROBLEM, "ALLOWED_HOSTS");
    expectRefused(await get(keyedListing, foreign), HOST_PROBLEM, "ALLOWED_HOSTS");
    expect((await get(keyed, foreign)).status).toBe(200);
  });
});

const post = (service: TestService, headers: Record<string, string>) =>
  raw(service.base, "POST", "/v1/sessions", headers);

async function sessions(service: TestService): Promise<number> {
  const session = await service.session("default");
  const { body } = await session.get("/v1/sessions");
  await session.del("/v1/session");
  return body.sessions.length;
}

/** Ends the session that a test has made in the namespace "default". */
async function end(service: TestService, answer: RawAnswer): Promise<void> {
  const { token } = JSON.parse(answer.text);
  await raw(service.base, "DELETE", "/v1/session", { authorization: `Bearer ${token}` });
}

describe("Origin without API keys", () => {
  it.each([
    ["the fast path", fast],
    ["the general path", general],
  ])("an empty simple POST of another origin makes no session on %s", async (_name, service) => {
    const port = portOf(service);
    for (const origin of [
      ...["https://evil.example", "null", "", "file://", `http://127.0.0.1:${port}0`],
      ...["http://127.0.0.1", `http://127.0.0.1:${port}@evil.example`, LISTED, "http://localhost"],
      ...[`ftp://127.0.0.1:${port}`, `http://127.0.0.1:${port}.evil.example`],
      ...[`http://127.0.0.1:${port}/`, `http://127.0.0.1:${port}/x`, `https:127.0.0.1:${port}`],
    ]) {
      expectRefused(await post(service, { origin }), ORIGIN_PROBLEM, "CORS_ORIGINS");
    }
    for (const site of ["cross-site", "same-site"]) {
      const answer = await post(service, { "sec-fetch-site": site });
      expectRefused(answer, ORIGIN_PROBLEM, "CORS_ORIGINS");
    }
  });

  it("the service's own page, a listed origin and a program without Origin make sessions", async () => {
    const own = portOf(listing);
    for (const headers of [
      {},
      { "sec-fetch-site": "none" },
      { "sec-fetch-site": "same-origin" },
      { origin: `http://127.0.0.1:${own}`, "sec-fetch-site": "same-origin" },
      { origin: "https://bpf.example", host: "bpf.example" },
      { origin: "https://bpf.example", host: "bpf.example:443" },
      { origin: "http://bpf.example", host: "BPF.example:80" },
      { origin: "http://bpf.example:99", host: "BPF.example:99" },
      { origin: LISTED, "sec-fetch-site": "cross-site" },
    ]) {
      const answer = await post(listing, headers as Record<string, string>);
      expect([answer.status, headers]).toEqual([201, headers]);
      await end(listing, answer);
    }
  });

  it("a link from another site leads to the pages", async () => {
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
    for (const path of ["/docs", "/docs/start.js", "/openapi.yaml", "/livez"]) {
      expect((await get(fast, headers, path)).status).toBe(200);
    }
  });

  it("a refused request changes nothing", async () => {
    const before = await sessions(fast);
    await post(fast, { origin: "https://evil.example" });
    await post(fast, { host: "evil.example" });
    expect(await sessions(fast)).toBe(before);
  });
});

const preflight = (service: TestService, origin: string, method = "POST") =>
  raw(service.base, "OPTIONS", "/v1/sessions", {
    origin,
    "access-control-request-method": method,
    "access-control-request-headers": "content-type",
  });

const corsHeaders = ({ headers }: RawAnswer) =>
  Object.keys(headers).filter((name) => name.startsWith("access-control"));

describe("CORS", () => {
  it("a preflight of a listed origin is 204 with what the contract has, and no credentials", async () => {
    for (const service of [listing, keyedListing]) {
      const { status, headers, text: body } = await preflight(service, LISTED, "PATCH");
      expect([status, body]).toEqual([204, ""]);
      expect(headers["access-control-allow-origin"]).toBe(LISTED);
      expect(headers["access-control-allow-methods"]).toBe("DELETE, GET, HEAD, PATCH, POST, PUT");
      const allowed = headers["access-control-allow-headers"]?.split(", ") ?? [];
      for (const name of [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "If-Match",
        "X-API-Key",
        "traceparent",
        "tracestate",
      ]) {
        expect(allowed).toContain(name);
      }
      expect(headers["access-control-max-age"]).toBe("7200");
      expect(headers["access-control-allow-credentials"]).toBeUndefined();
      expect(headers.vary).toContain("Origin");
    }
  });

  it("a preflight of another origin gets no permission", async () => {
    for (const origin of ["https://evil.example", `${LISTED}.evil.example`, "null", `${LISTED}/`]) {
      expectRefused(await preflight(listing, origin), ORIGIN_PROBLEM, "CORS_ORIGINS");
      const answer = await preflight(keyedListing, origin);
      expect([answer.status, corsHeaders(answer)]).toEqual([405, []]);
      expect(answer.headers.vary).toContain("Origin");
    }
    expect((await preflight(fast, LISTED)).status).toBe(403);
    expect((await preflight(keyed, LISTED)).status).toBe(405);
  });

  it("every kind of answer to a listed origin may be read, with its headers", async () => {
    const session = await listing.session(listing.namespace());
    await session.post("/v1/maps", { key_size: 4, value_size: 4, max_entries: 4 });
    await session.put("/v1/fds/3/elements/u32:1", { value: "u32:7" });
    const headers = { origin: LISTED, authorization: `Bearer ${session.token}` };
    for (const [path, status] of [
      ...([
        ["/v1/fds/3/elements/u32:1", 200],
        ["/v1/fds/9", 404],
        ["/v1/nowhere", 404],
      ] as const),
      ...([
        ["/docs", 200],
        ["/docs/start.js", 200],
        ["/v1/fds?limit=x", 400],
      ] as const),
    ]) {
      const answer = await get(listing, headers, path);
      expect([path, answer.status]).toEqual([path, status]);
      expect(answer.headers["access-control-allow-origin"]).toBe(LISTED);
      expect(answer.headers.vary).toContain("Origin");
      const exposed = answer.headers["access-control-expose-headers"]?.split(", ") ?? [];
      for (const name of [
        ...["ETag", "X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy", "Location"],
        ...Object.keys(answer.headers).filter((sent) => /^(?:bpf-|etag|www-auth)/.test(sent)),
      ]) {
        expect(exposed.map((one) => one.toLowerCase())).toContain(name.toLowerCase());
      }
      expect(exposed.map((name) => name.toLowerCase())).toContain("bpf-map-revision");
      const other = await get(keyedListing, { ...headers, origin: "https://evil.example" }, path);
      expect(corsHeaders(other)).toEqual([]);
    }
  });

  it("events of a listed origin may be read", async () => {
    const session = await listing.session(listing.namespace());
    await session.post("/v1/maps", { map_type: "ringbuf", max_entries: 4096 });
    const headers = {
      ...{ origin: LISTED, accept: "text/event-stream", authorization: `Bearer ${session.token}` },
    };
    const answer = await new Promise<RawAnswer["headers"]>((resolve, reject) => {
      const req = httpRequest(`${listing.base}/v1/fds/3/records`, { headers }, (res) => {
        resolve(res.headers);
        res.destroy();
      });
      req.on("error", reject);
      req.end();
    });
    expect(answer["content-type"]).toBe("text/event-stream");
    expect(answer["access-control-allow-origin"]).toBe(LISTED);
  });

  it("without a list no answer has headers of CORS", async () => {
    for (const service of [fast, keyed]) {
      const { headers } = await get(service, {});
      expect(headers.vary ?? "").not.toMatch(/Origin/);
      expect(corsHeaders({ headers } as RawAnswer)).toEqual([]);
    }
  });
});

describe("settings", () => {
  it("ALLOWED_HOSTS and CORS_ORIGINS are lists, normalized as browsers do", () => {
    const { access } = readConfig({
      ALLOWED_HOSTS: "Bpf.Example, 10.0.0.1,,[0::1]",
      CORS_ORIGINS: "https://Page.example/ http://localhost:3000, http://a:80, Tauri://localhost",
    });
    expect(access.hosts).toEqual(["bpf.example", "10.0.0.1", "[::1]", "127.0.0.1"]);
    expect(access.corsOrigins).toEqual([
      "https://page.example",
      "http://localhost:3000",
      "http://a",
      "tauri://localhost",
    ]);
    expect(readConfig({}).access).toEqual({ hosts: [], corsOrigins: [], refusesOrigins: true });
  });

  it.each([
    ...[
      ["ALLOWED_HOSTS", "*"],
      ["ALLOWED_HOSTS", "a.example:80"],
      ["ALLOWED_HOSTS", "http://a"],
    ],
    ...[
      ["ALLOWED_HOSTS", "a/b"],
      ["ALLOWED_HOSTS", "::1"],
      ["ALLOWED_HOSTS", "a@b"],
    ],
    ...[
      ["CORS_ORIGINS", "*"],
      ["CORS_ORIGINS", "null"],
      ["CORS_ORIGINS", "page.example"],
    ],
    ...[
      ["CORS_ORIGINS", "https://a/b"],
      ["CORS_ORIGINS", "file://a"],
      ["CORS_ORIGINS", "https://*.a"],
    ],
  ])("%s=%s is refused in one line that shows what is allowed", (name, value) => {
    expect(() => readConfig({ [name as string]: value })).toThrow(
      new RegExp(`^${name}=\\S+: must be .*, separated by commas; wrong: "[^\n]+"$`),
    );
  });
});
