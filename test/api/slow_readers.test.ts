import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, expect, it, vi } from "vitest";
import { SlowReaders } from "../../api/slow_readers.ts";
import { testService } from "../support/service.ts";

/** Clients that do not read their answers are cut, so that they hold no memory for long. */

const service = await testService();
const clients: Socket[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

/** A client that sends a request and reads nothing. */
function silent(port: number, head: string, body = ""): Socket {
  const client = connect(port, "127.0.0.1").pause();
  client.on("error", () => {});
  client.write(`${head}\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  clients.push(client);
  return client;
}

it("a client that takes no byte of its answer for 30 s is cut, one that reads in time is not", async () => {
  const session = await service.session(service.namespace());
  const map = { map_type: "array", key_size: 4, value_size: 4 * 1024 * 1024, max_entries: 4 };
  await session.post("/v1/maps", map);
  const accepted = once(service.server, "connection") as Promise<[Socket]>;
  const client = silent(
    Number(new URL(service.base).port),
    "POST /v1/fds/3/batch HTTP/1.1\r\nContent-Type: application/json\r\n" +
      `Authorization: Bearer ${session.token}`,
    JSON.stringify({ op: "lookup", count: 4 }),
  );
  const [socket] = await accepted;
  await vi.waitFor(() => expect(socket.timeout).toBe(30_000), { timeout: 20_000 });
  expect(socket.writableLength).toBeGreaterThan(0);
  client.resume();
  await vi.waitFor(
    () => expect(socket.timeout, "that of idle connections").toBeGreaterThan(60_000),
    {
      timeout: 20_000,
    },
  );
  client.pause();
  client.write(
    "POST /v1/fds/3/batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
      `Authorization: Bearer ${session.token}\r\nContent-Length: 25\r\n\r\n{"op":"lookup","count":4}`,
  );
  await vi.waitFor(() => expect(socket.timeout).toBe(30_000), { timeout: 20_000 });
  socket.emit("timeout");
  await once(socket, "close");
});

it("the answers that were left unread for longest go when all of them take too much memory", async () => {
  const SIZE = 32 << 20;
  const responses: ServerResponse[] = [];
  const server = createServer((_, res) => {
    responses.push(res);
    res.end(Buffer.alloc(SIZE));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    for (let i = 1; i <= 3; i++) {
      silent(port, "GET / HTTP/1.1");
      await vi.waitFor(() => expect(responses).toHaveLength(i));
    }
    const readers = new SlowReaders(2 * SIZE + SIZE / 2);
    readers.check(responses);
    expect(responses.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
    readers.check(responses.slice(1));
    expect(responses.map(({ destroyed }) => destroyed)).toEqual([true, false, false]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
