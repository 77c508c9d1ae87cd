import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AnswerRoom } from "../../api/answer_room.ts";
import { NoPlace, Unavailable } from "../../domain/errno.ts";
import { narrowEntrance } from "../support/narrow_entrance.ts";
import { WAIT } from "../support/patience.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Long answers take turns at the memory that all of them may have. */

const service = await testService();
const entrance = await narrowEntrance(service.server);

const HOUR = 3_600_000;

/** A response whose client has not taken it yet. */
class OpenResponse extends EventEmitter {
  destroyed = false;
  readonly socket = {};
  readonly req = { socket: { destroyed: false } };

  close(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

/** Answers of a room by the names of their namespaces, and those that have room so far. */
function roomOf(bytes: number, patience = HOUR) {
  const room = new AnswerRoom(bytes, patience);
  const begun: string[] = [];
  const enter = (namespace: string, size: number) => {
    const res = new OpenResponse();
    const entered = room
      .enter(res as unknown as ServerResponse, namespace, size)
      .then(() => begun.push(namespace));
    entered.catch(() => {});
    return { res, entered };
  };
  const settled = async () => {
    await new Promise(setImmediate);
    return begun;
  };
  return { enter, settled };
}

describe("room for long answers", () => {
  it("a namespace has at most as much as it leaves, so another one finds room", async () => {
    const { enter, settled } = roomOf(100);
    for (let i = 0; i < 10; i++) enter("a", 10);
    expect(await settled()).toEqual(Array(5).fill("a"));
    enter("b", 10);
    enter("b", 10);
    enter("b", 10);
    expect((await settled()).slice(5)).toEqual(["b", "b"]);
    enter("c", 30);
    expect((await settled()).slice(7), "the first of a namespace may take the rest").toEqual(["c"]);
  });

  it("an answer that waits gets room when another one is taken or its client leaves", async () => {
    const { enter, settled } = roomOf(100);
    const first = enter("a", 50);
    enter("a", 50);
    expect(await settled()).toEqual(["a"]);
    first.res.close();
    first.res.emit("close");
    expect(await settled()).toEqual(["a", "a"]);
    enter("a", 50);
    expect(await settled(), "room is given back once").toHaveLength(2);
  });

  it("what waits behind an answer whose client leaves gets the room that it has", async () => {
    const { enter, settled } = roomOf(100);
    enter("a", 40);
    const large = enter("a", 40);
    enter("a", 10);
    expect(await settled()).toEqual(["a"]);
    large.res.close();
    expect(await settled()).toEqual(["a", "a"]);
  });

  it("answers of a namespace keep their order, and namespaces take turns", async () => {
    const { enter, settled } = roomOf(100);
    const held = enter("z", 100);
    enter("a", 20);
    enter("a", 5);
    enter("b", 5);
    held.res.close();
    expect(await settled()).toEqual(["z", "a", "b", "a"]);
  });

  it("an answer whose client has left does not wait any more", async () => {
    const { enter, settled } = roomOf(40);
    const held = enter("z", 40);
    const left = enter("a", 20);
    left.res.close();
    await expect(left.entered).rejects.toThrow(Unavailable);
    held.res.close();
    expect(await settled()).toEqual(["z"]);
  });

  it("an answer that finds no room in time is refused, and leaves its place", async () => {
    const { enter, settled } = roomOf(40, 20);
    const held = enter("z", 40);
    const waiting = enter("a", 20);
    await expect(waiting.entered).rejects.toThrow("clients have not taken other long answers");
    held.res.close();
    await vi.waitFor(async () => expect(await settled()).toEqual(["z"]), WAIT);
  });

  it("beyond 32 that wait, the newest of the namespace with the most is refused", async () => {
    const { enter, settled } = roomOf(40);
    enter("z", 40);
    const waiting = Array.from({ length: 32 }, () => enter("a", 20));
    await expect(enter("a", 20).entered).rejects.toThrow("32 of the 32 places for long answers");
    const neighbour = enter("b", 20);
    await expect(waiting.at(-1)?.entered).rejects.toThrow(NoPlace);
    neighbour.res.close();
    await expect(neighbour.entered).rejects.toThrow("disconnected");
    expect(await settled()).toEqual(["z"]);
  });
});

describe("clients that read nothing", () => {
  const LOOKUP = JSON.stringify({ op: "lookup", count: 16 });
  const clients: Socket[] = [];
  afterEach(() => {
    for (const client of clients) client.destroy();
  });

  it("many of one namespace leave room for the answer of another, and are refused beyond", async () => {
    const map = { map_type: "array", key_size: 4, value_size: 1 << 20, max_entries: 16 };
    const sessionWithMap = async (): Promise<TestSession> => {
      const session = await service.session(service.namespace());
      await session.post("/v1/maps", map);
      return session;
    };
    const [crowded, neighbour] = [await sessionWithMap(), await sessionWithMap()];
    const head =
      "POST /v1/fds/3/batch/read-bytes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" +
      `Authorization: Bearer ${crowded.token}\r\nContent-Length: ${LOOKUP.length}\r\n\r\n`;
    const heads: string[] = [];
    for (let i = 0; i < 44; i++) {
      const client = connect({ path: entrance });
      client.on("error", () => {});
      client.once("data", (chunk: Buffer) => {
        heads.push(chunk.toString("latin1"));
        client.pause();
      });
      client.write(head + LOOKUP);
      clients.push(client);
    }
    const refused = () => heads.filter((text) => text.startsWith("HTTP/1.1 503"));
    // Each takes 16 MiB: six have room, and 32 wait.
    await vi.waitFor(() => expect(refused().length).toBeGreaterThanOrEqual(6), WAIT);
    expect(refused()[0]).toMatch(/ratelimit-policy: "long answers";q=32;/i);
    const batch = JSON.parse(LOOKUP);
    const { status, headers } = await neighbour.post("/v1/fds/3/batch/read-bytes", batch);
    expect([status, headers.get("bpf-count")]).toEqual([200, "16"]);
    expect((await crowded.get("/v1/fds/3")).status, "short answers do not wait").toBe(200);
  });
});
