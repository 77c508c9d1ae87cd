import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { type Call, createKernel, type Kernel } from "../../domain/bpf.ts";
import { Unavailable } from "../../domain/errno.ts";
import { keysOf } from "../../domain/redis/anchors.ts";
import type { DueClaim } from "../../domain/redis/heartbeats.ts";
import { startPrivateRedis } from "../../domain/redis/private_server.ts";
import { Sweeper } from "../../domain/sweeper.ts";
import { RETURN_ZERO } from "../support/insns.ts";
import { differences } from "../support/invariants/invariants.ts";
import { DEADLINE_MS, WAIT } from "../support/patience.ts";

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

const [anchor] = watcher.script.anchors.all();
const [, DUE, NAMES] = anchor ? keysOf(anchor) : [];
const isDue = async (namespace: string) => (await redis.zscore(DUE ?? "", namespace)) !== null;
const isListed = async (namespace: string) => (await redis.zscore(NAMES ?? "", namespace)) !== null;

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
      await vi.waitFor(async () => expect(await isDue(name)).toBe(false), WAIT);
      expect(await isListed(name)).toBe(false);
    }
  });

  it("the next session enters a forgotten namespace again", async () => {
    const { kernel, sweeper } = await replica();
    sweeper.start();
    for (let round = 0; round < 2; round++) {
      const call = await start(kernel, "again", { ttl_ms: 1000 });
      await kernel.mapCreate(call, { ...SIZES, map_type: "hash", max_entries: 8 });
      expect([await isDue("again"), await isListed("again")]).toEqual([true, true]);
      await vi.waitFor(async () => expect(await left("again")).toEqual([]), WAIT);
      await vi.waitFor(async () => expect(await isDue("again")).toBe(false), WAIT);
    }
  });

  it("a namespace with pins alone leaves the visits and stays in the list", async () => {
    const { kernel, sweeper } = await replica();
    sweeper.start();
    const call = await start(kernel, "busy");
    await kernel.mkdir(call, "/d", 0o777);
    expect(await isDue("busy")).toBe(true);
    await kernel.exit(call);
    await vi.waitFor(async () => expect(await isDue("busy")).toBe(false), WAIT);
    expect(await isListed("busy")).toBe(true);
  });

  it("1,000 idle namespaces cost some ten beats a second and no sweep", async () => {
    const { kernel, sweeper } = await replica();
    const names = Array.from({ length: 1000 }, (_, i) => `rest-${i}`);
    await Promise.all(names.map((name) => start(kernel, name)));
    // The first visit of each has been.
    await Promise.all(names.map(async (name) => kernel.visit(await claimOf(kernel, name))));
    sweeper.start();
    // The search for what no registry has is over.
    const sweep = vi.spyOn(kernel, "visit");
    const register = vi.spyOn(kernel.registry, "missing");
    await vi.waitFor(async () => {
      const before = register.mock.calls.length;
      await beats(5);
      expect(register.mock.calls.length).toBe(before);
    }, WAIT);
    await redis.config("RESETSTAT");
    await beats(10);
    const calls = /cmdstat_fcall:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1];
    expect(Number(calls)).toBeLessThanOrEqual(2 * 11);
    expect(sweep.mock.calls.filter(([{ namespace }]) => names.includes(namespace))).toEqual([]);
    await redis.flushall();
  });
});

async function claimOf({ registry }: Kernel, namespace: string): Promise<DueClaim> {
  const claim = await registry.claim(namespace);
  if (!claim) throw new Error(`${namespace} is not in use`);
  return claim;
}

/** Waits for so many beats, by the count of what alone reads with GET. */
async function beats(count: number): Promise<void> {
  const read = async () =>
    Number(/cmdstat_get:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1] ?? 0);
  const before = await read();
  await vi.waitFor(async () => expect(await read()).toBeGreaterThanOrEqual(before + count), WAIT);
}

describe("the registry of namespaces", () => {
  /** Leaves a namespace with a directory alone, which no sweeper visits. */
  async function settle(namespace: string): Promise<void> {
    const call = await start(watcher, namespace);
    await watcher.mkdir(call, "/d", 0o777);
    await watcher.exit(call);
    await watcher.visit(await claimOf(watcher, namespace));
  }

  const nobody = (namespace: string) => ({ namespace, sid: "", hash: "", ...NONE });

  it("gets the namespaces of an older version, those without sessions as well", async () => {
    for (const name of ["pins-a", "pins-b", "gone"]) await settle(name);
    const call = await start(watcher, "alive", { ttl_ms: 1000 });
    await watcher.mapCreate(call, { ...SIZES, map_type: "hash", max_entries: 8 });
    await watcher.namespaceDelete(nobody("gone"));
    await redis.del(DUE ?? "", NAMES ?? "", "bpf:namespaces");
    await redis.sadd("bpf:namespaces", "alive");
    await redis.zadd("bpf:names", 0, "pins-a", 0, "gone");
    const { sweeper } = await replica();
    sweeper.start();
    for (const name of ["pins-a", "pins-b"]) {
      await vi.waitFor(async () => expect(await isListed(name)).toBe(true), WAIT);
      await vi.waitFor(async () => expect(await isDue(name)).toBe(false), WAIT);
    }
    await vi.waitFor(async () => expect(await left("alive")).toEqual([]), WAIT);
    await vi.waitFor(async () => expect(await isListed("gone")).toBe(false), WAIT);
  });

  it("keeps a namespace that was registered while a sweeper found it empty", async () => {
    const { registry } = watcher;
    await registry.register("raced", 60_000);
    const claim = await claimOf(watcher, "raced");
    const { exists } = await watcher.sweep("raced");
    await registry.register("raced", 60_000);
    const call = await start(watcher, "raced");
    await registry.forget(claim);
    expect([exists, await isDue("raced"), await isListed("raced")]).toEqual([false, true, true]);
    await watcher.exit(call);
    await watcher.visit(await claimOf(watcher, "raced"));
    expect([await isDue("raced"), await isListed("raced")]).toEqual([false, false]);
  });

  it("a claim that was followed by a registration forgets nothing, even after another claim", async () => {
    const { registry } = watcher;
    for (let round = 0; round < 20; round++) {
      await registry.register("twice", 60_000);
      // All three run within a ms or so.
      const [first, , second] = await Promise.all([
        claimOf(watcher, "twice"),
        registry.register("twice", 0),
        claimOf(watcher, "twice"),
      ]);
      await registry.forget(first);
      expect(await isListed("twice")).toBe(true);
      await registry.forget(second);
      expect(await isListed("twice")).toBe(false);
    }
    expect(await registry.claim("twice")).toBeUndefined();
    expect(await isDue("twice")).toBe(false);
  });

  it("a session whose namespace is forgotten while it is made is registered all the same", async () => {
    const { registry, script } = watcher;
    const run = script.run.bind(script);
    const spy = vi.spyOn(script, "run").mockImplementation(async (namespace, command, ...rest) => {
      if (command !== "session_create") return run(namespace, command, ...rest);
      const claim = await claimOf(watcher, namespace);
      const reply = await run(namespace, command, ...rest);
      await registry.forget(claim);
      return reply;
    });
    const call = await start(watcher, "forgotten");
    spy.mockRestore();
    expect([await isDue("forgotten"), await isListed("forgotten")]).toEqual([true, true]);
    await watcher.exit(call);
    await watcher.visit(await claimOf(watcher, "forgotten"));
  });

  it("a sweeper without room claims nothing", async () => {
    await watcher.registry.register("full", 0);
    const [anchor] = watcher.script.anchors.all();
    if (!anchor) throw new Error("no anchor");
    for (const room of [0, -1]) {
      expect(await watcher.script.masterCalls.call(anchor, "beat", room)).toHaveLength(1);
    }
    await watcher.registry.forget(await claimOf(watcher, "full"));
  });

  it("a registration makes the next visit sooner, and a settled claim makes it later", async () => {
    const { registry } = watcher;
    const dueAt = async () => Number(await redis.zscore(DUE ?? "", "sooner"));
    await registry.register("sooner", 60_000);
    const first = await dueAt();
    await registry.register("sooner", 90_000);
    expect(await dueAt()).toBe(first);
    await registry.register("sooner", 1000);
    expect(first - (await dueAt())).toBeGreaterThan(50_000);
    await registry.settle(await claimOf(watcher, "sooner"), 90_000);
    expect(await dueAt()).toBeGreaterThan(first + 20_000);
    await registry.forget(await claimOf(watcher, "sooner"));
    expect([await isDue("sooner"), await isListed("sooner")]).toEqual([false, false]);
  });

  it("two replicas share the namespaces that are due and visit none twice", async () => {
    const names = Array.from({ length: 200 }, (_, i) => `shared-${i}`);
    for (const name of names) await watcher.registry.register(name, 0);
    const visited: string[] = [];
    for (const { kernel, sweeper } of [await replica(), await replica()]) {
      vi.spyOn(kernel, "visit").mockImplementation(async (claim) => {
        visited.push(claim.namespace);
        await kernel.registry.forget(claim);
        return { workLeft: false, sessions: 0, exists: false, delay: undefined };
      });
      sweeper.start();
    }
    const shared = () => visited.filter((name) => name.startsWith("shared-"));
    await vi.waitFor(() => expect(shared().length).toBeGreaterThanOrEqual(200), WAIT);
    expect(shared().sort()).toEqual(names.sort());
  });

  it("a namespace of another layout is visited once and then left alone for a minute", async () => {
    await settle("strange");
    await redis.hset("bpf:{strange}:meta", "layout", "99");
    await watcher.registry.register("strange", 0);
    const { kernel, sweeper } = await replica();
    const visit = vi.spyOn(kernel, "visit");
    sweeper.start();
    const now = async () => {
      const [seconds] = await redis.time();
      return Number(seconds) * 1000;
    };
    await vi.waitFor(async () => {
      const wait = Number(await redis.zscore(DUE ?? "", "strange")) - (await now());
      expect(wait).toBeGreaterThan(50_000);
    }, WAIT);
    expect(visit.mock.calls.filter(([{ namespace }]) => namespace === "strange")).toHaveLength(1);
    await redis.hset("bpf:{strange}:meta", "layout", "2");
  });

  it("nothing is done when the namespace cannot be registered", async () => {
    const { kernel } = await replica();
    vi.spyOn(kernel.script.masterCalls, "call").mockRejectedValue(new Error("no master"));
    const failed = await start(kernel, "unregistered").catch((error: Error) => error);
    expect(failed).toBeInstanceOf(Unavailable);
    expect(await redis.keys("bpf:{unregistered}:*")).toEqual([]);
    vi.restoreAllMocks();
  });
});

describe("the counters of an empty namespace", () => {
  it("they go after a day, and no id comes back before", async () => {
    const ids = async () => {
      const call = await start(watcher, "counted");
      const { id } = await watcher.mapCreate(call, {
        ...{ ...SIZES, map_type: "hash", max_entries: 8 },
      });
      await watcher.exit(call);
      return [Number(call.sid), id];
    };
    expect(await ids()).toEqual([1, 1]);
    const meta = "bpf:{counted}:meta";
    expect(await redis.pttl(meta)).toBe(-1);
    await watcher.visit(await claimOf(watcher, "counted"));
    expect(await redis.pttl(meta)).toBeGreaterThan(86_000_000);
    const call = await start(watcher, "counted");
    expect(await redis.pttl(meta)).toBe(-1);
    await watcher.exit(call);
    await watcher.visit(await claimOf(watcher, "counted"));
    expect(await redis.pttl(meta)).toBeGreaterThan(86_000_000);
    expect(await ids()).toEqual([3, 2]);
    expect(await differences(redis, "counted")).toEqual([]);
  });

  it("they stay with a pin, and with a root directory that was changed", async () => {
    const call = await start(watcher, "rooted");
    await watcher.setattr(call, "/", { mode: 0o700 });
    await watcher.exit(call);
    await watcher.visit(await claimOf(watcher, "rooted"));
    expect(await redis.pttl("bpf:{rooted}:meta")).toBe(-1);
    expect(await isListed("rooted")).toBe(true);
    expect(await isDue("rooted")).toBe(false);
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
    expect(await redis.zscore(`bpf:{${namespace}}:ids:map`, 1)).toBeNull();
    const held = () => redis.hlen(`bpf:{${namespace}}:fds:${big.sid}`);
    let before = await held();
    for (let step = 0; step < 5; step++) {
      expect((await dead.kernel.sweep(namespace)).workLeft).toBe(true);
      expect(before - (await held()), "fds closed by one step").toBeLessThanOrEqual(1000);
      before = await held();
    }
    const zcards = await redis.eval(
      "local n = 0 for _, k in ipairs(redis.call('KEYS', ARGV[1])) do n = n + redis.call('ZCARD', k) end return n",
      ...[0, `bpf:{${namespace}}:slots:*`],
    );
    expect(Number(await redis.hget(`bpf:{${namespace}}:holders:prog:1`, "slot:1"))).toBe(zcards);

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
