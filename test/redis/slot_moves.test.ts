import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../api/config.ts";
import { type Running, startService } from "../../api/service.ts";
import { slotOf } from "../../domain/redis/slots.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { differences } from "../support/invariants/invariants.ts";
import { WAIT } from "../support/patience.ts";
import { until } from "../support/redis_servers.ts";
import { Client, type TestReply, TestSession } from "../support/service.ts";

/**
 * A cluster changes under load: the slot of a living namespace moves, masters fail over and die. Whatever is
 * answered holds, and nothing is done twice.
 */

const TEST_MS = 180_000;
const MOVES = 10;
const CLIENTS = 4;
const SERVED_MS = 60_000;
const QUEUE = { map_type: "queue", key_size: 0, value_size: 8, max_entries: 100_000 };
const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 64 };

let cluster: TestCluster;
let service: Running;
const faults: string[] = [];

beforeAll(async () => {
  cluster = await startCluster({ masters: 3, replicas: 1 });
  const config = readConfig({ PORT: "0", REDIS_DEADLINE_MS: "5000" });
  service = await startService(config, cluster.url, Buffer.alloc(32, 9), (level, line) => {
    if (level === "error" && !line.startsWith("Redis is unavailable")) faults.push(line);
  });
}, TEST_MS);

afterAll(async () => {
  await service?.stop();
  await cluster?.stop();
});

const UNAVAILABLE = "503 unavailable";
const UNKNOWN = "503 outcome-unknown";
const ALLOWED = ["201", "204", UNAVAILABLE, UNKNOWN, "404 EBADF"];

const nameOf = ({ status, body }: TestReply) =>
  [status, ...(status < 300 ? [] : [String(body.type).replace("/docs/errors/", "")])].join(" ");

/** Clients that push numbered values and open and close maps until they are stopped. */
class Load {
  readonly #session: TestSession;
  readonly #isKeyed: boolean;
  readonly #clients: Promise<void>[];
  #stopped = false;
  /** How often each status and type was answered. */
  readonly answers = new Map<string, number>();
  /** The last answer to each value. */
  readonly pushed = new Map<number, string>();

  /** @param isKeyed requests have Idempotency-Keys, and are repeated until they are done. */
  constructor(session: TestSession, isKeyed: boolean) {
    this.#session = session;
    this.#isKeyed = isKeyed;
    this.#clients = Array.from({ length: CLIENTS }, (_, i) => this.#run(i));
  }

  count(answer: string): number {
    return this.answers.get(answer) ?? 0;
  }

  valuesWith(answer: string): number[] {
    return [...this.pushed].flatMap(([value, name]) => (name === answer ? [value] : []));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  /** Resolves when each client, on average, has been served once more. */
  async untilServed(): Promise<void> {
    const served = this.count("204");
    const isServed = () => this.count("204") > served + 2 * CLIENTS;
    await until("the clients are served", isServed, SERVED_MS);
  }

  async #send(key: string, method: string, path: string, body?: object): Promise<TestReply> {
    const headers: Record<string, string> = this.#isKeyed ? { "idempotency-key": key } : {};
    for (;;) {
      const reply = await this.#session.send(method, path, body, headers);
      const name = nameOf(reply);
      this.answers.set(name, this.count(name) + 1);
      if (reply.status !== 503 || !this.#isKeyed) return reply;
    }
  }

  async #run(client: number): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const value = client * 1_000_000 + n;
      const key = `${client}-${n}`;
      const pushed = await this.#send(`push-${key}`, "POST", "/v1/fds/3/push", {
        value: `u64:${value}`,
      });
      this.pushed.set(value, nameOf(pushed));
      const made = await this.#send(`open-${key}`, "POST", "/v1/maps", HASH);
      if (made.status === 201) {
        await this.#send(`close-${key}`, "DELETE", `/v1/fds/${made.body.fd}`);
      }
    }
  }
}

async function openQueue(namespace: string): Promise<TestSession> {
  const client = new Client(`http://127.0.0.1:${service.address.port}`);
  const body = { namespace, ttl_ms: 20_000, nofile: 4096 };
  const opened = await client.post("/v1/sessions", body);
  expect(opened.status, JSON.stringify(opened.body)).toBe(201);
  const session = new TestSession(client.base, opened.body);
  expect((await session.post("/v1/maps", QUEUE)).body.fd).toBe(3);
  return session;
}

/** Takes all values from the queue. */
async function drain(session: TestSession): Promise<number[]> {
  const values: number[] = [];
  for (;;) {
    const { status, body } = await session.post("/v1/fds/3/pop");
    if (status !== 200) {
      expect(body.errno).toBe("ENOENT");
      return values;
    }
    values.push(Number(Buffer.from(body.value, "hex").readBigUInt64LE()));
  }
}

async function expectSound(namespace: string): Promise<void> {
  await vi.waitFor(async () => {
    const [redis, masters] = [await cluster.clientOf(namespace), await cluster.clients()];
    expect(await differences(redis, namespace, masters)).toEqual([]);
  }, WAIT);
  expect(faults).toEqual([]);
}

const inOrder = (values: readonly number[]) => [...values].sort((a, b) => a - b);

describe("a cluster under load", () => {
  it(
    "a slot that moves ten times under load loses nothing and does nothing twice",
    async () => {
      const session = await openQueue("moved");
      const load = new Load(session, true);
      const slot = await cluster.slotOf("moved");
      expect(slotOf("moved")).toBe(slot);
      for (let move = 0; move < MOVES; move++) {
        await load.untilServed();
        await cluster.moveSlot(slot, async (done) => {
          if (done === "assigned") return;
          // A stage at which no call was refused would prove nothing.
          const refused = load.count(UNAVAILABLE);
          await until(`a call meets the move (${done})`, () => load.count(UNAVAILABLE) > refused);
        });
      }
      await load.untilServed();
      await load.stop();
      expect([...load.answers.keys()].sort()).toEqual(["201", "204", UNAVAILABLE]);
      expect(inOrder(await drain(session))).toEqual(inOrder(load.valuesWith("204")));
      expect((await session.get("/v1/fds")).body.fds).toHaveLength(1);
      await expectSound("moved");
    },
    TEST_MS,
  );

  it(
    "unavailable is not done and 204 is done, when a master fails over under load",
    async () => {
      const session = await openQueue("failing");
      const load = new Load(session, false);
      const slot = await cluster.slotOf("failing");
      for (let round = 0; round < 3; round++) {
        await load.untilServed();
        await cluster.failOver(await cluster.ownerOf(slot));
      }
      await load.untilServed();
      await load.stop();
      for (const name of load.answers.keys()) expect(ALLOWED).toContain(name);
      const values = await drain(session);
      expect(values).toHaveLength(new Set(values).size);
      const unknown = load.valuesWith(UNKNOWN).filter((value) => values.includes(value));
      expect(inOrder(values)).toEqual(inOrder([...load.valuesWith("204"), ...unknown]));
      await expectSound("failing");
    },
    TEST_MS,
  );

  it(
    "what is unavailable is not done, and nothing is a fault, when a master dies under load",
    async () => {
      const session = await openQueue("dying");
      const load = new Load(session, false);
      await load.untilServed();
      await cluster.killMaster(await cluster.masterOf("dying"));
      await load.untilServed();
      await load.stop();
      expect(load.count(UNAVAILABLE) + load.count(UNKNOWN)).toBeGreaterThan(0);
      for (const name of load.answers.keys()) expect(ALLOWED).toContain(name);
      // A replica may lack the last writes of its master, so what is done is not checked.
      const values = await drain(session);
      expect(values).toHaveLength(new Set(values).size);
      const refused = new Set(load.valuesWith(UNAVAILABLE));
      expect(values.filter((value) => refused.has(value))).toEqual([]);
      await expectSound("dying");
    },
    TEST_MS,
  );
});
