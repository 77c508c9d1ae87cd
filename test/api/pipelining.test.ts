import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { u32Hex } from "../support/bytes.ts";
import { randomBelow } from "../support/random.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Requests pipelined on one connection: RFC 9112, section 9.3.2. */

const service = await testService();
const MAP = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 };
const KEY = "/v1/fds/3/elements/u32:1";

interface Sent {
  method: string;
  path: string;
  body?: string;
}

const get = (path = KEY): Sent => ({ method: "GET", path });
const del = (path = KEY): Sent => ({ method: "DELETE", path });
const put = (n: number, path = KEY): Sent => ({
  method: "PUT",
  path,
  body: JSON.stringify({ value: `u32:${n}` }),
});

function text({ token }: TestSession, { method, path, body = "" }: Sent, more = ""): string {
  const head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\n${more}`;
  const about = `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  return `${head}${body ? about : ""}\r\n${body}`;
}

const port = () => Number(new URL(service.base).port);

async function open(): Promise<Socket> {
  const socket = connect(port(), "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

/** All requests in one write; the statuses and bodies in the order in which they arrive. */
async function pipelined(session: TestSession, requests: Sent[], more = ""): Promise<string[]> {
  const socket = await open();
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  const last = text(session, get("/livez"), "connection: close\r\n");
  socket.write(requests.map((request) => text(session, request, more)).join("") + last);
  await once(socket, "close");
  const responses = answer.split(/(?=HTTP\/1\.1 \d{3} )/).slice(0, -1);
  return responses.map((response) => {
    const [head = "", body = ""] = response.split("\r\n\r\n");
    const value = /"value":"(\w+)"/.exec(body)?.[1];
    return [head.slice(9, 12), ...(value ? [value] : [])].join(" ");
  });
}

async function world(): Promise<TestSession> {
  const session = await service.session(service.namespace());
  await session.post("/v1/maps", MAP);
  return session;
}

it("a pipelined PUT, PUT, GET of one element always reads the last value", async () => {
  const session = await world();
  for (let n = 1; n <= 100; n++) {
    const requests = [put(2 * n), put(2 * n + 1), get()];
    expect(await pipelined(session, requests)).toEqual(["204", "204", `200 ${u32Hex(2 * n + 1)}`]);
  }
});

it("pipelined requests on the general path keep their order too", async () => {
  const session = await world();
  for (let n = 1; n <= 20; n++) {
    const general = "accept: application/json, */*;q=0.1\r\n";
    const answers = await pipelined(session, [put(n), put(n + 1), get(), del(), get()], general);
    expect(answers).toEqual(["204", "204", `200 ${u32Hex(n + 1)}`, "204", "404"]);
  }
});

const SEED = Date.now() % 2 ** 31;

it("any pipelined mix of GET, PUT and DELETE answers as it does one by one", async () => {
  const session = await world();
  const random = randomBelow(SEED);
  for (let round = 0; round < 60; round++) {
    let value: number | undefined;
    await session.del(KEY);
    const requests: Sent[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 40; i++) {
      const kind = random(4);
      if (kind === 0) {
        requests.push(put(i));
        value = i;
        expected.push("204");
      } else if (kind === 1) {
        requests.push(del());
        expected.push(value === undefined ? "404" : "204");
        value = undefined;
      } else {
        requests.push(get());
        expected.push(value === undefined ? "404" : `200 ${u32Hex(value)}`);
      }
    }
    expect(await pipelined(session, requests), `seed ${SEED}`).toEqual(expected);
  }
});

it("requests queued behind a long poll do not run when the client disconnects", async () => {
  const session = await world();
  await session.post("/v1/maps", { map_type: "ringbuf", max_entries: 4096 });
  const socket = await open();
  const poll = get("/v1/fds/4/records?wait_ms=30000");
  socket.write([poll, put(1), put(2)].map((request) => text(session, request)).join(""));
  await delay(100);
  expect((await session.get(KEY)).status).toBe(404);
  socket.destroy();
  await delay(100);
  expect((await session.get(KEY)).status).toBe(404);
});

it("the service stops reading a connection that has many queued requests", async () => {
  const session = await world();
  await session.post("/v1/maps", { map_type: "ringbuf", max_entries: 4096 });
  let seen = 0;
  const count = () => {
    seen += 1;
  };
  service.server.on("request", count);
  const socket = await open();
  const one = text(session, put(1));
  socket.write(text(session, get("/v1/fds/4/records?wait_ms=30000")));
  for (let i = 0; i < 10; i++) {
    socket.write(one.repeat(1000));
    await delay(20);
  }
  service.server.off("request", count);
  // One read of 64 KiB holds about 300 of them.
  expect(seen).toBeLessThan(1000);
  socket.destroy();
});

it("a connection with more requests than the queue holds gets an answer to each", async () => {
  const session = await world();
  const requests = Array.from({ length: 2000 }, (_, i) => put(i));
  const answers = await pipelined(session, [...requests, get()]);
  expect(answers).toHaveLength(2001);
  expect(answers.at(-1)).toBe(`200 ${u32Hex(1999)}`);
});

it("GETs behind a slow GET do not wait for it", async () => {
  const session = await world();
  await session.post("/v1/maps", { map_type: "ringbuf", max_entries: 4096 });
  const socket = await open();
  const before = service.fastRequests();
  const poll = get("/v1/fds/4/records?wait_ms=30000");
  socket.write([poll, get(), get()].map((request) => text(session, request)).join(""));
  while (service.fastRequests() < before + 3) await delay(5);
  socket.destroy();
});
