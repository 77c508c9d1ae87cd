import { expect, it } from "vitest";
import { type TestReply, testService } from "../support/service.ts";

/** What is kept for Idempotency-Keys has bounds: each answer, and all answers of a namespace. */

const service = await testService();
const { redis } = service.kernel.script;
const HOUR_MS = 3_600_000;
const problem = ({ body }: TestReply) => String(body.type ?? "").replace("/docs/errors/", "");
const LARGE = { map_type: "queue", key_size: 0, value_size: 100_000, max_entries: 4 };

it("an answer of more than 64 KiB is not kept, and a repeat of its request does nothing twice", async () => {
  const namespace = service.namespace();
  const root = await service.session(namespace);
  await root.post("/v1/maps", LARGE);
  for (const byte of ["01", "02"]) {
    await root.post("/v1/fds/3/push", { value: byte.repeat(LARGE.value_size) });
  }
  const headers = { "idempotency-key": "pop" };
  const first = await root.post("/v1/fds/3/pop", undefined, headers);
  expect(first.body.value.slice(0, 2)).toBe("01");
  const again = await root.post("/v1/fds/3/pop", undefined, headers);
  expect([again.status, problem(again)]).toEqual([422, "answer-not-kept"]);
  expect((await root.get("/v1/fds/3")).body.entries).toBe(1);
  const [key = ""] = await redis.keys(`bpf:{${namespace}}:idem:*:pop`);
  expect(Number(await redis.call("MEMORY", "USAGE", key))).toBeLessThan(2048);
});

it("what the records of a namespace hold is counted by the hour and bounded", async () => {
  const namespace = service.namespace();
  const root = await service.session(namespace);
  const counted = `bpf:{${namespace}}:idem:bytes`;
  const send = (key: string) =>
    root.post("/v1/session/renew", undefined, { "idempotency-key": key });
  for (const key of ["a", "b", "b"]) expect((await send(key)).status).toBe(200);
  const keys = await redis.keys(`bpf:{${namespace}}:idem:*:[ab]`);
  expect(keys).toHaveLength(2);
  const used = await Promise.all(keys.map((key) => redis.call("MEMORY", "USAGE", key)));
  const real = used.reduce<number>((sum, bytes) => sum + Number(bytes), 0);
  const all = Number(await redis.hget(counted, "all"));
  expect(all / real).toBeGreaterThan(0.8);
  expect(all / real).toBeLessThan(2);
  expect(await redis.pttl(counted)).toBeGreaterThan(0);
  // As if many records had been written two days ago, and then now.
  const hour = Math.floor(Date.now() / HOUR_MS);
  await redis.hset(counted, { [hour - 48]: 2 ** 29, all: 2 ** 29 + all });
  expect((await send("c")).status, "old records have gone").toBe(200);
  expect(await redis.hget(counted, String(hour - 48))).toBeNull();
  await redis.hincrby(counted, "all", 2 ** 29);
  const refused = await send("d");
  expect([refused.status, problem(refused)]).toEqual([503, "unavailable"]);
  expect(refused.headers.get("retry-after")).toBe("3600");
  expect((await send("a")).status, "a repeat").toBe(200);
  expect((await root.post("/v1/session/renew")).status, "without a key").toBe(200);
});
