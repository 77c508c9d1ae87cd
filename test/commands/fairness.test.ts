import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { LimitReached } from "../../domain/errno.ts";
import { Pool } from "../../domain/runtime/pool/pool.ts";
import { BackgroundWorker } from "../../domain/threads/background_worker.ts";
import { WAIT } from "../support/patience.ts";
import { LONG, put, RINGBUF } from "../support/ring_fixture.ts";
import { asm, FRAME, run } from "../support/run_programs.ts";
import { type TestReply, type TestSession, testService } from "../support/service.ts";

/** One namespace cannot hold up another: threads and places go to namespaces in turn. */

/** The verifier gives up on an endless program after so many steps; a loaded machine is slow. */
const service = await testService(undefined, { complexity: 50_000, deadline: 20_000 });
const newSession = () => service.session(service.namespace());

/** A small program of which the verifier follows every round. */
const ENDLESS = ["r0 = 0", "r0 += 1", "if r0 != 100000000 goto -2", "exit"];
/** Programs, schemas and objects that are long enough for a thread. */
const LONG_PROGRAM = [...Array.from({ length: 600 }, () => "r0 = 0"), "exit"];
const LONG_SCHEMA = { value: "int", declarations: "struct s { int a; };".padEnd(5_000) };
const object = readFileSync(join(import.meta.dirname, "../elf/objects", "sections.o"));
const LONG_OBJECT = { object: Buffer.concat([object, Buffer.alloc(65_536)]).toString("base64") };

const load = (session: TestSession, program: string[]) =>
  session.post("/v1/progs", { prog_type: "socket_filter", license: "GPL", asm: program });

const ARRAY = { map_type: "array", key_size: 4, value_size: 4, max_entries: 1 };

/** Everything of a neighbour that needs a thread or a place. */
async function useAll(session: TestSession): Promise<number[]> {
  const ring = await session.post("/v1/maps", RINGBUF);
  expect(ring.body.fd).toBe(3);
  const waiting = session.get(LONG);
  const replies = [
    await load(session, LONG_PROGRAM),
    await session.post("/v1/maps", { ...ARRAY, schema: LONG_SCHEMA }),
    await session.post("/v1/elf", LONG_OBJECT),
  ];
  await put(session, ["aa"]);
  return [...replies, await waiting].map(({ status }) => status);
}

/** Sends loads of the endless program; `gone` disconnects their clients and resolves to how each load ended. */
async function flood(session: TestSession, namespace: string, count: number) {
  const requests = vi.spyOn(BackgroundWorker.prototype, "request");
  const results = () =>
    requests.mock.results.filter((_, i) => requests.mock.calls[i]?.[0].namespace === namespace);
  const controller = new AbortController();
  const init = {
    method: "POST",
    headers: { authorization: `Bearer ${session.token}`, "content-type": "application/json" },
    body: JSON.stringify({ prog_type: "socket_filter", license: "GPL", asm: ENDLESS }),
    signal: controller.signal,
  };
  const replies: TestReply[] = [];
  const loads = Array.from({ length: count }, async () => {
    const reply = await fetch(`${session.base}/v1/progs`, init);
    const { status, headers } = reply;
    replies.push({ status, headers, body: await reply.json() });
  });
  const ended = Promise.allSettled(loads);
  await vi.waitFor(() => expect(results()).toHaveLength(count), WAIT);
  return {
    replies,
    async gone() {
      controller.abort();
      await ended;
      const ends = await Promise.allSettled(results().map(({ value }) => value));
      requests.mockRestore();
      return ends;
    },
  };
}

describe("a neighbour of a namespace with 63 endless programs", () => {
  it("a neighbour loads, parses and waits, and programs of clients that have gone leave", async () => {
    const [namespace, neighbour] = [service.namespace(), await newSession()];
    const session = await service.session(namespace);
    const { replies, gone } = await flood(session, namespace, 63);
    expect(await useAll(neighbour)).toEqual([201, 201, 201, 200]);
    expect(replies.length).toBeLessThan(32);
    const left = (await gone()).filter(({ status }) => status === "rejected");
    expect(left.length).toBeGreaterThanOrEqual(31);
    for (const end of left) {
      expect(end).toMatchObject({ reason: { message: "the client has disconnected" } });
    }
    expect((await load(session, LONG_PROGRAM)).status).toBe(201);
  });
});

describe("what a limit refuses", () => {
  it("a load beyond the namespace's places is EAGAIN with the limit's header fields", async () => {
    const namespace = service.namespace();
    const session = await service.session(namespace);
    const { replies, gone } = await flood(session, namespace, 80);
    await vi.waitFor(() => expect(replies.some(({ status }) => status === 409)).toBe(true), WAIT);
    for (const reply of replies.filter(({ status }) => status === 409)) {
      expect(reply.body).toMatchObject({
        errno: "EAGAIN",
        detail:
          "the namespace has 64 of the 64 places for checks here, which is its share: try again",
      });
      expect(reply.headers.get("retry-after")).toBe("1");
      expect(reply.headers.get("ratelimit-policy")).toBe('"checks";q=64;qu="concurrent-requests"');
      expect(reply.headers.get("ratelimit")).toBe('"checks";r=0;t=1');
    }
    await gone();
  });

  it("a refused run is not the first answer of its Idempotency-Key", async () => {
    const session = await newSession();
    const { fd } = await asm(session, "r0 = 5\nexit");
    const refuse = vi.spyOn(Pool.prototype, "run");
    refuse.mockRejectedValueOnce(new LimitReached("runs", 1024, 512));
    const post = () =>
      session.post(`/v1/fds/${fd}/test-run`, { data_in: FRAME }, { "idempotency-key": "once" });
    const first = await post();
    expect([first.status, first.body.errno]).toEqual([409, "EAGAIN"]);
    expect(first.headers.get("ratelimit-policy")).toBe('"runs";q=1024;qu="concurrent-requests"');
    refuse.mockRestore();
    expect((await post()).body.retval).toBe(5);
    expect((await run(session, fd)).retval).toBe(5);
  });
});
