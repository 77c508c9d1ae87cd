import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { u32Hex } from "../support/bytes.ts";
import { create, outcome } from "../support/map_fixture.ts";
import { asm, FRAME, refused, returns, run } from "../support/run_programs.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Maps that redirect packets, and output to perf events; the answers of Linux are in the traces. */

const service = await testService();
const start = (more: object = {}) => service.session(service.namespace(), more);
const XDP_DEVMAP = 33;
const XDP_CPUMAP = 35;
const [ABORTED, DROP, PASS, REDIRECT] = [0, 1, 2, 4];
const BROADCAST = 8;

const make = (session: TestSession, map_type: string, more: object = {}) =>
  create(session, { map_type, ...more });

const inSlots = (session: TestSession, expected_attach_type: number, text = returns(PASS)) =>
  asm(session, text, { prog_type: "xdp", expected_attach_type });

async function put(session: TestSession, fd: number, key: string, value: string) {
  return outcome(await session.put(`/v1/fds/${fd}/elements/${key}`, { value }));
}

const redirect = (fd: number, index: string, flags: number) => `
  r1 = map[fd:${fd}]
  r2 = ${index}
  r3 = ${flags}
  call redirect_map
  exit`;

const output = (fd: number, flags: string, size = 8) => `
  *(u64 *)(r10 -8) = 0
  r2 = map[fd:${fd}]
  r3 = ${flags} ll
  r4 = r10
  r4 += -8
  r5 = ${size}
  call perf_event_output
  exit`;

async function runXdp(session: TestSession, text: string, more: object = {}): Promise<number> {
  const { fd } = await asm(session, text, { prog_type: "xdp" });
  const { retval } = await run(session, fd, more);
  await session.del(`/v1/fds/${fd}`);
  return retval;
}

async function freed(session: TestSession): Promise<void> {
  const { namespace } = (await session.get("/v1/session")).body;
  while ((await service.kernel.sweep(namespace)).workLeft);
}

describe("bpf_redirect_map()", () => {
  it.each(["devmap", "devmap_hash", "cpumap"])(
    "bpf_redirect_map() on a %s returns the flags' lower bits when the lookup fails",
    async (map_type) => {
      const session = await start();
      const fd = await make(session, map_type);
      const to = (index: string, flags: number) => runXdp(session, redirect(fd, index, flags));
      expect(await to("1", PASS)).toBe(PASS);
      expect(await put(session, fd, "u32:1", "u32:1")).toBe("ok");
      expect(await to("1", PASS)).toBe(REDIRECT);
      expect(await to("4294967297 ll", PASS), "the index has 32 bits").toBe(REDIRECT);
      expect(await to("0", DROP)).toBe(DROP);
      expect(await to("8", DROP), "beyond its end").toBe(DROP);
      const broadcast = map_type === "cpumap" ? ABORTED : REDIRECT;
      expect(await to("0", BROADCAST | DROP)).toBe(broadcast);
      expect(await to("1", 32), "an unknown flag").toBe(ABORTED);
      await session.del(`/v1/fds/${fd}/elements/u32:1`);
      expect(await to("1", PASS)).toBe(PASS);
    },
  );

  it("bpf_redirect_map() works through an array of devmaps and in a very large one", async () => {
    const session = await start();
    const fd = await make(session, "devmap", { max_entries: 4096 });
    for (let n = 0; n < 40; n++) await put(session, fd, `u32:${n * 100}`, "u32:1");
    const outer = await make(session, "array_of_maps", { inner_map_fd: fd });
    await session.put(`/v1/fds/${outer}/elements/u32:2`, { value: { fd } });
    const inner = (index: number) => `
      *(u32 *)(r10 -4) = 2
      r1 = map[fd:${outer}]
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      r1 = r0
      r2 = ${index}
      r3 = 1
      call redirect_map
      exit
    out:
      r0 = 99
      exit`;
    expect(await runXdp(session, inner(3900))).toBe(REDIRECT);
    expect(await runXdp(session, inner(3901))).toBe(DROP);
    const dump = (await session.get(`/v1/fds/${fd}/elements?limit=1000`)).body.elements;
    expect(dump.map(({ key }: { key: string }) => key)).toEqual(
      Array.from({ length: 40 }, (_, n) => u32Hex(n * 100)),
    );
  });

  it("a program reads a slot of a devmap but cannot write it", async () => {
    const session = await start();
    const fd = await make(session, "devmap", { value_size: 8 });
    const { fd: prog, id } = await inSlots(session, XDP_DEVMAP);
    await put(session, fd, "u32:3", `u32:1+u32:${prog}`);
    const slot = (key: number, then: string) => `
      *(u32 *)(r10 -4) = ${key}
      r1 = map[fd:${fd}]
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      ${then}
      exit
    out:
      r0 = 99
      exit`;
    expect(await runXdp(session, slot(3, "r0 = *(u32 *)(r0 +0)"))).toBe(1);
    expect(await runXdp(session, slot(3, "r0 = *(u32 *)(r0 +4)"))).toBe(id);
    expect(await runXdp(session, slot(0, "r0 = *(u32 *)(r0 +0)"))).toBe(99);
    const writes = await session.post("/v1/progs", {
      ...{ prog_type: "xdp", asm: slot(3, "*(u32 *)(r0 +0) = 2\nr0 = 0") },
    });
    expect(writes.body.log).toContain("write into map forbidden");
  });
});

it("a slot that a run has read is compared at the commit", async () => {
  const session = await start();
  const [fd, counts] = [await make(session, "devmap"), await make(session, "array")];
  await put(session, fd, "u32:1", "u32:1");
  const counted = `
    *(u32 *)(r10 -4) = 0
    r1 = map[fd:${counts}]
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto out
    r1 = *(u32 *)(r0 +0)
    r1 += 1
    *(u32 *)(r0 +0) = r1
  out:`;
  expect(await runXdp(session, counted + redirect(fd, "1", 0), { repeat: 3 })).toBe(REDIRECT);
  expect(await runXdp(session, counted + redirect(fd, "2", PASS))).toBe(PASS);
  const { body } = await session.get(`/v1/fds/${counts}/elements/u32:0`);
  expect(body.value).toBe(u32Hex(4));
});

describe("programs in slots", () => {
  it("a program for a slot of a devmap has no test run", async () => {
    const session = await start();
    for (const attach of [XDP_DEVMAP, XDP_CPUMAP]) {
      const { fd } = await inSlots(session, attach);
      expect(await refused(session, fd)).toMatchObject({ errno: "EINVAL" });
    }
  });

  it("slots are listed as holders, and put step by step when the map is freed", async () => {
    const session = await start();
    for (const [map_type, attach, count] of [
      ["devmap", XDP_DEVMAP, 300],
      ["devmap_hash", XDP_DEVMAP, 300],
      ["cpumap", XDP_CPUMAP, 2],
    ] as const) {
      const fd = await make(session, map_type, { value_size: 8, max_entries: count < 9 ? 8 : 300 });
      const { fd: prog, id } = await inSlots(session, attach);
      for (let n = 0; n < count; n++) await put(session, fd, `u32:${n}`, `u32:1+u32:${prog}`);
      await put(session, fd, "u32:1", "u32:1+u32:0");
      const held = (await session.get(`/v1/progs/${id}`)).body;
      expect(held.refcnt).toBe(count);
      expect(held.holders.slots).toHaveLength(1);
      await session.del(`/v1/fds/${fd}`);
      await session.del(`/v1/fds/${prog}`);
      await freed(session);
      expect((await session.get(`/v1/progs/${id}`)).status).toBe(404);
    }
  });
});

describe("cpumap", () => {
  it("a cpumap gives ENODEV beyond the CPUs and EOVERFLOW for a queue above 16384", async () => {
    const session = await start({ cpus: 3 });
    const fd = await make(session, "cpumap");
    expect(await put(session, fd, "u32:2", "u32:16384")).toBe("ok");
    expect(await put(session, fd, "u32:3", "u32:192")).toBe("ENODEV");
    expect(await put(session, fd, "u32:3", "u32:16385")).toBe("EOVERFLOW");
    expect(await put(session, fd, "u32:2", "u32:0")).toBe("ok");
    expect(await session.get(`/v1/fds/${fd}`)).toMatchObject({ body: { entries: 0 } });
  });
});

it("devmaps and cpumaps need CAP_NET_ADMIN besides CAP_BPF", async () => {
  const attr = (map_type: string, key_size = 4) => ({
    ...{ map_type, key_size, value_size: 4, max_entries: 4 },
  });
  const tried = async (capabilities: string[], map_type: string, key_size?: number) => {
    const session = await start({ uid: 1000, gid: 1000, capabilities });
    return outcome(await session.post("/v1/maps", attr(map_type, key_size)));
  };
  for (const type of ["devmap", "devmap_hash"]) {
    expect(await tried(["CAP_BPF"], type)).toBe("EPERM");
    expect(await tried(["CAP_NET_ADMIN"], type)).toBe("EPERM");
    expect(await tried([], type, 8)).toBe("EINVAL");
    expect(await tried(["CAP_BPF", "CAP_NET_ADMIN"], type)).toBe("ok");
  }
  for (const type of ["cpumap", "perf_event_array"]) {
    expect(await tried([], type)).toBe("EPERM");
    expect(await tried(["CAP_BPF"], type)).toBe("ok");
  }
  expect(await tried([], "cpumap", 8)).toBe("EPERM");
  expect(await tried([], "perf_event_array", 8)).toBe("EINVAL");
});

describe("bpf_perf_event_output()", () => {
  const ERRNO = { ENOENT: -2, E2BIG: -7, EFAULT: -14, EINVAL: -22 };

  it.each(["socket_filter", "sched_cls", "sched_act", "lwt_in", "lwt_out", "lwt_xmit", "xdp"])(
    "bpf_perf_event_output() of %s checks flags, then length, then slot",
    async (prog_type) => {
      const session = await start();
      const perf = await make(session, "perf_event_array", { max_entries: 1 });
      const retvalOf = async (flags: bigint, more: object = {}) => {
        const { fd } = await asm(session, output(perf, String(flags)), {
          ...{ prog_type, license: "GPL" },
        });
        return (await run(session, fd, { data_in: "00".repeat(64), ...more })).retval | 0;
      };
      const seed = { time_ns: "1", random: 1 };
      const [current, length] = [0xffff_ffffn, 32n];
      const packetLength = ["sched_cls", "sched_act", "xdp"].includes(prog_type) ? 64n : 50n;
      expect(await retvalOf(0n)).toBe(ERRNO.ENOENT);
      expect(await retvalOf(1n)).toBe(ERRNO.E2BIG);
      expect(await retvalOf(current, { seed: { ...seed, cpu: 0 } })).toBe(ERRNO.ENOENT);
      expect(await retvalOf(current, { seed: { ...seed, cpu: 1 } })).toBe(ERRNO.E2BIG);
      expect(await retvalOf(packetLength << length)).toBe(ERRNO.ENOENT);
      expect(await retvalOf(((packetLength + 1n) << length) | 1n)).toBe(ERRNO.EFAULT);
      expect(await retvalOf((1n << 52n) | (99n << length))).toBe(ERRNO.EINVAL);
      expect(await retvalOf(1n << 63n)).toBe(ERRNO.EINVAL);
    },
  );

  it("bpf_perf_event_output() needs a GPL-compatible licence", async () => {
    const session = await start();
    const perf = await make(session, "perf_event_array");
    const body = { prog_type: "xdp", asm: output(perf, "0"), license: "none" };
    const { body: answer } = await session.post("/v1/progs", body);
    expect(answer.log).toContain("cannot call GPL-restricted function");
  });
});

describe("an object file", () => {
  const OBJECT = readFileSync(join(import.meta.dirname, "../elf/objects/redirect.o"));

  it("an object with devmaps, a cpumap and a perf_event_array loads twice", async () => {
    const session = await start({ cpus: 3 });
    const load = () => session.post("/v1/elf?name=redirect", OBJECT);
    const first = await load();
    expect(first.status, JSON.stringify(first.body)).toBe(201);
    const fdOf = (list: { name: string; fd: number }[], name: string) =>
      list.find((one) => one.name === name)?.fd ?? 0;
    const { maps, progs } = first.body;
    const info = await session.get(`/v1/fds/${fdOf(maps, "events")}`);
    expect(info.body, "libbpf: as many as there are possible CPUs").toMatchObject({
      max_entries: 3,
    });
    const forward = fdOf(progs, "forward");
    expect((await run(session, forward, { data_in: FRAME })).retval).toBe(PASS);
    const [ports, leave] = [fdOf(maps, "ports"), fdOf(progs, "leave")];
    expect(await put(session, ports, "u32:1", `u32:1+u32:${leave}`)).toBe("ok");
    expect((await run(session, forward, { data_in: FRAME })).retval).toBe(REDIRECT);
    expect(
      (await session.get(`/v1/fds/${ports}/elements/u32:1?format=json`)).body.value,
    ).toMatchObject({ ifindex: 1 });
    const again = await load();
    expect(again.status, JSON.stringify(again.body)).toBe(201);
    expect(again.body.maps.find(({ name }: { name: string }) => name === "ports")).toMatchObject({
      reused: true,
    });
  });
});
