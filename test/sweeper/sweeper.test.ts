import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { type Call, createKernel, type Kernel } from "../../domain/bpf.ts";
import { startPrivateRedis } from "../../domain/redis/private_server.ts";
import { Sweeper } from "../../domain/sweeper.ts";
import { RETURN_ZERO } from "../support/insns.ts";
import { differences } from "../support/invariants/invariants.ts";
import { DEADLINE_MS, WAIT } from "../support/patience.ts";
import { readClock } from "../support/stored.ts";

/** Sweepers release, exactly once, what no command releases and what is too big for one command. */

const dir = mkdtempSync(join(tmpdir(), "bpf-sweeper-"));
const server = await startPrivateRedis({ dir });
const NONE = { record: "", fingerprint: "" };
const XDP = { prog_type: "xdp", license: "GPL", prog_name: "", prog_flags: 0, log_level: 0 };
const SIZES = { key_size: 4, value_size: 4, map_flags: 0, map_name: "", map_extra: "0" };

const kernels: Kernel[] = [];
const sweepers: Sweeper[] = [];
const errors: unknown[] = [];

/** A replica: a kernel with its sweeper, which runs only when a test calls it. */
async function replica(): Promise<{ kernel: Kernel; sweeper: Sweeper }> {
  const kernel = createKernel(`unix://${server.url}`, Buffer.alloc(32, 3), {
    deadline: DEADLINE_MS,
  });
  await kernel.script.ready();
  const sweeper = new Sweeper(kernel, (error) => errors.push(error));
  kernels.push(kernel);
  sweepers.push(sweeper);
  return { kernel, sweeper };
}

const watcher = createKernel(`unix://${server.url}`, Buffer.alloc(32, 3), {
  deadline: DEADLINE_MS,
});
await watcher.script.ready();
const { redis } = watcher.script;

afterEach(async () => {
  for (const sweeper of sweepers.splice(0)) await sweeper.stop();
  for (const kernel of kernels.splice(0)) kernel.script.redis.disconnect();
  expect(errors.splice(0)).toEqual([]);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function start(kernel: Kernel, namespace: string, more = {}): Promise<Call> {
  const credentials = { label: "", ttl_ms: 3_600_000, uid: 0, gid: 0, groups: [], umask: 0 };
  const nobody = { namespace, sid: "", hash: "", ...NONE };
  const all = { ...credentials, capabilities: "*" as const, nofile: 100_000, ...more };
  const { token } = await kernel.sessionCreate(nobody, all);
  return { ...kernel.tokens.read(token), ...NONE };
}

/** The keys of a namespace, without counters and keys that expire by themselves. */
async function left(namespace: string): Promise<string[]> {
  const keys = await redis.keys(`bpf:{${namespace}}:*`);
  return keys.filter((key) => !/:meta$|:ended:\d+$/.test(key)).sort();
}

const known = (namespace: string) => redis.sismember("bpf:namespaces", namespace);

describe("an idle namespace", () => {
  it("two sweepers release the due sessions of an idle namespace and forget it", async () => {
    const [one, two] = [await replica(), await replica()];
    one.sweeper.start();
    two.sweeper.start();
    const names = Array.from({ length: 20 }, (_, i) => `idle-${i}`);
    for (const name of names) {
      const call = await start(one.kernel, name, { ttl_ms: 1000 });
      await one.kernel.mapCreate(call, { ...SIZES, map_type: "hash", max_entries: 8 });
      const child = await start(two.kernel, name, { ttl_ms: 1000 });
      await two.kernel.mapCreate(child, { ...SIZES, map_type: "array", max_entries: 8 });
    }
    for (const name of names) {
      await vi.waitFor(async () => expect(await left(name)).toEqual([]), WAIT);
      await vi.waitFor(async () => expect(await known(name)).toBe(0), WAIT);
    }
  });

  it("the next session enters a forgotten namespace again", async () => {
    const { kernel, sweeper } = await replica();
    sweeper.start();
    for (let round = 0; round < 2; round++) {
      const call = await start(kernel, "again", { ttl_ms: 1000 });
      await kernel.mapCreate(call, { ...SIZES, map_type: "hash", max_entries: 8 });
      await vi.waitFor(async () => expect(await known("again")).toBe(1), WAIT);
      await vi.waitFor(async () => expect(await left("again")).toEqual([]), WAIT);
      await vi.waitFor(async () => expect(await known("again")).toBe(0), WAIT);
    }
  });

  it("a namespace with pins and a session is not forgotten", async () => {
    const { kernel, sweeper } = await replica();
    sweeper.start();
    const call = await start(kernel, "busy");
    const tick = async () => (await readClock(redis, "busy")).tick;
    const first = await tick();
    await vi.waitFor(async () => expect(await tick()).not.toBe(first), WAIT);
    expect(await known("busy")).toBe(1);
    await kernel.exit(call);
    await vi.waitFor(async () => expect(await known("busy")).toBe(0), WAIT);
  });
});

describe("the index of namespaces", () => {
  const isListed = async (namespace: string) =>
    (await redis.zscore("bpf:names", namespace)) !== null;

  /** Leaves a namespace with a directory alone, which no sweeper visits. */
  async function settle(namespace: string): Promise<void> {
    const call = await start(watcher, namespace);
    await watcher.mkdir(call, "/d", 0o777);
    await watcher.exit(call);
  }

  const remove = (namespace: string) =>
    watcher.namespaceDelete({ namespace, sid: "", hash: "", ...NONE });

  /** A sweeper of which a test changes what the sweeps of one namespace find, by their number. */
  function disturbed(namespace: string, change: (n: number) => Promise<object>): () => number {
    let sweeps = 0;
    const sweep: Kernel["sweep"] = async (name, allowance) => {
      const found = await watcher.sweep(name, allowance);
      return name === namespace ? { ...found, ...(await change(++sweeps)) } : found;
    };
    const kernel = { ...watcher, hints: { ...watcher.hints }, sweep };
    const sweeper = new Sweeper(kernel, (error) => errors.push(error));
    sweepers.push(sweeper);
    sweeper.start();
    return () => sweeps;
  }

  it("gets the namespaces of an older version, those without sessions as well", async () => {
    for (const name of ["pins-a", "pins-b", "gone"]) await settle(name);
    await start(watcher, "alive");
    await redis.sadd("bpf:namespaces", "alive");
    await remove("gone");
    await redis.del("bpf:names");
    const { sweeper } = await replica();
    sweeper.start();
    for (const name of ["pins-a", "pins-b", "alive"]) {
      await vi.waitFor(async () => expect(await isListed(name)).toBe(true), WAIT);
    }
    expect(await isListed("gone")).toBe(false);
    expect(await known("pins-a")).toBe(0);
  });

  it("keeps the name of a namespace that came into use while it was forgotten", async () => {
    await settle("raced");
    await redis.sadd("bpf:namespaces", "raced");
    // The first sweep saw a deleted namespace; a session has left a directory since.
    disturbed("raced", async (n) => (n === 1 ? { exists: false } : {}));
    await vi.waitFor(async () => expect(await known("raced")).toBe(0), WAIT);
    await vi.waitFor(async () => expect(await isListed("raced")).toBe(true), WAIT);
  });

  it("loses a name that was added after the namespace was deleted", async () => {
    await settle("late");
    await redis.zrem("bpf:names", "late");
    await redis.sadd("bpf:namespaces", "late");
    const sweeps = disturbed("late", async (n) => {
      // No sweep comes between this one and the write of the index.
      if (n === 2) await remove("late");
      return {};
    });
    await vi.waitFor(() => expect(sweeps()).toBeGreaterThan(2), WAIT);
    await vi.waitFor(async () => expect(await isListed("late")).toBe(false), WAIT);
  });
});

describe("a release too big for one call", () => {
  const FDS = 20_000;
  const SLOTS = 100_000;

  /** fd 3 is the array, fd 4 the program in all its slots, then FDS open files of one map. */
  async function fill(kernel: Kernel, call: Call): Promise<void> {
    const array = { ...SIZES, map_type: "prog_array", max_entries: SLOTS };
    await kernel.mapCreate(call, array);
    await kernel.progLoad(
      call,
      { ...XDP, expected_attach_type: 0, fd_array: undefined },
      { insns: RETURN_ZERO },
    );
    const { id } = await kernel.mapCreate(call, { ...SIZES, map_type: "hash", max_entries: 8 });
    // 1,000 at a time, because the calls of one turn of the loop are one pipeline with one deadline.
    for (let n = 0; n < FDS; n += 1000) {
      await Promise.all(Array.from({ length: 1000 }, () => kernel.mapGetFdById(call, id, 0)));
    }
    const slot = { key: Buffer.alloc(4), value: Buffer.from([4, 0, 0, 0]) };
    await kernel.mapUpdateElem(call, 3, slot, 0, "");
    // Fills the other slots directly, as 100,000 calls of the command would.
    const root = `bpf:{${call.namespace}}:`;
    for (let n = 0; n < SLOTS; n += 10_000) {
      const members = Array.from({ length: 10_000 }, (_, i) => [1, n + i]).flat();
      const indices = Array.from({ length: 10_000 }, (_, i) => [n + i, n + i]).flat();
      await redis.zadd(`${root}elem:1`, ...members);
      await redis.zadd(`${root}keys:1`, ...indices);
    }
    await redis.hincrby(`${root}prog:1`, "refcnt", SLOTS - 1);
    await redis.hincrby(`${root}holders:prog:1`, "slot:1", SLOTS - 1);
  }

  it("a large release continues in bounded steps and loses and repeats nothing", async () => {
    const dead = await replica();
    await dead.sweeper.stop(); // as kill -9: the namespace is known, nobody sweeps it
    const namespace = "big";
    const observer = await start(dead.kernel, namespace);
    const big = await start(dead.kernel, namespace);
    await fill(dead.kernel, big);
    expect(await redis.hlen(`bpf:{${namespace}}:fds:${big.sid}`)).toBe(FDS + 3);
    await redis.config("SET", "slowlog-log-slower-than", "5000");
    await redis.config("RESETSTAT");

    await dead.kernel.exit(big);
    // The first step removes the process and the array, which had one fd.
    await expect(dead.kernel.sessionGet(big)).rejects.toThrow("exited");
    await expect(dead.kernel.mapGet(observer, 1)).rejects.toThrow("no map has id 1");
    expect((await dead.kernel.sessionList(observer, { limit: 10 })).sessions).toHaveLength(1);
    const held = () => redis.hlen(`bpf:{${namespace}}:fds:${big.sid}`);
    let before = await held();
    for (let step = 0; step < 5; step++) {
      expect((await dead.kernel.sweep(namespace, 60_000)).workLeft).toBe(true);
      expect(before - (await held()), "fds closed by one step").toBeLessThanOrEqual(1000);
      before = await held();
    }
    const zcards = await redis.eval(
      "local n = 0 for _, k in ipairs(redis.call('KEYS', ARGV[1])) do n = n + redis.call('ZCARD', k) end return n",
      ...[0, `bpf:{${namespace}}:slots:*`],
    );
    const prog = await dead.kernel.progGet(observer, 1);
    expect(prog.holders.slots).toEqual([{ map_id: 1, count: zcards }]);

    // Two new sweepers find the namespace by themselves and do the rest once.
    for (const { sweeper } of [await replica(), await replica()]) sweeper.start();
    await vi.waitFor(
      async () => expect(await redis.exists(`bpf:{${namespace}}:work`)).toBe(0),
      WAIT,
    );
    await expect(dead.kernel.progGet(observer, 1)).rejects.toThrow("no prog has id 1");
    expect(await differences(redis, namespace)).toEqual([]);
    const slow = (await redis.call("SLOWLOG", "GET", "100")) as [
      number,
      number,
      number,
      string[],
    ][];
    const longest = Math.max(
      0,
      ...slow.filter(([, , , [c]]) => /fcall/i.test(c ?? "")).map(([, , us]) => us),
    );
    const stats = await redis.info("commandstats");
    const mean = /cmdstat_fcall:calls=(\d+),usec=\d+,usec_per_call=([\d.]+)/.exec(stats);
    console.info(
      `release: ${mean?.[1]} calls, mean ${mean?.[2]} us, longest over 5 ms: ${longest} us (${slow.length})`,
    );
    await dead.kernel.exit(observer);
    await vi.waitFor(async () => expect(await left(namespace)).toEqual([]), WAIT);
  });

  it("a replica with work left continues at once, not at its next turn", async () => {
    const { kernel, sweeper } = await replica();
    sweeper.start();
    const call = await start(kernel, "urgent");
    const { fd } = await kernel.mapCreate(call, { ...SIZES, map_type: "hash", max_entries: 8 });
    await Promise.all(Array.from({ length: 2000 }, () => kernel.dup(call, fd)));
    const sweep = vi.spyOn(kernel, "sweep");
    await kernel.exit(call);
    await vi.waitFor(async () => expect(await left("urgent")).toEqual([]), WAIT);
    expect(sweep.mock.calls.length).toBeGreaterThan(2);
  });
});
