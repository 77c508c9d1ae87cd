import { describe, expect, it } from "vitest";
import { type Call, type Kernel, UNRECORDED } from "../../domain/bpf.ts";
import { differences } from "../support/invariants/invariants.ts";
import { asm, FRAME, map, returns, tailCall } from "../support/run_programs.ts";
import { type Client, testService } from "../support/service.ts";
import { passTime } from "../support/stored.ts";

/** What ended sessions held is visible to nobody, however many have ended; no sweeper runs here. */

const [service, other] = [await testService(), await testService()];
const { kernel } = service;
const { redis } = kernel.script;
const HASH = {
  ...{ map_type: "hash", key_size: 4, value_size: 4, max_entries: 8 },
  ...{ map_flags: 0, map_name: "", map_extra: "0" },
};
const ROOT = {
  ...{ label: "", uid: 0, gid: 0, groups: [], umask: 0o022, nofile: 100_000 },
  capabilities: "*" as const,
};
const MANY = 2000;
/** Sessions that are made at once, and fds. */
const BATCH = 500;
const TTL_MS = 60_000;

async function process(of: Kernel, namespace: string): Promise<Call> {
  const nobody = { namespace, sid: "", hash: "", ...UNRECORDED };
  const { token } = await of.sessionCreate(nobody, { ...ROOT, ttl_ms: TTL_MS });
  return { ...of.tokens.read(token), ...UNRECORDED };
}

/** Makes sessions with a map each, that are all due when it resolves. @returns the ids of the maps. */
async function makeDue(namespace: string, count = MANY): Promise<number[]> {
  const ids: number[] = [];
  const one = async () => {
    const { id } = await kernel.mapCreate(await process(kernel, namespace), HASH);
    ids.push(id);
  };
  while (ids.length < count) await Promise.all(Array.from({ length: BATCH }, one));
  await passTime(redis, namespace, 2 * TTL_MS);
  return ids;
}

/** The number of sessions that have not been released, the caller included. */
const living = (namespace: string) => redis.zcard(`bpf:{${namespace}}:deadlines`);

describe("thousands of sessions due together", () => {
  it("a dead map is 404 by id from the first request on, in every replica", async () => {
    const namespace = service.namespace();
    const observer = await service.session(namespace);
    const elsewhere = await other.session(namespace);
    const ids = await makeDue(namespace);
    const sent = ids
      .filter((_, i) => i % 100 === 0)
      .flatMap((id) => [
        observer.get(`/v1/maps/${id}`),
        elsewhere.get(`/v1/maps/${id}`),
        elsewhere.post("/v1/fds", { map_id: id }),
      ]);
    expect(new Set((await Promise.all(sent)).map(({ status }) => status))).toEqual(new Set([404]));
    expect(await living(namespace)).toBe(2);
    expect(await differences(redis, namespace)).toEqual([]);
  });

  it.each<[string, (observer: Client, id: number) => Promise<unknown>, unknown]>([
    ["the list of maps", async (o) => (await o.get("/v1/maps")).body.maps, []],
    ["the list of sessions", async (o) => (await o.get("/v1/sessions")).body.sessions.length, 1],
    ["a look at a session", async (o) => (await o.get("/v1/sessions/2")).body.reason, "expired"],
    ["a kill", async (o) => (await o.del("/v1/sessions/2")).body.errno, "ESRCH"],
  ])("none of them is in %s", async (_, look, wanted) => {
    const namespace = service.namespace();
    const observer = await service.session(namespace);
    await makeDue(namespace, BATCH);
    expect(await look(observer, 1)).toEqual(wanted);
  });

  it("none of them is counted in the namespace", async () => {
    const namespace = service.namespace();
    await service.session(namespace);
    await makeDue(namespace, BATCH);
    const nobody = { namespace, sid: "", hash: "", ...UNRECORDED };
    expect(await kernel.namespaceGet(nobody)).toMatchObject({ sessions: 1, maps: 0 });
  });

  it("a lookup by an fd of its own releases a share and does not wait for the rest", async () => {
    const namespace = service.namespace();
    const observer = await process(kernel, namespace);
    const { fd } = await kernel.mapCreate(observer, HASH);
    await kernel.sessionSet(observer, { ttl_ms: 10 * TTL_MS });
    const [key, value] = [Buffer.alloc(4), Buffer.alloc(4, 7)];
    await kernel.mapUpdateElem(observer, fd, { key, value }, 0, "");
    await makeDue(namespace);
    const before = await living(namespace);
    expect((await kernel.mapLookupElem(observer, fd, key, { flags: 0 })).value).toEqual(value);
    const released = before - (await living(namespace));
    expect(released).toBeGreaterThan(0);
    expect(released).toBeLessThan(50);
  });

  it("a run finds the program array empty that the last of them held", async () => {
    const namespace = service.namespace();
    const [observer, owner] = [await service.session(namespace), await service.session(namespace)];
    await owner.patch("/v1/session", { ttl_ms: TTL_MS + 5000 });
    const { fd } = await map(owner, "prog_array", 1, { value_size: 4 });
    const called = await asm(owner, returns(42));
    await owner.put(`/v1/fds/${fd}/elements/u32:0`, { value: { fd: called.fd } });
    const first = await asm(owner, tailCall(fd, 0));
    await owner.put("/v1/fs?path=/first", { type: "pin", fd: first.fd });
    const run = async () =>
      (await observer.post("/v1/run", { path: "/first", data_in: FRAME })).body.retval;
    expect(await run()).toBe(42);
    await makeDue(namespace, BATCH);
    expect(await run()).toBe(99);
  });

  it("a request without a token of the namespace releases nothing", async () => {
    const namespace = service.namespace();
    await makeDue(namespace, BATCH);
    const before = await living(namespace);
    const caller = { namespace, sid: "1", hash: "x".repeat(43), ...UNRECORDED };
    await expect(kernel.sessionGet(caller)).rejects.toThrow("token");
    expect(await living(namespace)).toBe(before);
  });
});

describe("a session that exits with thousands of fds", () => {
  it("no answer after the exit counts a reference that it still holds", async () => {
    const namespace = service.namespace();
    const [observer, session] = [
      await process(kernel, namespace),
      await process(kernel, namespace),
    ];
    const { id, fd } = await kernel.mapCreate(observer, HASH);
    for (let n = 0; n < MANY; n += BATCH) {
      const open = () => kernel.mapGetFdById(session, id, 0);
      await Promise.all(Array.from({ length: BATCH }, open));
    }
    await kernel.exit(session);
    expect(await redis.hlen(`bpf:{${namespace}}:holders:map:${id}`)).toBeGreaterThan(1);
    const info = await kernel.objGetInfoByFd(observer, fd);
    expect(info).toMatchObject({ refcnt: 1, usercnt: 1 });
  });
});
