import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { routes } from "../../api/openapi/openapi.ts";
import { startService } from "../../api/service.ts";
import { PATIENT } from "../support/patience.ts";
import { dump, example, pathOf, type RawAnswer, raw } from "../support/raw.ts";
import { closeEvents, events, problem, put, RINGBUF, ringWorld } from "../support/ring_fixture.ts";
import { Client, TestSession, testService } from "../support/service.ts";

/** Tickets open the event stream of one descriptor without a header, for a short time. */

const service = await testService();
const { world, lookOften } = ringWorld(service);
closeEvents();

const EVENTS = "/v1/fds/3/records/events";
const HOLDER = new Client(service.base);

async function ticketOf(session: TestSession, body: object = {}): Promise<string> {
  const answer = await session.post("/v1/session/tickets", { fd: 3, ...body });
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.ticket;
}

const at = (ticket: string, path = EVENTS) => `${path}?ticket=${ticket}`;

/** A request of the stream that must fail. */
const refused = (path: string, headers: Record<string, string> = {}) =>
  raw(service.base, "GET", path, { accept: "text/event-stream", ...headers });

const statusAndDetail = ({ status, text }: RawAnswer) => [status, JSON.parse(text).detail];

/** Lets time pass for the process alone. */
function leap(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
  onTestFinished(() => {
    vi.useRealTimers();
  });
}

describe("ticketCreate", () => {
  it("gives a ticket for 30 seconds, or for as long as asked, and stores nothing", async () => {
    const { namespace, session } = await world();
    const state = await dump(service.kernel, namespace);
    const before = Date.now();
    const { body } = await session.post("/v1/session/tickets", { fd: 3 });
    const life = Date.parse(body.expires_at) - before;
    expect(life).toBeGreaterThanOrEqual(30_000);
    expect(life).toBeLessThan(40_000);
    const longer = await session.post("/v1/session/tickets", { fd: 3, ttl_ms: 300_000 });
    expect(Date.parse(longer.body.expires_at) - before).toBeGreaterThanOrEqual(300_000);
    expect(body.ticket).not.toContain(session.token?.split(".")[2]);
    expect(await dump(service.kernel, namespace)).toBe(state);
  });

  it.each([999, 300_001, 0, -1, 1.5, "30000"])("rejects the ttl_ms %s", async (ttl_ms) => {
    const { session } = await world();
    const { status, body } = await session.post("/v1/session/tickets", { fd: 3, ttl_ms });
    expect([status, body.errors[0].pointer]).toEqual([400, "/body/ttl_ms"]);
  });

  it("fails as a read of the descriptor does", async () => {
    const { session } = await world();
    await session.post("/v1/maps", { key_size: 4, value_size: 4, max_entries: 1 });
    await session.post("/v1/fds", { path: "/ring", file_flags: 16 });
    const errno = async (fd: number) =>
      (await session.post("/v1/session/tickets", { fd })).body.errno;
    expect(await Promise.all([9, 4, 5].map(errno))).toEqual(["EBADF", "ENOTSUPP", "EPERM"]);
    await session.del("/v1/session");
    expect((await session.post("/v1/session/tickets", { fd: 3 })).status).toBe(410);
  });
});

describe("a stream opened with a ticket", () => {
  it("reads as the session does, again and again, and goes on after the ticket's time", async () => {
    lookOften();
    const { session } = await world();
    await put(session, ["01", "02"]);
    const ticket = await ticketOf(session, { ttl_ms: 1000 });
    const first = await events(HOLDER, at(ticket));
    expect(await first.next()).toEqual({ id: "16", data: "01" });
    const again = await events(HOLDER, at(ticket), "16");
    expect(await again.next()).toEqual({ id: "32", data: "02" });
    leap(2000);
    expect((await refused(at(ticket))).status).toBe(401);
    await put(session, ["03"]);
    expect(await again.next()).toEqual({ id: "48", data: "03" });
  });

  it("ends with the session, after which its ticket is 410", async () => {
    lookOften();
    const { session } = await world();
    const ticket = await ticketOf(session);
    const { next } = await events(HOLDER, at(ticket));
    await session.del("/v1/session");
    expect(problem(await next())).toMatchObject({ status: 410, reason: "exited" });
    expect(await next()).toBeUndefined();
    const { status, text } = await refused(at(ticket));
    expect([status, JSON.parse(text).reason]).toEqual([410, "exited"]);
  });

  it("ends with the namespace", async () => {
    lookOften();
    const { namespace, session } = await world();
    const { next } = await events(HOLDER, at(await ticketOf(session)));
    expect((await HOLDER.del(`/v1/namespaces/${namespace}`)).status).toBe(204);
    expect(problem(await next())).toMatchObject({ status: 410, reason: "deleted" });
  });
});

describe("a ticket", () => {
  it("does nothing but open the stream of its descriptor", async () => {
    const { namespace, session } = await world();
    await session.post("/v1/maps", RINGBUF);
    const ticket = await ticketOf(session);
    const state = await dump(service.kernel, namespace);
    for (const route of routes) {
      const { method, operation } = route;
      if (!operation.security?.some((scheme) => "session" in scheme)) continue;
      const body = example(route);
      const json: Record<string, string> = body ? { "content-type": "application/json" } : {};
      const path = pathOf(route);
      const url = `${path}${path.includes("?") ? "&" : "?"}ticket=${ticket}`;
      const send = (to: string, headers: Record<string, string>) =>
        raw(service.base, method.toUpperCase(), to, { ...json, ...headers }, body);
      const statuses = [(await send(path, { authorization: `Bearer ${ticket}` })).status];
      if (operation.operationId !== "ringEvents") statuses.push((await send(url, {})).status);
      expect(new Set(statuses), operation.operationId).toEqual(new Set([401]));
    }
    expect(statusAndDetail(await refused(at(ticket, "/v1/fds/4/records/events")))).toEqual([
      ...[401, "the ticket is for fd 3, got 4"],
    ]);
    expect(await dump(service.kernel, namespace)).toBe(state);
  });

  it("is refused for another ring buffer with the same fd, of which it consumes nothing", async () => {
    const { session } = await world();
    const ticket = await ticketOf(session);
    await session.del("/v1/fds/3");
    expect((await session.post("/v1/maps", RINGBUF)).body.fd).toBe(3);
    await put(session, ["01", "02"]);
    const { status, text } = await refused(`${at(ticket)}&position=16`);
    expect([status, JSON.parse(text).errno]).toEqual([404, "EBADF"]);
    const { body } = await session.get("/v1/fds/3/records");
    expect(body.records.map(({ data }: { data: string }) => data)).toEqual(["01", "02"]);
    const { next } = await events(HOLDER, at(await ticketOf(session)));
    expect(await next()).toEqual({ id: "16", data: "01" });
  });

  it("is refused when it is expired, changed, of another kind or repeated", async () => {
    const { session } = await world();
    const ticket = await ticketOf(session);
    for (let i = 0; i < ticket.length; i++) {
      const other = ticket[i] === "1" ? "2" : "1";
      const changed = ticket.slice(0, i) + other + ticket.slice(i + 1);
      expect((await refused(at(changed))).status, changed).toBe(401);
    }
    for (const wrong of ["", "x", session.token ?? "", `${ticket}&ticket=${ticket}`]) {
      expect((await refused(at(wrong))).status, wrong).toBe(401);
    }
    leap(30_001);
    const [status, detail] = statusAndDetail(await refused(at(ticket)));
    expect([status, detail]).toEqual([401, expect.stringMatching(/^the ticket expired at 20.*Z/)]);
  });

  it("is not needed beside a token, and does not excuse a wrong descriptor", async () => {
    const { session } = await world();
    await put(session, ["01"]);
    const { next } = await events(session, at("expired"));
    expect(await next()).toEqual({ id: "16", data: "01" });
    const wrong = await refused(at("x"), { authorization: "Bearer wrong" });
    expect(statusAndDetail(wrong)).toEqual([401, "not a session token"]);
  });

  it("appears neither in the log nor in a problem", async () => {
    const lines: string[] = [];
    const config = { ...readConfig(PATIENT), port: 0 };
    const log = (...line: unknown[]) => lines.push(JSON.stringify(line));
    const url = inject("redisUrl");
    const running = await startService(config, url, Buffer.alloc(32, 7), log);
    const base = `http://127.0.0.1:${running.address.port}`;
    const namespace = service.namespace();
    const { body } = await new Client(base).post("/v1/sessions", { namespace });
    const session = new TestSession(base, body);
    await session.post("/v1/maps", RINGBUF);
    const ticket = await ticketOf(session);
    const map = `bpf:{${namespace}}:map:1`;
    const { redis } = service.kernel.script;
    const attr = (await redis.hget(map, "attr")) ?? "";
    await redis.hset(map, "attr", attr.replace("ringbuf", "nonsense"));
    const accept = { accept: "text/event-stream" };
    const answers = [
      await raw(base, "GET", at(ticket), accept),
      await raw(base, "GET", at(`${ticket}x`), accept),
      await raw(base, "GET", `${at(ticket)}&position=x`, accept),
      await raw(base, "POST", at(ticket), accept),
    ];
    await redis.hset(map, "attr", attr);
    await running.stop();
    expect(answers.map(({ status }) => status)).toEqual([500, 401, 400, 405]);
    expect(lines.join()).toContain("request_id");
    const [, , hash = "", , , , tag = ""] = ticket.split(".");
    for (const text of [...lines, ...answers.map((answer) => answer.text)]) {
      for (const part of [ticket, hash, tag]) expect(text).not.toContain(part);
    }
  });
});

it("the logs of the proxy in scripts/ leave out queries, which hold tickets", () => {
  const config = readFileSync(join(import.meta.dirname, "../../scripts/nginx.conf"), "utf8");
  const logs = config.match(/^\s*(?:error_log|log_format)[^;]*;/gm)?.join("\n") ?? "";
  // Messages below crit quote the request line.
  expect(logs).toMatch(/^error_log \S+ (?:crit|alert|emerg);$/m);
  expect(logs).not.toMatch(/\$(?:request|request_uri|args|query_string|arg_\w+|http_referer)\b/);
});
