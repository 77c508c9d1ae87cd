import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, it } from "vitest";
import { testService } from "../support/service.ts";

/** What happens to bodies before they are read, to those that nobody reads, and to absolute targets. */

const service = await testService();
const port = Number(new URL(service.base).port);
const HOST = "Host: localhost\r\n";
let authorized = "";
const JSON_HEAD = "Content-Type: application/json\r\n";
const MAP = JSON.stringify({ map_type: "hash", key_size: 4, value_size: 4, max_entries: 1 });
const HUGE = 300_000_000;

beforeEach(async () => {
  const { token } = await service.session(service.namespace());
  authorized = `${HOST}Authorization: Bearer ${token}\r\n`;
});

function open(head: string): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}); // of a connection that the service closes
  socket.write(head);
  return socket;
}

/** Sends a text and resolves to all that comes until the service closes the connection. */
const answerTo = (request: string) => text(open(request));

describe("a body that is not wanted", () => {
  it("a body over the limit is 413 before any of it is sent", async () => {
    const head = `POST /v1/maps HTTP/1.1\r\n${authorized}${JSON_HEAD}Content-Length: ${HUGE}\r\n\r\n`;
    const answer = await answerTo(head);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/connection: close/i);
    expect(answer).toContain("the body must have at most 2097152 bytes");
  });

  it("a client that expects 100 Continue gets a refusal in its place", async () => {
    const expecting = `Expect: 100-continue\r\n${JSON_HEAD}Content-Length: `;
    const large = `POST /v1/maps HTTP/1.1\r\n${authorized}${expecting}${HUGE}\r\n\r\n`;
    expect(await answerTo(large)).toMatch(/^HTTP\/1\.1 413 /);
    const stranger = `POST /v1/maps HTTP/1.1\r\nHost: localhost\r\n${expecting}9\r\n\r\n`;
    expect(await answerTo(stranger)).toMatch(/^HTTP\/1\.1 401 /);
  });

  it("a client that expects 100 Continue gets it when its body is wanted", async () => {
    const head = `POST /v1/maps HTTP/1.1\r\n${authorized}${JSON_HEAD}Connection: close\r\n`;
    const socket = open(`${head}Content-Length: ${MAP.length}\r\nExpect: 100-continue\r\n\r\n`);
    const [first] = (await once(socket, "data")) as [Buffer];
    expect(String(first)).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    socket.write(MAP);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 201 /);
  });

  it.each([
    ["without a token", "POST /v1/maps", false, 401],
    ["to an unknown path", "POST /v1/nothing", true, 404],
    ["of a GET", "GET /v1/session", true, 200],
  ])("a chunked body %s is not read", async (_about, start, hasToken, status) => {
    const head = `${start} HTTP/1.1\r\n${hasToken ? authorized : HOST}${JSON_HEAD}`;
    const answer = await answerTo(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  it("a client that goes on sending after its refusal is disconnected", async () => {
    const connection = once(service.server, "connection") as Promise<[Socket]>;
    const socket = open(
      `POST /v1/maps HTTP/1.1\r\nHost: localhost\r\n${JSON_HEAD}Content-Length: ${HUGE}\r\n\r\n`,
    );
    const [server] = await connection;
    const chunk = Buffer.alloc(64 * 1024, " ");
    const send = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", send).resume();
    send();
    await once(server, "close");
    socket.destroy();
    expect(server.bytesRead).toBeLessThan(8 * 1024 * 1024);
  });

  it("a connection is kept after a short body that nobody read", async () => {
    const refused = `POST /v1/maps HTTP/1.1\r\nHost: localhost\r\n${JSON_HEAD}Content-Length: 2\r\n\r\n{}`;
    const next = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    const answer = await answerTo(refused + next);
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 401", "HTTP/1.1 200"]);
  });
});

describe("targets in absolute form", () => {
  const get = (target: string, headers: string) =>
    answerTo(`GET ${target} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`);

  it.each([
    "http://localhost/v1/session",
    "HTTP://127.0.0.1:99/v1/session",
    "https://localhost/v1/session",
    "http://localhost/v1/maps?limit=1",
  ])("%s is answered as in origin form", async (target) => {
    expect(await get(target, authorized)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("an absolute target without a path means the root", async () => {
    const at = (target: string) => get(target, authorized).then((answer) => answer.slice(0, 12));
    expect(await at("http://localhost")).toBe(await at("/"));
    expect(await at("http://localhost?x=1")).toBe(await at("/?x=1"));
  });

  it("the authority of the target replaces the Host", async () => {
    const foreign = authorized.replace("localhost", "evil.example");
    expect(await get("http://localhost/v1/session", foreign)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get("http://evil.example/v1/session", authorized)).toMatch(/^HTTP\/1\.1 403 /);
  });

  it("a target with userinfo or without a host is malformed", async () => {
    for (const target of ["http://a@localhost/v1/session", "http:///v1/session"]) {
      expect(await get(target, authorized), target).toMatch(/^HTTP\/1\.1 400 /);
    }
  });
});

it("a JSON body in the coding identity is taken", async () => {
  const head = `POST /v1/maps HTTP/1.1\r\n${authorized}${JSON_HEAD}Connection: close\r\n`;
  const coding = `Content-Encoding: Identity\r\nContent-Length: ${MAP.length}\r\n\r\n`;
  expect(await answerTo(head + coding + MAP)).toMatch(/^HTTP\/1\.1 201 /);
});
