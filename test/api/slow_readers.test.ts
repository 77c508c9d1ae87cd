import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import { afterEach, expect, it, vi } from "vitest";
import { SlowReaders } from "../../api/slow_readers.ts";
import { narrowEntrance } from "../support/narrow_entrance.ts";
import { WAIT } from "../support/patience.ts";
import { testService } from "../support/service.ts";

/** Clients that do not read their answers are cut, so that they hold no memory for long. */

const service = await testService();
const entrance = await narrowEntrance(service.server);

const SIZE = 32 << 20;
const responses: ServerResponse[] = [];
const large = createServer((_, res) => {
  responses.push(res);
  res.end(Buffer.alloc(SIZE));
});
const largeEntrance = await narrowEntrance(large);

const clients: Socket[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

/** A client that sends a request and reads nothing. */
function silent(to: NetConnectOpts, head: string, body = ""): Socket {
  const client = connect(to).pause();
  client.on("error", () => {});
  client.write(`${head}\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  clients.push(client);
  return client;
}

it("a client that takes no byte of its answer for 30 s is cut, one that reads in time is not", async () => {
  const session = await service.session(service.namespace());
  const map = { map_type: "array", key_size: 4, value_size: 512 * 1024, max_entries: 4 };
  await session.post("/v1/maps", map);
  const accepted = once(service.server, "connection") as Promise<[Socket]>;
  const client = silent(
    { path: entrance },
    "POST /v1/fds/3/batch HTTP/1.1\r\nContent-Type: application/json\r\n" +
      `Authorization: Bearer ${session.token}`,
    JSON.stringify({ op: "lookup", count: 4 }),
  );
  const [socket] = await accepted;
  await vi.waitFor(() => expect(socket.timeout).toBe(30_000), WAIT);
  expect(socket.writableLength).toBeGreaterThan(0);
  client.resume();
  await vi.waitFor(
    () => expect(socket.timeout, "that of idle connections").toBeGreaterThan(60_000),
    WAIT,
  );
  client.pause();
  client.write(
    "POST /v1/fds/3/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
      `Authorization: Bearer ${session.token}\r\nContent-Length: 25\r\n\r\n{"op":"lookup","count":4}`,
  );
  await vi.waitFor(() => expect(socket.timeout).toBe(30_000), WAIT);
  socket.emit("timeout");
  await once(socket, "close");
});

it("the answers that were left unread for longest go when all of them take too much memory", async () => {
  for (let i = 1; i <= 3; i++) {
    silent({ path: largeEntrance }, "GET / HTTP/1.1");
    await vi.waitFor(() => expect(responses).toHaveLength(i), WAIT);
  }
  const readers = new SlowReaders(2 * SIZE + SIZE / 2);
  readers.check(responses);
  expect(responses.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  readers.check(responses.slice(1));
  expect(responses.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
});
