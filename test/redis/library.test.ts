import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Call, createKernel, type Kernel } from "../../domain/bpf.ts";
import { type Errno, Unavailable } from "../../domain/errno.ts";
import { ACCESS } from "../../domain/redis/command_access.ts";
import { connect, connected } from "../../domain/redis/connection.ts";
import { Library } from "../../domain/redis/library.ts";
import { bundleLua, type LuaBundle } from "../../domain/redis/lua_bundle.ts";
import { Masters } from "../../domain/redis/masters.ts";
import { startPrivateRedis } from "../../domain/redis/private_server.ts";
import { LAYOUT } from "../../domain/redis/records.ts";
import { commandNames, Script } from "../../domain/redis/script.ts";
import { differences } from "../support/invariants/invariants.ts";
import { DEADLINE_MS } from "../support/patience.ts";

/** The library of Redis Functions is loaded when needed and deleted when no service uses it. */

const dir = mkdtempSync(join(tmpdir(), "bpf-library-"));
let server: Awaited<ReturnType<typeof startPrivateRedis>>;
let kernel: Kernel;
const bundle = bundleLua();
const NOBODY = { sid: "", hash: "", record: "", fingerprint: "" };
const ROOT = {
  ...{ label: "", ttl_ms: 3_600_000, uid: 0, gid: 0, groups: [], umask: 0o022, nofile: 1024 },
  capabilities: "*" as const,
};
const HASH = {
  ...{ map_type: "hash", key_size: 4, value_size: 8, max_entries: 1000 },
  ...{ map_flags: 0, map_name: "", map_extra: "0" },
};

let spaces = 0;
async function session(of: Kernel, namespace = `library-${spaces++}`): Promise<Call> {
  const { token } = await of.sessionCreate({ ...NOBODY, namespace }, ROOT);
  return { ...of.tokens.read(token), record: "", fingerprint: "" };
}

const libraries = async () =>
  ((await kernel.script.redis.function("LIST")) as unknown[][]).map((fields) =>
    String(fields[fields.indexOf("library_name") + 1]),
  );

beforeAll(async () => {
  const onEnd = () => {};
  server = await startPrivateRedis({ dir, log: () => {}, onEnd });
  kernel = createKernel(`unix://${server.url}`, Buffer.alloc(32, 1), { deadline: DEADLINE_MS });
  await kernel.script.ready();
});
afterAll(async () => {
  kernel.disconnect();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => kernel.script.library.load());

/** Another version of the service: the same commands, another text and so another name. */
function otherVersion(): LuaBundle {
  const name = `bpf_${"f".repeat(16)}`;
  const named = (text: string) => text.replaceAll(bundle.name, name);
  const functions = {
    grow: named(bundle.functions.grow),
    free: named(bundle.functions.free),
    read: named(bundle.functions.read),
  };
  return { ...bundle, name, functions, library: named(bundle.library) };
}

/** Calls of functions since the last reset, without beats, which alone use GET. */
async function countCalls(): Promise<number> {
  const stats = await kernel.script.redis.info("commandstats");
  const count = (name: string) =>
    Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  return count("fcall") - count("get");
}

describe("rights of each function", () => {
  // A read must not be sent as a write, although it renews its session.
  it("every command that only reads runs as a function with the flag no-writes", async () => {
    const { redis } = kernel.script;
    const list = (await redis.function("LIST", "LIBRARYNAME", bundle.name)) as unknown[][];
    const text = JSON.stringify(list);
    expect(text).toContain(`"${bundle.functions.read}","description",null,"flags",["no-writes"]`);
    expect(text).toContain(`"${bundle.functions.free}","description",null,"flags",["allow-oom"]`);
    expect(text).toContain(`"${bundle.functions.grow}","description",null,"flags",[]`);
    for (const command of ACCESS.keys()) expect(commandNames()).toContain(command);
  });

  it("a lookup writes nothing, and renews by a second call after a tenth of the ttl", async () => {
    const { redis } = kernel.script;
    const call = await session(kernel);
    const { fd } = await kernel.mapCreate(call, HASH);
    const key = Buffer.from("key0");
    await kernel.mapUpdateElem(call, fd, { key, value: Buffer.from("value000") }, 0, "");
    const stored = () => redis.hgetBuffer(`bpf:{${call.namespace}}:session:${call.sid}`, "life");
    const before = await stored();
    await redis.config("RESETSTAT");
    for (let i = 0; i < 10; i++) await kernel.mapLookupElem(call, fd, key, { flags: 0 });
    expect(await countCalls()).toBe(10);
    expect(await stored()).toEqual(before);
    const life = before as Buffer;
    const soon = Buffer.from(life);
    soon.writeDoubleLE(life.readDoubleLE(0) - 3_600_000 / 8, 0);
    await redis.hset(`bpf:{${call.namespace}}:session:${call.sid}`, "life", soon);
    await redis.zadd(`bpf:{${call.namespace}}:deadlines`, soon.readDoubleLE(0), call.sid);
    await redis.config("RESETSTAT");
    for (let i = 0; i < 10; i++) await kernel.mapLookupElem(call, fd, key, { flags: 0 });
    expect(await countCalls()).toBe(11);
    expect(((await stored()) as Buffer).readDoubleLE(0)).toBeGreaterThan(soon.readDoubleLE(0));
  });
});

describe("a Redis that loses the library", () => {
  /** Many clients update and look up until stopped. @returns what they did. */
  async function under(work: (stop: () => boolean) => Promise<void>, disturb: () => Promise<void>) {
    let stopped = false;
    const workers = Array.from({ length: 16 }, () => work(() => stopped));
    await disturb();
    stopped = true;
    await Promise.all(workers);
  }

  // FUNCTION FLUSH and SCRIPT FLUSH under load cause no 5xx, and nothing is done twice.
  it("FUNCTION FLUSH and SCRIPT FLUSH under load lose nothing and do nothing twice", async () => {
    const { redis } = kernel.script;
    const call = await session(kernel);
    const { fd } = await kernel.mapCreate(call, { ...HASH, map_type: "queue", key_size: 0 });
    let pushed = 0;
    const push = async (stop: () => boolean) => {
      while (!stop() && pushed < 900) {
        const value = Buffer.alloc(8);
        value.writeUInt32LE(pushed++);
        await kernel.mapUpdateElem(call, fd, { key: Buffer.alloc(0), value }, 0, "");
        await kernel.mapLookupElem(call, fd, Buffer.alloc(0), { flags: 0 });
      }
    };
    await under(push, async () => {
      for (let i = 0; i < 20; i++) {
        await redis.function("FLUSH");
        await redis.script("FLUSH");
        const before = pushed;
        await expect.poll(() => pushed > before || pushed >= 900).toBe(true);
      }
    });
    const { elements } = await kernel.mapDump(call, fd, { limit: 1000 });
    const numbers = elements.map(({ value }) => value.readUInt32LE()).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: pushed }, (_, i) => i));
    await kernel.exit(call);
    while ((await kernel.sweep(call.namespace)).workLeft);
    expect(await differences(redis, call.namespace)).toEqual([]);
  });

  it("a master without the library gets it at the first call", async () => {
    const call = await session(kernel);
    await kernel.script.redis.function("DELETE", bundle.name);
    expect(await kernel.sessionGet(call)).toMatchObject({ id: Number(call.sid) });
    expect(await libraries()).toContain(bundle.name);
  });

  it("a master that rejects the library gives 503, and nothing was done", async () => {
    const { redis } = kernel.script;
    const call = await session(kernel);
    await redis.function("DELETE", bundle.name);
    await redis.call("ACL", "SETUSER", "default", "-function|load");
    try {
      const failed = await kernel.mapCreate(call, HASH).catch((error: Error) => error);
      expect(failed).toBeInstanceOf(Unavailable);
      expect((failed as Error).message).toContain("Redis rejected the library");
    } finally {
      await redis.call("ACL", "SETUSER", "default", "+function|load");
    }
    expect((await kernel.mapCreate(call, HASH)).fd).toBe(3);
  });

  // Redis rejects FUNCTION LOAD when its memory is full.
  it("a full Redis without the library still reads and frees, and grows nothing", async () => {
    const { redis } = kernel.script;
    const call = await session(kernel);
    const { fd } = await kernel.mapCreate(call, HASH);
    await redis.function("DELETE", bundle.name);
    await redis.config("SET", "maxmemory", "1");
    try {
      const other = createKernel(`unix://${server.url}`, Buffer.alloc(32, 1), {
        deadline: DEADLINE_MS,
      });
      await other.script.ready();
      expect((await other.fdList(call, { limit: 10 })).fds).toHaveLength(1);
      const failed = await other.mapCreate(call, HASH).catch((error: Error) => error);
      expect((failed as Errno).code).toBe("ENOMEM");
      await other.close(call, fd);
      expect((await other.fdList(call, { limit: 10 })).fds).toHaveLength(0);
      other.disconnect();
      expect(await libraries()).not.toContain(bundle.name);
    } finally {
      await redis.config("SET", "maxmemory", "0");
    }
    expect(await differences(redis, call.namespace)).toEqual([]);
  });
});

describe("a full Redis", () => {
  // The same Idempotency-Key gets the first answer for a day.
  it("a full Redis answers a repeat by its record and records no rejection", async () => {
    const { redis } = kernel.script;
    const call = await session(kernel);
    const record = (name: string) => ({ ...call, record: `1:${name}`, fingerprint: "print" });
    const first = await kernel.mapCreate(record("done"), HASH);
    await redis.config("SET", "maxmemory", "1");
    try {
      expect(await kernel.mapCreate(record("done"), HASH)).toEqual(first);
      const refused = await kernel.mapCreate(record("new"), HASH).catch((error: Error) => error);
      expect((refused as Errno).code).toBe("ENOMEM");
    } finally {
      await redis.config("SET", "maxmemory", "0");
    }
    expect((await kernel.mapCreate(record("new"), HASH)).fd).toBe(first.fd + 1);
  });
});

describe("two versions of the service", () => {
  it("two versions work on the same session, each by its own library", async () => {
    const other = otherVersion();
    const { redis } = kernel.script;
    await redis.function("LOAD", other.library);
    const call = await session(kernel);
    const { fd } = await kernel.mapCreate(call, HASH);
    const root = `bpf:{${call.namespace}}:`;
    const words = [root, `${root}meta`, "dup", call.sid, call.hash, "", "", "", fd];
    const commands = redis as unknown as {
      fcall(name: string, keys: 2, ...args: (string | number)[]): Promise<unknown[]>;
    };
    for (let i = 1; i <= 20; i++) {
      const [status, mine] = await commands.fcall(other.functions.grow, 2, ...words);
      expect([status, mine]).toEqual(["", fd + 2 * i - 1]);
      expect((await kernel.dup(call, fd)).fd).toBe(fd + 2 * i);
    }
    expect(await libraries()).toEqual(expect.arrayContaining([bundle.name, other.name]));
    expect(await differences(redis, call.namespace)).toEqual([]);
    await redis.function("DELETE", other.name);
  });

  it("a library is deleted when no version has used it for a day, not before", async () => {
    const { redis, library } = kernel.script;
    const other = otherVersion();
    await redis.function("LOAD", other.library);
    await redis.function(
      "LOAD",
      '#!lua name=bpf_mine\nredis.register_function("x", function() end)',
    );
    await library.keepUsed(); // an unknown library is kept for a day from now
    expect(await libraries()).toEqual(
      expect.arrayContaining([bundle.name, other.name, "bpf_mine"]),
    );
    const day = 86_400_000;
    const now = Number((await redis.time())[0]) * 1000;
    await redis.zadd("bpf:libraries", now - day + 60_000, other.name);
    await library.keepUsed();
    expect(await libraries()).toContain(other.name);
    await redis.zadd("bpf:libraries", now - day - 60_000, other.name);
    await library.keepUsed();
    const left = await libraries();
    expect(left).not.toContain(other.name);
    // A service keeps its library by renewing it, and deletes no library of another name.
    expect(left).toEqual(expect.arrayContaining([bundle.name, "bpf_mine"]));
    expect(await redis.zrange("bpf:libraries", "0", "-1")).toEqual([bundle.name]);
    await redis.function("DELETE", "bpf_mine");
  });

  it("no library is deleted after a long silence of all versions", async () => {
    const { redis, library } = kernel.script;
    const other = otherVersion();
    await redis.function("LOAD", other.library);
    await library.keepUsed();
    const now = Number((await redis.time())[0]) * 1000;
    // This happens when Redis was full or unavailable for two days, or is restored from a backup.
    for (const name of [other.name, bundle.name]) {
      await redis.zadd("bpf:libraries", now - 2 * 86_400_000, name);
    }
    await library.keepUsed();
    await library.keepUsed();
    expect(await libraries()).toContain(other.name);
    await redis.function("DELETE", other.name);
    await redis.zrem("bpf:libraries", other.name);
  });

  it("work that another version has left stays for it", async () => {
    const { redis } = kernel.script;
    const call = await session(kernel);
    const list = `bpf:{${call.namespace}}:work`;
    await redis.rpush(list, "of_the_future 1 2", "discard 99");
    const { workLeft } = await kernel.sweep(call.namespace);
    expect(workLeft).toBe(false);
    expect(await redis.lrange(list, 0, -1)).toEqual(["of_the_future 1 2", "discard 99"]);
    await redis.lpop(list);
    await kernel.sweep(call.namespace);
    expect(await redis.exists(list)).toBe(0);
  });

  it("a version whose library was deleted loads it again", async () => {
    const redis = connect(`unix://${server.url}`, DEADLINE_MS);
    await connected(redis);
    const old = new Library(redis, new Masters(redis, DEADLINE_MS), otherVersion());
    await old.load();
    await redis.function("DELETE", otherVersion().name);
    await old.load();
    expect(await libraries()).toContain(otherVersion().name);
    await redis.function("DELETE", otherVersion().name);
    redis.disconnect();
  });
});

describe("the version of the layout", () => {
  it("a namespace's first session writes the layout version", async () => {
    const call = await session(kernel);
    expect(await kernel.script.redis.hget(`bpf:{${call.namespace}}:meta`, "layout")).toBe(LAYOUT);
  });

  it.each([
    ["a newer one", async (meta: string) => kernel.script.redis.hset(meta, "layout", "99")],
    ["none, as before 0.2", async (meta: string) => kernel.script.redis.hdel(meta, "layout")],
  ])("every command rejects %s with 503 and changes nothing", async (_what, change) => {
    const { redis } = kernel.script;
    const call = await session(kernel);
    const meta = `bpf:{${call.namespace}}:meta`;
    await change(meta);
    const keys = async () => {
      const names = (await redis.keys(`bpf:{${call.namespace}}:*`)).sort();
      return Promise.all(names.map(async (name) => [name, await redis.dumpBuffer(name)]));
    };
    const before = await keys();
    for (const command of commandNames()) {
      const who = [call.sid, call.hash, "", ""] as const;
      const args = Array.from({ length: 10 }, () => "");
      const failed = await kernel.script
        .run(call.namespace, command, who, args)
        .catch((error: Error) => error);
      expect(failed, command).toBeInstanceOf(Unavailable);
      expect((failed as Error).message).toContain("layout");
    }
    const script = new Script(redis, DEADLINE_MS);
    const nobody = ["", "", "record", "print"] as const;
    await expect(script.run(call.namespace, "session_create", nobody, ["seed"])).rejects.toThrow(
      Unavailable,
    );
    expect(await keys()).toEqual(before);
  });

  it("a sweep does not create a namespace that nobody used", async () => {
    await kernel.sweep("nobody");
    expect(await kernel.script.redis.keys("bpf:{nobody}:*")).toEqual([]);
  });
});
