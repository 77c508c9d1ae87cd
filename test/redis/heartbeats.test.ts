import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { createKernel, type Kernel } from "../../domain/bpf.ts";
import { keysOf } from "../../domain/redis/anchors.ts";
import { BEAT_ALLOWANCE } from "../../domain/redis/records.ts";
import { slotOf } from "../../domain/redis/slots.ts";
import { DEADLINE_MS, WAIT } from "../support/patience.ts";
import { readLife } from "../support/stored.ts";

/** Heartbeats: how much of a gap counts as time, and which beat a call is given. */

const HOUR = 3_600_000;
const NOBODY = { sid: "", hash: "", record: "", fingerprint: "" };
const ROOT = {
  ...{ label: "", uid: 0, gid: 0, groups: [], umask: 0o022, nofile: 1024 },
  capabilities: "*" as const,
};

const kernels: Kernel[] = [];
async function replica(): Promise<Kernel> {
  const kernel = createKernel(inject("redisUrl"), Buffer.alloc(32, 4), { deadline: DEADLINE_MS });
  await kernel.script.ready();
  kernels.push(kernel);
  return kernel;
}

let kernel: Kernel;
beforeAll(async () => {
  kernel = await replica();
});
afterAll(async () => {
  const { redis } = kernel.script;
  const keys = await redis.keys("bpf:*{beats-*");
  if (keys.length > 0) await redis.unlink(...keys);
  for (const { disconnect } of kernels) disconnect();
});

let tags = 0;
/** An anchor of the test's own. */
function newAnchor() {
  const tag = `beats-${process.pid}-${tags++}`;
  return { tag, slot: slotOf(tag) };
}

async function wallTime(): Promise<number> {
  const [seconds, micros] = await kernel.script.redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
}

describe("a beat", () => {
  /** Beats after the last beat was at `tick`. */
  async function beatAfter(lost: number, tick: number) {
    const anchor = newAnchor();
    await kernel.script.redis.set(keysOf(anchor)[0], `id ${lost} ${tick}`);
    const [text = ""] = await kernel.script.masterCalls.call(anchor, "beat", 0);
    const [id, newLost, newTick] = text.split(" ");
    return { id, lost: Number(newLost), tick: Number(newTick) };
  }

  it("a gap counts up to the allowance, and what is longer is lost", async () => {
    const wall = await wallTime();
    const beat = await beatAfter(77, wall - HOUR);
    expect(beat.lost).toBe(77 + beat.tick - (wall - HOUR) - BEAT_ALLOWANCE);
    expect(beat.id).toBe("id");
    const short = await beatAfter(77, (await wallTime()) - 100);
    expect(short.lost).toBe(77);
  });

  it("a clock that was set back loses nothing, and goes on from where it was", async () => {
    const wall = await wallTime();
    const beat = await beatAfter(77, wall + HOUR);
    expect(beat.tick - beat.lost).toBe(wall + HOUR - 77);
  });

  it("a beat right after another writes nothing", async () => {
    const wall = await wallTime();
    expect(await beatAfter(77, wall - 1)).toEqual({ id: "id", lost: 77, tick: wall - 1 });
  });

  it("a heartbeat that was lost begins again with another id", async () => {
    const anchor = newAnchor();
    const [first = ""] = await kernel.script.masterCalls.call(anchor, "beat", 0);
    await kernel.script.redis.del(...keysOf(anchor));
    const before = await wallTime();
    await vi.waitFor(async () => expect(await wallTime()).toBeGreaterThan(before), WAIT);
    const [second = ""] = await kernel.script.masterCalls.call(anchor, "beat", 0);
    expect(second.split(" ")[0]).not.toBe(first.split(" ")[0]);
    expect(second.split(" ")[1]).toBe("0");
  });
});

describe("the beat of a call", () => {
  it("a replica whose beats have stopped renews by the time that another has gone on to", async () => {
    await replica();
    const late = await replica();
    const namespace = `beats-${process.pid}-late`;
    const { token } = await late.sessionCreate({ ...NOBODY, namespace }, { ...ROOT, ttl_ms: 1000 });
    const call = { ...NOBODY, ...late.tokens.read(token) };
    late.script.heartbeats.stop();
    const { heartbeats } = late.script;
    const old = heartbeats.beatFor(0);
    const tickOf = (beat: string) => Number(beat.split(" ")[2]);
    const { heartbeats: others } = kernel.script;
    await vi.waitFor(
      () => expect(tickOf(others.beatFor(0)) - tickOf(old)).toBeGreaterThan(700),
      WAIT,
    );
    await late.sessionGet(call);
    expect(tickOf(heartbeats.beatFor(0)) - tickOf(old)).toBeGreaterThan(700);
    const { deadline } = await readLife(kernel.script.redis, namespace, call.sid);
    // Its own last beat would have left it 450 ms at most.
    expect(Number(deadline) - tickOf(others.beatFor(0))).toBeGreaterThan(1000);
    await late.exit(call);
  });
});

describe("slots", () => {
  it("a tag has the slot that Redis Cluster gives it", () => {
    // From the specification of Redis Cluster, and CLUSTER KEYSLOT.
    expect(slotOf("123456789")).toBe(0x31c3 % 16_384);
    expect(slotOf("foo")).toBe(12_182);
  });
});
