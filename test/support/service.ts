import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, expect, inject } from "vitest";
import { accessRules } from "../../api/access/access_rules.ts";
import type { ApiKeys } from "../../api/api_keys.ts";
import { type AppOptions, createService } from "../../api/app.ts";
import type { Hooks } from "../../api/fast_path/fast_path.ts";
import { createKernel, type Kernel } from "../../domain/bpf.ts";
import type { Settings } from "../../domain/settings.ts";
import { checkResponse, comparingHooks } from "./hooks.ts";
import { differences } from "./invariants/invariants.ts";
import { leftKeys } from "./left_keys.ts";
import { DEADLINE_MS } from "./patience.ts";

/**
 * Starts the service as it ships, on the Redis of the test run. After every test it recomputes
 * every count of the used namespaces from the holders. Then it ends all sessions and removes all
 * pins; the test fails if anything but counters is left.
 */

export interface TestReply {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is what a test says it is
  body: any;
  headers: Headers;
}

export class Client {
  readonly base: string;
  readonly token: string | undefined;

  constructor(base: string, token?: string) {
    this.base = base;
    this.token = token;
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const octets = Buffer.isBuffer(body);
    const all: Record<string, string> = { ...headers };
    if (this.token) all.authorization = `Bearer ${this.token}`;
    if (body !== undefined) {
      all["content-type"] ??= octets ? "application/octet-stream" : "application/json";
    }
    const init: RequestInit = { method, headers: all };
    if (body !== undefined) init.body = octets ? new Uint8Array(body) : JSON.stringify(body);
    const response = await fetch(this.base + path, init);
    const bytes = Buffer.from(await response.arrayBuffer());
    const json = response.headers.get("content-type")?.includes("json");
    const answer: TestReply = {
      status: response.status,
      body: json ? JSON.parse(bytes.toString()) : bytes,
      headers: response.headers,
    };
    return answer;
  }

  get = (path: string, headers?: Record<string, string>) =>
    this.send("GET", path, undefined, headers);
  post = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send("POST", path, body, headers);
  put = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send("PUT", path, body, headers);
  patch = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send("PATCH", path, body, headers);
  del = (path: string, headers?: Record<string, string>) =>
    this.send("DELETE", path, undefined, headers);
}

export interface TestService {
  base: string;
  server: Server;
  kernel: Kernel;
  /** Returns how many requests took the fast path. */
  fastRequests(): number;
  /** Returns a fresh namespace, which is checked and cleaned after the test. */
  namespace(): string;
  /** Creates a session, by default of root. */
  session(namespace: string, more?: object): Promise<TestSession>;
}

/** Sends requests with the token of a session. */
export class TestSession extends Client {
  readonly id: number;

  constructor(base: string, created: { session: { id: number }; token: string }) {
    super(base, created.token);
    this.id = created.session.id;
  }

  as(created: { session: { id: number }; token: string }): TestSession {
    return new TestSession(this.base, created);
  }
}

/** The vitest project "both paths" sets this; then both paths read each request and must agree. */
const COMPARED = process.env.FAST_PATH === "compared";

function createHooks(compared: boolean, faults: Error[]) {
  let taken = 0;
  const comparing: Hooks = compared ? comparingHooks((fault) => faults.push(fault)) : {};
  const hooks: Hooks = {
    onResponse: checkResponse,
    ...comparing,
    onFastRequest(req, request) {
      if (request) taken += 1;
      comparing.onFastRequest?.(req, request);
    },
  };
  return { hooks, fastRequests: () => taken };
}

/**
 * @param fastPath the option of the service; the default is "on" or the choice of the vitest
 * project
 * @param access the default is that of a service whose settings name no host and no origin
 */
export async function testService(
  keys?: ApiKeys,
  settings: Partial<Settings> = {},
  fastPath: NonNullable<AppOptions["fastPath"]> = COMPARED ? "compared" : "on",
  access = accessRules(keys !== undefined),
): Promise<TestService> {
  const kernel = createKernel(inject("redisUrl"), randomBytes(32), {
    deadline: DEADLINE_MS,
    ...settings,
  });
  await kernel.script.ready();
  const faults: Error[] = [];
  const { hooks, fastRequests } = createHooks(fastPath === "compared", faults);
  const server = await createService(
    { kernel, keys, ready: () => kernel.script.ping() },
    { fastPath, access, hooks, compile: "on use", onFault: (error) => faults.push(error) },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const used: string[] = [];

  afterEach(async () => {
    for (const namespace of used.splice(0)) {
      expect(await differences(kernel.script.redis, namespace)).toEqual([]);
      await expectNothingLeft(kernel, namespace);
      expect(await differences(kernel.script.redis, namespace)).toEqual([]);
    }
    expect(faults.splice(0).map((fault) => fault.stack)).toEqual([]);
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    kernel.disconnect();
  });

  return {
    base,
    server,
    kernel,
    fastRequests,
    namespace() {
      const name = `t-${randomBytes(8).toString("hex")}`;
      used.push(name);
      return name;
    },
    async session(namespace, more = {}) {
      const { status, body } = await new Client(base).post("/v1/sessions", {
        namespace,
        ttl_ms: 3_600_000,
        ...more,
      });
      expect(status, JSON.stringify(body)).toBe(201);
      return new TestSession(base, body);
    },
  };
}

async function expectNothingLeft(kernel: Kernel, namespace: string): Promise<void> {
  const caller = await janitor(kernel, namespace);
  await removeAll(kernel, caller);
  for (;;) {
    const { sessions } = await kernel.sessionList(caller, { limit: 100 });
    const others = sessions.filter(({ id }) => String(id) !== caller.sid);
    if (others.length === 0) break;
    // A session may end by itself between the list and this.
    for (const { id } of others) await kernel.kill(caller, id).catch(ignoreEsrch);
  }
  await kernel.exit(caller);
  while ((await kernel.sweep(namespace)).workLeft);
  expect(await leftKeys(kernel.script.redis, namespace)).toEqual([]);
}

function ignoreEsrch(error: { code?: string }): void {
  if (error.code !== "ESRCH") throw error;
}

async function janitor(kernel: Kernel, namespace: string) {
  const nobody = { namespace, sid: "", hash: "", record: "", fingerprint: "" };
  const { token } = await kernel.sessionCreate(nobody, {
    label: "janitor",
    ttl_ms: 60_000,
    uid: 0,
    gid: 0,
    groups: [],
    capabilities: "*",
    umask: 0o022,
    nofile: 1024,
  });
  return { ...kernel.tokens.read(token), record: "", fingerprint: "" };
}

async function removeAll(kernel: Kernel, caller: Awaited<ReturnType<typeof janitor>>) {
  const how = { follow: true, entries: true, limit: 1000 };
  await kernel.setattr(caller, "/", { mode: 0o1777, uid: 0, gid: 0 });
  for (;;) {
    const root = await kernel.stat(caller, "/", how);
    if (root.type !== "directory" || !root.entries?.length) return;
    for (const { name } of root.entries) await kernel.unlinkTree(caller, `/${name}`);
  }
}
