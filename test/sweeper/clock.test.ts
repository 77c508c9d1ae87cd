import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { ACCESS } from "../../domain/redis/command_access.ts";
import { connect, connected } from "../../domain/redis/connection.ts";
import { bundle } from "../../domain/redis/lua_bundle.ts";
import { LAYOUT } from "../../domain/redis/records.ts";
import type { Argument, RedisValue } from "../../domain/redis/redis_value.ts";
import { TOKEN } from "../support/library_calls.ts";
import { passTime, readClock, readLife } from "../support/stored.ts";

/** The clock of a namespace, by calls that are given a heartbeat of the test's choice. */

const redis = connect(inject("redisUrl"), 10_000);
const commands = redis as unknown as {
  fcallBuffer(name: string, keys: 2, ...args: Argument[]): Promise<RedisValue[]>;
};
const HOUR = 3_600_000;
const ALLOWANCE = 250;

beforeAll(async () => {
  await connected(redis);
  await redis.function("LOAD", "REPLACE", bundle.library);
});
afterAll(async () => {
  const keys = await redis.keys("bpf:*{clock-*");
  if (keys.length > 0) await redis.unlink(...keys);
  redis.disconnect();
});

async function wallTime(): Promise<number> {
  const [seconds, micros] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

let spaces = 0;
const newSpace = () => `clock-${process.pid}-${spaces++}`;

const beatOf = (id: string, lost: number, tick: number) => `${id} ${lost} ${tick}`;

async function call(
  namespace: string,
  who: readonly Argument[],
  beat: string,
  command: string,
  ...args: Argument[]
): Promise<string[]> {
  const root = `bpf:{${namespace}}:`;
  const access = ACCESS.get(command) ?? "grow";
  const name = bundle.functions[access === "read" ? "free" : access];
  const words = [root, `${root}meta`, command, ...who, beat, ...args];
  return (await commands.fcallBuffer(name, 2, ...words)).map(String);
}

const SELF = ["1", TOKEN, "", ""];
const NOBODY = ["", "", "", ""];

function create(namespace: string, beat: string, ttl: number): Promise<string[]> {
  const cred = [0, 0, ",", "*", 18, 1024];
  const args = ["seed", "", 2, TOKEN, "", ttl, ...cred];
  return call(namespace, NOBODY, beat, "session_create", ...args);
}

/** "" for a session that lives, else the reason of its end. */
async function endOf(namespace: string, beat: string): Promise<string> {
  const [code, detail = ""] = await call(namespace, SELF, beat, "session_get");
  return code === "" ? "" : detail;
}

describe("the clock of a namespace", () => {
  it("an outage costs a session no more than the allowance, whatever its length", async () => {
    const namespace = newSpace();
    const wall = await wallTime();
    await create(namespace, beatOf("h", 0, wall), 1000);
    // A call that was sent before the outage, and one after the first beat behind it.
    expect(await endOf(namespace, beatOf("h", 0, wall - HOUR))).toBe("");
    expect(await endOf(namespace, beatOf("h", HOUR - ALLOWANCE, wall))).toBe("");
    await passTime(redis, namespace, 2000);
    expect(await endOf(namespace, beatOf("h", 0, await wallTime()))).toBe("expired");
  });

  it("a call that was sent before an outage does not see the time of the outage", async () => {
    const namespace = newSpace();
    const wall = await wallTime();
    await create(namespace, beatOf("h", 0, wall - HOUR), 1000);
    const now = wall - HOUR + ALLOWANCE;
    expect(Number((await readClock(redis, namespace)).tick)).toBe(now);
    // Others may have gone on while it was on its way, so it gets a second on top.
    const { deadline } = await readLife(redis, namespace, 1);
    expect(Number(deadline)).toBe(now + 1000 + 1100 + 500);
  });

  // What calls are given when the clock of Redis goes from `wall + by` to `wall`.
  it.each([-HOUR, HOUR])(
    "the clock of Redis set to another hour (%s ms) ends nothing and stops nothing",
    async (by) => {
      const namespace = newSpace();
      const wall = await wallTime();
      const before = beatOf("h", 0, wall + by);
      await create(namespace, before, 1000);
      expect(await endOf(namespace, before)).toBe("");
      const lost = by < 0 ? -by - ALLOWANCE : -by;
      expect(await endOf(namespace, beatOf("h", lost, wall))).toBe("");
      expect(await endOf(namespace, beatOf("h", lost - 5000, wall))).toBe("expired");
    },
  );

  it("a session that was seen to be due stays due for a call with an older beat", async () => {
    const namespace = newSpace();
    const wall = await wallTime();
    const [early, late] = [beatOf("h", 0, wall), beatOf("h", -5000, wall)];
    await create(namespace, early, 1000);
    expect(await endOf(namespace, late)).toBe("expired");
    expect(await endOf(namespace, early)).toBe("expired");
    const { tick } = await readClock(redis, namespace);
    expect(Number(tick)).toBeGreaterThanOrEqual(wall + 5000);
  });

  it("another heartbeat goes on from the last moment that was written", async () => {
    const namespace = newSpace();
    const wall = await wallTime();
    await create(namespace, beatOf("one", 0, wall), 1000);
    const { tick } = await readClock(redis, namespace);
    expect(await endOf(namespace, beatOf("two", -HOUR, wall))).toBe("");
    const adopted = await readClock(redis, namespace);
    expect([adopted.base, adopted.tick]).toEqual(["two", tick]);
    expect(await endOf(namespace, beatOf("two", -HOUR - 5000, wall))).toBe("expired");
  });

  it("the clock stands still for a call without a heartbeat", async () => {
    const namespace = newSpace();
    await create(namespace, beatOf("h", HOUR, await wallTime()), 1000);
    const before = await readClock(redis, namespace);
    expect(await endOf(namespace, "")).toBe("");
    expect(await readClock(redis, namespace)).toEqual(before);
  });
});

describe("a namespace that an older version uses as well", () => {
  const key = (namespace: string) => `bpf:{${namespace}}:meta`;
  const readOlder = async (namespace: string) =>
    ((await redis.hget(key(namespace), "clock")) ?? "").split(" ");

  /** The older version's state alone, as it has written it at `tick`. */
  async function olderSpace(tick: number, skew: number, allowance: number): Promise<string> {
    const namespace = newSpace();
    await create(namespace, beatOf("h", 0, tick - skew), 1000);
    await redis.hdel(key(namespace), "time");
    const { deadline } = await readLife(redis, namespace, 1);
    const clock = `${skew} ${tick} ${allowance} ${deadline}`;
    await redis.hset(key(namespace), "layout", LAYOUT, "clock", clock);
    return namespace;
  }

  it("its time goes on, and an hour without any service is an outage", async () => {
    const wall = await wallTime();
    const going = await olderSpace(wall + 300, 300, 5000);
    expect(await endOf(going, beatOf("h", 0, wall))).toBe("");
    expect(Number((await readClock(redis, going)).tick)).toBeGreaterThanOrEqual(wall + 300);
    const stopped = await olderSpace(wall, 0, 5000);
    await redis.hset(key(stopped), "clock", `${HOUR} ${wall} 5000 ${wall + 1600}`);
    expect(await endOf(stopped, beatOf("h", 0, wall))).toBe("");
    expect((await readClock(redis, stopped)).tick).toBe(String(wall));
  });

  it("the older version is given the time after an outage that it did not count", async () => {
    const namespace = newSpace();
    const wall = await wallTime();
    await create(namespace, beatOf("h", 0, wall), 1000);
    expect((await readOlder(namespace))[0]).toBe("0");
    await call(namespace, SELF, beatOf("h", 3000, wall + 3100), "session_renew");
    expect((await readOlder(namespace))[0]).toBe("-3000");
  });

  it("no session ends that the older version has renewed by a clock that is behind", async () => {
    const namespace = newSpace();
    const wall = await wallTime();
    await create(namespace, beatOf("h", 0, wall), 1000);
    // It took a stall of 4 s for an outage, and has swept since.
    await redis.hset(key(namespace), "clock", `-4000 ${wall - 4000} 1250 ${wall - 2400}`);
    const beat = beatOf("h", -2000, wall);
    expect(await endOf(namespace, beat)).toBe("");
    expect(Number((await readClock(redis, namespace)).tick)).toBeLessThan(wall - 3000);
  });
});
