import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, it } from "vitest";
import { type ApiKey, ApiKeys } from "../../api/api_keys.ts";
import { readConfig } from "../../api/config.ts";
import { type Route, routes } from "../../api/openapi/openapi.ts";
import { startService } from "../../api/service.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { PATIENT } from "../support/patience.ts";
import {
  dump,
  example,
  expectProblem,
  pathOf,
  type RawAnswer,
  raw,
  typeOfBody,
} from "../support/raw.ts";
import { Client, TestSession, testService } from "../support/service.ts";

/** A caller without the right gets no data, changes nothing, and learns nothing of what exists. */

const keyed = (id: string, more: Partial<ApiKey> = {}): ApiKey => ({
  id,
  sha256: createHash("sha256").update(`key of ${id}`).digest("hex"),
  namespaces: ["t-*"],
  uid: 1000,
  gid: 1000,
  capabilities: ["CAP_BPF"],
  ...more,
});

const service = await testService();
const guarded = await testService(
  new ApiKeys([
    keyed("tenant"),
    keyed("other"),
    keyed("elsewhere", { namespaces: ["team-a"] }),
    keyed("operator", { uid: 0, gid: 0, capabilities: ["CAP_BPF", "CAP_KILL"] }),
    keyed("a"),
    keyed("a:b"),
  ]),
);

const secured = routes.filter(({ operation }) => operation.security?.some((s) => "session" in s));

function send(route: Route, authorization: string | undefined): Promise<RawAnswer> {
  const body = example(route);
  const headers: Record<string, string> = body ? { "content-type": typeOfBody(route) } : {};
  if (authorization !== undefined) headers.authorization = authorization;
  return raw(service.base, route.method.toUpperCase(), pathOf(route), headers, body);
}

const MAP = { key_size: 4, value_size: 4, max_entries: 8 };

// Tokens

function changed(token: string, at: number): string {
  const other = token[at] === "A" ? "B" : "A";
  return token.slice(0, at) + other + token.slice(at + 1);
}

it.each(secured.map((route) => [route.operation.operationId, route] as const))(
  "%s is denied without a token, with a wrong one and with a half-right one",
  async (_id, route) => {
    const [here, there] = [service.namespace(), service.namespace()];
    const mine = await service.session(here);
    const foreign = await service.session(there);
    const token = mine.token ?? "";
    const [, , secret, tag] = token.split(".");
    const state = await dump(service.kernel, here);
    const wrong = [
      ...[undefined, "", "Bearer", "Bearer x", "Bearer __proto__", `Basic ${token}`, token],
      ...[`Bearer ${token} `, `Bearer ${token}.`, `Bearer ${token},Bearer ${token}`],
      `Bearer bps_${there}.${foreign.id}.${secret}.${tag}`,
      `Bearer ${(foreign.token ?? "").replace(there, here)}`,
      ...[4, 30, 40, 60, token.length - 2].map((at) => `Bearer ${changed(token, at)}`),
    ].filter((value) => value !== `Bearer ${token} `);
    for (const authorization of wrong) {
      const answer = await send(route, authorization);
      expect(answer.status, authorization).toBe(401);
      // RFC 6750, 3: the resource server MUST include the "WWW-Authenticate" response header field.
      expect(answer.headers["www-authenticate"]).toMatch(/^Bearer\b/);
      expect(expectProblem(answer, String(authorization)).type).toBe("/docs/errors/unauthorized");
    }
    expect(await dump(service.kernel, here)).toBe(state);
  },
);

it("a token with any one character changed is denied", async () => {
  const { token = "" } = await service.session(service.namespace());
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const variants = Array.from(token, (_, at) => changed(token, at));
  for (const last of alphabet) if (!token.endsWith(last)) variants.push(token.slice(0, -1) + last);
  for (const variant of variants) {
    const answer = await raw(service.base, "GET", "/v1/session", {
      authorization: `Bearer ${variant}`,
    });
    expect(answer.status, variant.slice(-30)).toBe(401);
  }
});

async function ended(how: "exited" | "killed" | "expired"): Promise<TestSession> {
  const namespace = service.namespace();
  const observer = await service.session(namespace);
  const session = await service.session(namespace, how === "expired" ? { ttl_ms: 1000 } : {});
  if (how === "exited") await session.del("/v1/session");
  if (how === "killed") await observer.del(`/v1/sessions/${session.id}`);
  const living = async () => {
    const { body } = await observer.get("/v1/sessions");
    return body.sessions.map(({ id }: { id: number }) => id);
  };
  await expect.poll(living).not.toContain(session.id);
  return session;
}

it.each(["exited", "killed", "expired"] as const)(
  "a session that was %s answers 410 and the reason to every operation",
  async (how) => {
    const { token } = await ended(how);
    for (const route of secured) {
      const answer = await send(route, `Bearer ${token}`);
      expect(answer.status, route.operation.operationId).toBe(410);
      expect(expectProblem(answer, how)).toMatchObject({ errno: "ESRCH", reason: how });
    }
  },
);

it("each of the 256 random bits of a token takes both values", async () => {
  const secrets = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const seed = service.kernel.tokens.newSeed();
      return Buffer.from(
        service.kernel.tokens.write("x", 1, seed).split(".")[2] ?? "",
        "base64url",
      );
    }),
  );
  expect(new Set(secrets.map((secret) => secret.toString("hex"))).size).toBe(200);
  for (let bit = 0; bit < 256; bit++) {
    const ones = secrets.filter((secret) => ((secret[bit >> 3] ?? 0) >> (bit & 7)) & 1).length;
    // The chance that a bit is alike in all tokens is 2^-199.
    expect(ones).toBeGreaterThan(0);
    expect(ones).toBeLessThan(200);
  }
  expect(secrets.every((secret) => secret.length === 32)).toBe(true);
});

/** Everything a namespace's keys hold, their names too. */
const CONTENT = `
local all = {}
for _, key in ipairs(redis.call("KEYS", KEYS[1] .. "*")) do
  local kind = redis.call("TYPE", key).ok
  local read = { string = { "GET" }, hash = { "HGETALL" }, list = { "LRANGE", 0, -1 },
    zset = { "ZRANGE", 0, -1 }, set = { "SMEMBERS" }, stream = { "XRANGE", "-", "+" } }
  local command, from, to = unpack(read[kind])
  local value = from and redis.call(command, key, from, to) or redis.call(command, key)
  all[#all + 1] = key .. " " .. (type(value) == "table" and table.concat(value, " ") or value)
end
return table.concat(all, "\\n")`;

it("Redis holds neither tokens nor the secret, even with an Idempotency-Key", async () => {
  const namespace = service.namespace();
  const key = { "idempotency-key": "once" };
  const create = await new Client(service.base).post("/v1/sessions", { namespace }, key);
  const first = new TestSession(service.base, create.body);
  const again = await new Client(service.base).post("/v1/sessions", { namespace }, key);
  expect(again.body.token).toBe(first.token);
  const child = first.as((await first.post("/v1/session/fork", {}, key)).body);
  await child.del("/v1/session");
  const stored = String(await service.kernel.script.redis.eval(CONTENT, 1, `bpf:{${namespace}}:`));
  expect(stored).toContain("idem:");
  for (const { token = "" } of [first, child]) {
    const [, , secret = "missing", tag = "missing"] = token.split(".");
    for (const part of [token, secret, tag, Buffer.from(secret, "base64url").toString("hex")]) {
      expect(stored).not.toContain(part);
    }
  }
});

it("no token appears in the log or in a problem, even after a fault of the service", async () => {
  const lines: string[] = [];
  const config = { ...readConfig(PATIENT), port: 0 };
  const running = await startService(config, inject("redisUrl"), Buffer.alloc(32, 7), (...line) =>
    lines.push(JSON.stringify(line)),
  );
  const base = `http://127.0.0.1:${running.address.port}`;
  const namespace = service.namespace();
  const { body } = await new Client(base).post("/v1/sessions", { namespace });
  const session = new TestSession(base, body);
  const { fd, id } = (await session.post("/v1/maps", MAP)).body;
  const map = `bpf:{${namespace}}:map:${id}`;
  const { redis } = service.kernel.script;
  const attr = (await redis.hget(map, "attr")) ?? "";
  await redis.hset(map, "attr", attr.replace("hash", "nonsense"));
  const headers = { authorization: `Bearer ${session.token}` };
  const answers = [
    await raw(base, "GET", `/v1/fds/${fd}/elements/u32:1`, headers),
    await raw(base, "GET", `/v1/fds/${fd}/elements?limit=1`, headers),
    await raw(base, "GET", `/v1/session?token=x`, headers),
    await raw(base, "GET", "/v1/session", { authorization: `Bearer ${session.token}x` }),
  ];
  await redis.hset(map, "attr", attr);
  await running.stop();
  expect(answers.map(({ status }) => status)).toEqual([500, 500, 400, 401]);
  for (const answer of answers) expectProblem(answer, answer.text);
  for (const { headers: h } of answers.slice(0, 2)) {
    expect(lines.join("\n")).toContain(h["x-request-id"]);
  }
  const [, , secret = "missing"] = (session.token ?? "").split(".");
  expect(lines.join("\n") + answers.map(({ text }) => text).join()).not.toContain(secret);
});

// Objects of other namespaces

const FOREIGN: [string, string, object?][] = [
  ["GET", "/v1/maps/#"],
  ["GET", "/v1/progs/#"],
  ["POST", "/v1/fds", { map_id: "#" }],
  ["POST", "/v1/fds", { prog_id: "#" }],
  ["DELETE", "/v1/sessions/#"],
  ["POST", "/v1/fds/3/send", { session: "#" }],
  ["GET", "/v1/fds/#"],
  ["GET", "/v1/fs?path=/pin#"],
  ["POST", "/v1/fds", { path: "/pin#" }],
];

it("an object of another namespace looks like one that does not exist", async () => {
  const rich = await service.session(service.namespace());
  const poor = await service.session(service.namespace());
  await poor.post("/v1/maps", MAP);
  for (let n = 0; n < 7; n++) {
    const { fd } = (await rich.post("/v1/maps", MAP)).body;
    await rich.post("/v1/progs", { insns: RETURN_ZERO_HEX });
    await rich.put(`/v1/fs?path=/pin${n}`, { type: "pin", fd });
    await rich.post("/v1/session/fork");
  }
  const ask = async ([method, path, body]: [string, string, object?], n: number) => {
    const text = JSON.stringify(body)?.replace('"#"', String(n)).replace("#", String(n));
    const answer = await poor.send(method, path.replace("#", String(n)), text && JSON.parse(text));
    const { request_id: _, ...problem } = answer.body;
    return { status: answer.status, problem: JSON.stringify(problem).replaceAll(String(n), "#") };
  };
  for (const request of FOREIGN) {
    const foreign = await ask(request, 5);
    expect(foreign, request.join(" ")).toEqual(await ask(request, 7777));
    expect(foreign.status).toBe(404);
  }
  expect((await poor.get("/v1/maps")).body.maps).toHaveLength(1);
  expect((await poor.get("/v1/sessions")).body.sessions).toHaveLength(1);
});

// API keys

const start = (id: string | undefined, body: object, more: Record<string, string> = {}) =>
  new Client(guarded.base).post("/v1/sessions", body, {
    ...(id === undefined ? {} : { "x-api-key": `key of ${id}` }),
    ...more,
  });

it("a missing or unknown API key creates no session", async () => {
  const namespace = guarded.namespace();
  for (const id of [undefined, "nobody", "", "tenant, key of other"]) {
    const answer = await start(id, { namespace });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toBeTruthy();
  }
});

it("a request without an API key is rejected before its body is read", async () => {
  const answers = await Promise.all(
    [{ namespace: 7 }, { label: "\ud800" }].map((body) => start(undefined, body)),
  );
  expect(answers.map(({ status }) => status)).toEqual([401, 401]);
});

const TENANT = { uid: 1000, gid: 1000, capabilities: [] };
it.each([
  ["tenant", {}, 201, TENANT],
  [
    "tenant",
    { uid: 1000, groups: [1000], capabilities: ["bpf"] },
    201,
    { capabilities: ["CAP_BPF"] },
  ],
  ["tenant", { uid: 0 }, 403, { errno: "EPERM" }],
  ["tenant", { uid: 0, capabilities: [] }, 403, { errno: "EPERM" }],
  ["tenant", { uid: 1001 }, 403, { errno: "EPERM" }],
  ["tenant", { gid: 0 }, 403, { errno: "EPERM" }],
  ["tenant", { groups: [1000, 0] }, 403, { errno: "EPERM" }],
  ["tenant", { capabilities: ["CAP_BPF", "CAP_SYS_ADMIN"] }, 403, { errno: "EPERM" }],
  ["elsewhere", {}, 403, { type: "/docs/errors/forbidden" }],
  ["operator", {}, 201, { uid: 0, capabilities: ["CAP_BPF", "CAP_KILL"] }],
  ["operator", { uid: 5, groups: [0] }, 201, { uid: 5, capabilities: [] }],
  ["operator", { capabilities: ["CAP_SYS_ADMIN"] }, 403, { errno: "EPERM" }],
] as const)("API key %s that asks for %j gets %i", async (id, body, status, expected) => {
  const answer = await start(id, { namespace: guarded.namespace(), ...body });
  expect(answer.status).toBe(status);
  expect(answer.body.session ?? answer.body).toMatchObject(expected);
});

it("a tenant's session cannot raise its own capabilities", async () => {
  const { body } = await start("tenant", {
    namespace: guarded.namespace(),
    capabilities: ["CAP_BPF"],
  });
  const session = new TestSession(guarded.base, body);
  for (const change of [{ uid: 0 }, { gid: 0 }, { groups: [0] }]) {
    expect((await session.patch("/v1/session", change)).body.errno).toBe("EPERM");
  }
  const child = session.as((await session.post("/v1/session/fork")).body);
  expect((await child.get("/v1/session")).body).toMatchObject({
    uid: 1000,
    capabilities: ["CAP_BPF"],
  });
});

it.each([
  ["tenant", "k", "other", "k"],
  ["a", "b:k", "a:b", "k"],
])(
  "an Idempotency-Key of API key %s (%s) never answers API key %s (%s)",
  async (one, key, two, same) => {
    const namespace = guarded.namespace();
    const first = await start(one, { namespace }, { "idempotency-key": key });
    const second = await start(two, { namespace }, { "idempotency-key": same });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body.token).not.toBe(first.body.token);
  },
);

it("a HOST beyond loopback is rejected without API keys and accepted with them", () => {
  for (const HOST of ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org"]) {
    expect(() => readConfig({ HOST })).toThrow(/API_KEYS_FILE/);
  }
  for (const HOST of ["", "127.0.0.1", "127.1.2.3", "::1", "localhost"]) {
    expect(readConfig({ HOST }).keys).toBeUndefined();
  }
  const dir = mkdtempSync(join(tmpdir(), "bpf-keys-"));
  const file = join(dir, "keys.json");
  try {
    writeFileSync(file, JSON.stringify({ keys: [keyed("tenant")] }));
    expect(readConfig({ HOST: "0.0.0.0", API_KEYS_FILE: file }).keys).toBeDefined();
    for (const content of ["{}", '{"keys":[]}', "[", '{"keys":[{"id":"x"}]}']) {
      writeFileSync(file, content);
      expect(() => readConfig({ HOST: "0.0.0.0", API_KEYS_FILE: file })).toThrow();
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
  expect(() => readConfig({ TOKEN_SECRET: "short" })).toThrow(/32/);
});
