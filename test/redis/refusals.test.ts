import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { readConfig } from "../../api/config.ts";
import { startService } from "../../api/service.ts";
import { RETURN_ZERO_HEX } from "../support/insns.ts";
import { type FakeRefusal, FaultProxy } from "../support/proxy.ts";
import { Client, type TestReply, TestSession, testService } from "../support/service.ts";
import { withShortTitle } from "../support/titles.ts";

/** Whatever Redis refuses, once or for ever, a call is done once or answers 503 and is not done. */

const REPLIES = [
  "MOVED 1 127.0.0.1:1",
  "ASK 1 127.0.0.1:1",
  "TRYAGAIN Multiple keys request during rehashing of slot",
  "CLUSTERDOWN Hash slot not served",
  "NOSCRIPT No matching script. Please use EVAL.",
  "ERR Function not found",
  "LOADING Redis is loading the dataset in memory",
  "READONLY You can't write against a read only replica.",
  "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  "MISCONF Errors writing to the AOF file: No space left on device",
  "NOREPLICAS Not enough good replicas to write.",
  "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
  "NOPERM this user has no permissions to run the 'fcall' command",
  "NOAUTH Authentication required.",
  "ERR max number of clients reached",
  "ERR Script killed by user with SCRIPT KILL.",
  "ERR Can not execute the command on a stale replica",
];

const HASH = { map_type: "hash", key_size: 4, value_size: 4, max_entries: 64 };
const PROG = { prog_type: "xdp", insns: RETURN_ZERO_HEX, license: "GPL" };
const BATCH = { op: "update", keys: ["u32:1"], values: ["u32:1"] };

const direct = await testService();
const proxy = new FaultProxy(inject("redisUrl").replace("unix://", ""));
const config = readConfig({ PORT: "0", REDIS_DEADLINE_MS: "20000" });
const secret = Buffer.alloc(32, "refusals");
const faults: string[] = [];
const { address, stop } = await startService(
  config,
  await proxy.listen(),
  secret,
  (level, line) => {
    if (level === "error") faults.push(line);
  },
);
const base = `http://127.0.0.1:${address.port}`;

afterEach(() => {
  proxy.heal();
  expect(faults.splice(0)).toEqual([]);
});
afterAll(async () => {
  await stop();
  await proxy.close();
});

/** Each kind of call: how it is sent, and the words of its commands. */
interface Kind {
  name: string;
  send(session: TestSession): Promise<TestReply>;
  /** Matches what it sends to Redis, words joined by blanks. */
  mark: RegExp;
}

const KINDS: Kind[] = [
  { name: "a lookup", send: (s) => s.get("/v1/fds/3/elements/u32:0"), mark: / map_lookup_elem / },
  { name: "a creation", send: (s) => s.post("/v1/maps", HASH), mark: / map_create / },
  {
    name: "a creation with an Idempotency-Key",
    send: (s) => s.post("/v1/maps", HASH, { "idempotency-key": `key-${keys++}` }),
    mark: / map_create /,
  },
  {
    name: "a batch",
    send: (s) => s.post("/v1/fds/3/batch", BATCH),
    mark: / map_\w+_batch /,
  },
  { name: "a load", send: (s) => s.post("/v1/progs", PROG), mark: / prog_load / },
  { name: "a list of namespaces", send: (s) => s.get("/v1/namespaces"), mark: /^zrangebylex /i },
  { name: "readyz", send: (s) => s.get("/readyz"), mark: /^set bpf:ready /i },
];
let keys = 0;

const problem = ({ body }: TestReply) => String(body.type ?? "").replace("/docs/errors/", "");

async function newSession(): Promise<TestSession> {
  const body = { namespace: direct.namespace(), ttl_ms: 3_600_000 };
  const reply = await new Client(base).post("/v1/sessions", body);
  expect(reply.status, JSON.stringify(reply.body)).toBe(201);
  const session = new TestSession(base, reply.body);
  expect((await session.post("/v1/maps", HASH)).status).toBe(201);
  expect((await session.put("/v1/fds/3/elements/u32:0", { value: "u32:7" })).status).toBe(204);
  return session;
}

/** Refuses the first `times` commands that match. */
function refuseWith(refusal: FakeRefusal, mark: RegExp, times: number): () => number {
  let left = times;
  proxy.hits = 0;
  proxy.onCommand = (words) => {
    if (left === 0 || !mark.test(words.join(" "))) return undefined;
    left -= 1;
    return refusal;
  };
  return () => proxy.hits;
}

const held = async (session: TestSession) => {
  const [maps, progs, elements] = await Promise.all([
    session.get("/v1/maps"),
    session.get("/v1/progs"),
    session.get("/v1/fds/3/elements"),
  ]);
  return [maps.body.maps.length, progs.body.progs.length, elements.body.elements.length];
};

beforeAll(async () => {
  // A service's first requests are its slowest.
  await new Client(base).get("/readyz");
});

describe.each([
  ["Redis answers", false],
  ["a function raises", true],
] as const)("%s", (how, isRaised) => {
  it.each(withShortTitle(REPLIES.map((error) => [error] as const)))(
    `is done once or answers 503 and is not done, when ${how}: %s`,
    async (_, error) => {
      const session = await newSession();
      const refusal = {
        error: isRaised ? `${error} script: f, on @user_function:9.` : error,
        isRaised,
      };
      for (const { name, send, mark } of KINDS) {
        if (isRaised && !/lookup|a load/.test(name)) continue;
        const message = `${name}, ${error}`;
        const before = await held(session);
        const hits = refuseWith(refusal, mark, Number.POSITIVE_INFINITY);
        const refused = await send(session);
        expect(hits(), message).toBeGreaterThan(0);
        proxy.heal();
        expect([refused.status, problem(refused)], message).toEqual([503, "unavailable"]);
        expect(refused.headers.get("retry-after"), message).toBe("1");
        expect(refused.body.detail, message).not.toMatch(/user_function/);
        expect(await held(session), message).toEqual(before);
        const once = refuseWith(refusal, mark, 1);
        const answer = await send(session);
        expect(once(), message).toBe(1);
        proxy.heal();
        if (answer.status === 503) {
          expect(problem(answer), message).toBe("unavailable");
          expect(await held(session), message).toEqual(before);
        } else expect(answer.status, message).toBeLessThan(300);
      }
    },
  );
});
