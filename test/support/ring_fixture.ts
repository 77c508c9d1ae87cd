import { afterEach, beforeEach, expect, vi } from "vitest";
import { WAIT } from "./patience.ts";
import type { Client, TestService, TestSession } from "./service.ts";
import { passTime, readLife } from "./stored.ts";

/** Sets up ring buffers with waiting consumers, and the client's side of their events. */

export const SIZE = 4096;
export const RINGBUF = { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: SIZE };
export const AT = "/v1/fds/3/records";
export const LONG = `${AT}?wait_ms=30000`;
export const HOUR = 3_600_000;

export async function put(session: TestSession, records: string[], flags = 0): Promise<void> {
  expect((await session.post(AT, { records, flags })).status).toBe(201);
}

/** Returns the number of bytes that a record occupies. */
export const span = (bytes: number) => 8 + Math.ceil(bytes / 8) * 8;

/** Creates a session whose fd 3 is a ring buffer, pinned as /ring. */
export async function makeRing(service: TestService, max_entries: number): Promise<TestSession> {
  const session = await service.session(service.namespace());
  expect((await session.post("/v1/maps", { ...RINGBUF, max_entries })).body.fd).toBe(3);
  await session.put("/v1/fs?path=/ring", { type: "pin", fd: 3 });
  return session;
}

/** Creates a child whose only fd, 3, is the same ring buffer with other access flags. */
export async function opened(session: TestSession, file_flags: number): Promise<TestSession> {
  const child = session.as((await session.post("/v1/session/fork")).body);
  await child.del("/v1/fds/3");
  expect((await child.post("/v1/fds", { path: "/ring", file_flags })).body.fd).toBe(3);
  return child;
}

/** A waiter that no request has, of a session that does not exist. */
export const readerOf = (namespace: string, channel: string) => ({
  ...{ namespace, channel, sid: "0", hash: "", fd: 3, mapId: 1 },
});

/** By default nobody looks for those that wait, so that only a message wakes them. */
export function ringWorld(service: TestService, ...others: TestService[]) {
  const { redis } = service.kernel.script;
  const look = (period: number) => {
    for (const { kernel } of [service, ...others]) kernel.wake.period = period;
  };
  beforeEach(() => look(HOUR));

  const pin = (session: TestSession) => session.put("/v1/fs?path=/ring", { type: "pin", fd: 3 });

  return {
    lookOften: () => look(50),

    /** Creates a session whose fd 3 is a ring buffer, pinned as /ring. */
    async world(max_entries = 4096) {
      const namespace = service.namespace();
      const session = await service.session(namespace);
      expect((await session.post("/v1/maps", { ...RINGBUF, max_entries })).body.fd).toBe(3);
      await pin(session);
      return { namespace, session, channel: `bpf:{${namespace}}:wake:1` };
    },

    /** Creates another session whose fd 3 is the same ring buffer. */
    async another(namespace: string, at = service, more: object = {}): Promise<TestSession> {
      const session = await at.session(namespace, more);
      expect((await session.post("/v1/fds", { path: "/ring" })).body.fd).toBe(3);
      return session;
    },

    /** Waits until `wanted` replicas listen for records of the ring buffer. */
    async listening(channel: string, wanted: number): Promise<void> {
      const count = async () => (await redis.call("PUBSUB", "NUMSUB", channel)) as [string, number];
      await vi.waitFor(async () => expect((await count())[1]).toBe(wanted), WAIT);
    },

    /**
     * Advances the namespace's clock by three session lifetimes, no faster than the session is
     * renewed.
     */
    async outlive(namespace: string, { id }: TestSession): Promise<void> {
      const deadline = async () => Number((await readLife(redis, namespace, id)).deadline);
      for (let step = 0; step < 6; step++) {
        const before = await deadline();
        await passTime(redis, namespace, 500);
        await vi.waitFor(async () => expect(await deadline()).toBeGreaterThan(before), WAIT);
      }
    },
  };
}

// Events

export interface Event {
  id?: string;
  event?: string;
  data?: string;
}

const streams: AbortController[] = [];

/** Call this once in a file that opens events. */
export function closeEvents(): void {
  afterEach(() => {
    for (const controller of streams.splice(0)) controller.abort();
  });
}

/** Reads events like a browser and resolves when the stream has ended in order. */
export async function events({ base, token }: Client, path = AT, id?: string) {
  const controller = new AbortController();
  streams.push(controller);
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const resumed = id === undefined ? {} : { "last-event-id": id };
  const response = await fetch(base + path, {
    headers: { ...authorization, accept: "text/event-stream", ...resumed },
    signal: controller.signal,
  });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = "";
  async function block(): Promise<string | undefined> {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end >= 0) {
        const found = text.slice(0, end);
        text = text.slice(end + 2);
        return found;
      }
      const { done, value } = await reader.read();
      if (done) return undefined;
      text += Buffer.from(value).toString();
    }
  }
  async function next(): Promise<Event | undefined> {
    const lines = (await block())?.split("\n");
    return lines && Object.fromEntries(lines.map((line) => line.split(/: (.*)/s)));
  }
  return { next, block, abort: () => controller.abort() };
}

export const problem = (event: Event | undefined) => {
  expect(event?.event).toBe("error");
  return JSON.parse(event?.data ?? "");
};
