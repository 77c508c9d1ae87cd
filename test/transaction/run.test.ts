import { describe, expect, it } from "vitest";
import {
  add,
  asm,
  FRAME,
  increment,
  lookup,
  map,
  OUT,
  refused,
  returns,
  run,
  tailCall,
  u64,
} from "../support/run_programs.ts";
import { testService } from "../support/service.ts";

/** BPF_PROG_TEST_RUN over HTTP: the answer of a run, and that its effects are atomic. */

const service = await testService();
const newSession = (more: object = {}) => service.session(service.namespace(), more);

describe("a run", () => {
  it("a run returns r0, the packet and the duration of a repetition", async () => {
    const session = await newSession();
    const { fd, id } = await asm(session, returns(7));
    const { body } = await session.post(`/v1/fds/${fd}/test-run`, { data_in: FRAME, repeat: 3 });
    expect(body).toMatchObject({ retval: 7, data_out: FRAME, data_size_out: 14, programs: [id] });
    expect(body.duration_ns).toBeGreaterThanOrEqual(0);
  });

  it("a run without room for the packet is ENOSPC with a part of it, and took effect", async () => {
    const session = await newSession();
    const counter = await map(session, "array", 1);
    const { fd } = await asm(session, increment(counter.fd, 0));
    const { errno, run: result } = await refused(session, fd, { data_size_out: 4 });
    expect([errno, result.data_out, result.data_size_out]).toEqual(["ENOSPC", "00000000", 14]);
    expect(await u64(session, counter.fd, "u32:0")).toBe(1);
  });

  it("a run rejects fd, type, size and flags as Linux does", async () => {
    const session = await newSession();
    const { fd } = await asm(session, returns(0));
    const other = await asm(session, returns(0), { prog_type: "kprobe" });
    const counter = await map(session, "array", 1);
    expect((await refused(session, 99)).errno).toBe("EBADF");
    expect((await refused(session, counter.fd)).errno).toBe("EINVAL");
    expect((await refused(session, other.fd)).errno).toBe("ENOTSUPP");
    expect((await refused(session, fd, { data_in: "00" })).errno).toBe("EINVAL");
    expect((await refused(session, fd, { flags: 1 })).errno).toBe("EINVAL");
    expect((await refused(session, fd, { data_in: "zz" })).errors[0].pointer).toBe("/body/data_in");
  });

  it("a run repeats time, random numbers and CPU by its seed", async () => {
    const session = await newSession();
    const { fd } = await asm(
      session,
      `call ktime_get_ns
      r6 = r0
      call get_prandom_u32
      r6 ^= r0
      call get_smp_processor_id
      r0 += r6
      exit`,
    );
    const first = await run(session, fd);
    expect(await run(session, fd, { seed: first.seed })).toMatchObject({ retval: first.retval });
    const { time_ns } = first.seed;
    const other = await run(session, fd, { seed: { time_ns, random: 1, cpu: 1 } });
    expect(other.retval).not.toBe(first.retval);
  });

  it("a run takes a context by field names and returns it", async () => {
    const session = await newSession();
    const { fd } = await asm(
      session,
      `r0 = *(u32 *)(r1 +8)
      *(u32 *)(r1 +48) = 5
      exit`,
    );
    const { retval, ctx_out } = await run(session, fd, { ctx_in: { mark: 42, cb: [1, 2] } });
    expect([retval, ctx_out]).toMatchObject([42, { mark: 42, cb: [5, 2, 0, 0, 0], tstamp: "0" }]);
    const bytes = Buffer.alloc(192);
    bytes.writeUInt32LE(42, 8);
    const raw = await run(session, fd, { ctx_in: bytes.toString("hex") });
    expect(Buffer.from(String(raw.ctx_out), "hex").readUInt32LE(48)).toBe(5);
    const bad = await refused(session, fd, { ctx_in: { nonsense: 1 } });
    expect([bad.errno, bad.errors[0].pointer]).toEqual(["EINVAL", "/body/ctx_in/nonsense"]);
  });

  it("a run returns its trace and outputs records to a ring buffer", async () => {
    const session = await newSession();
    const ring = await map(session, "ringbuf", 4096, { key_size: 0, value_size: 0 });
    const { fd } = await asm(
      session,
      `*(u64 *)(r10 -8) = 7
      r1 = map[fd:${ring.fd}]
      r2 = r10
      r2 += -8
      r3 = 8
      r4 = 0
      call ringbuf_output
      *(u32 *)(r10 -8) = 25637
      r1 = r10
      r1 += -8
      r2 = 4
      r3 = 12
      call trace_printk
      r0 = 0
      exit`,
    );
    expect((await run(session, fd)).trace).toEqual(["12"]);
    const { body } = await session.get(`/v1/fds/${ring.fd}/records`);
    expect(body.records.map(({ data }: { data: string }) => data)).toEqual(["0700000000000000"]);
  });

  it("a run repeated with its Idempotency-Key takes effect once and answers the same", async () => {
    const session = await newSession();
    const counter = await map(session, "array", 1);
    const { fd } = await asm(session, increment(counter.fd, 0));
    const once = () =>
      session.post(`/v1/fds/${fd}/test-run`, { data_in: FRAME }, { "idempotency-key": "k" });
    const [first, second] = [await once(), await once()];
    expect([first.status, second.body]).toEqual([200, first.body]);
    expect(await u64(session, counter.fd, "u32:0")).toBe(1);
  });

  it("a failed run or load repeats its failure for its Idempotency-Key", async () => {
    const session = await newSession();
    const key = (name: string) => ({ "idempotency-key": name });
    const again = (name: string) =>
      session.post("/v1/fds/3/test-run", { data_in: FRAME }, key(name));
    const load = () => session.post("/v1/progs", { asm: add(3, 0) }, key("load"));
    const [closed, noMap] = [await again("closed"), await load()];
    expect([closed.body.errno, noMap.body.errno]).toEqual(["EBADF", "EBADF"]);
    await asm(session, "call bpf_get_socket_cookie\nr0 = 0\nexit");
    const faulted = await again("helper");
    expect(faulted.body).toMatchObject({ errno: "ENOTSUPP", fault: { insn: 0 } });
    await session.del("/v1/fds/3");
    await map(session, "array", 1);
    const { errno, detail, fault } = faulted.body;
    expect((await again("helper")).body).toMatchObject({ errno, detail, fault });
    expect((await again("closed")).body.errno).toBe("EBADF");
    expect((await load()).body).toMatchObject({ errno: "EBADF", log: noMap.body.log });
    expect((await again("anew")).body.errno).toBe("EINVAL");
  });
});

describe("a run that fails", () => {
  /** Writes at an offset that only the run knows. */
  const beyond = (fd: number) => `${lookup(fd, 0)}
    r1 = 1
    *(u64 *)(r0 +0) = r1
    r6 = r0
    call get_prandom_u32
    r0 &= 4095
    r6 += r0
    r1 = *(u64 *)(r6 +4096)${OUT}`;

  it("a run that faults is EFAULT with the instruction, and has changed nothing", async () => {
    const session = await newSession();
    const counter = await map(session, "array", 1);
    const loaded = await session.post("/v1/progs", { asm: beyond(counter.fd) });
    if (loaded.status !== 201) expect(loaded.body.errno).toBe("EACCES");
    else {
      const problem = await refused(session, loaded.body.fd);
      expect(problem.errno).toBe("EFAULT");
      expect(problem.fault).toMatchObject({ reason: "memory", program: loaded.body.id, insn: 12 });
      expect(problem.fault.text).toBe("(79) r1 = *(u64 *)(r6 +4096)");
    }
    expect(await u64(session, counter.fd, "u32:0")).toBe(0);
  });

  it("a run over its instruction budget is E2BIG, and the next one runs", async () => {
    const strict = await testService(undefined, { budget: 1000 });
    const session = await strict.session(strict.namespace());
    const { fd, id } = await asm(
      session,
      `again:
      may_goto out
      goto again${OUT}`,
    );
    const problem = await refused(session, fd);
    expect(problem.errno).toBe("E2BIG");
    expect(problem.fault).toMatchObject({ reason: "budget", program: id });
    expect((await run(session, (await asm(session, returns(3))).fd)).retval).toBe(3);
  });

  it("a run that takes too long is E2BIG, and the next one runs", async () => {
    const strict = await testService(undefined, { runLimit: 50 });
    const session = await strict.session(strict.namespace());
    const { fd } = await asm(
      session,
      `again:
      may_goto out
      goto again${OUT}`,
    );
    const problem = await refused(session, fd, { repeat: 1_000_000 });
    expect([problem.errno, problem.fault]).toEqual(["E2BIG", { reason: "time" }]);
    expect((await run(session, (await asm(session, returns(3))).fd)).retval).toBe(3);
  });
});

describe("a run by path", () => {
  it("a run by path opens no fd, follows symlinks and counts no reference", async () => {
    const session = await newSession();
    const { fd, id } = await asm(session, returns(5));
    await session.put("/v1/fs?path=/p", { type: "pin", fd });
    await session.put("/v1/fs?path=/l", { type: "symlink", target: "/p" });
    await session.del(`/v1/fds/${fd}`);
    const { status, body } = await session.post("/v1/run", { path: "/l", data_in: FRAME });
    expect([status, body.retval]).toEqual([200, 5]);
    expect((await session.get("/v1/fds")).body.fds).toEqual([]);
    expect((await session.get(`/v1/progs/${id}`)).body.refcnt).toBe(1);
  });

  it("a run by path needs the permissions of BPF_OBJ_GET", async () => {
    const namespace = service.namespace();
    const root = await service.session(namespace);
    const user = await service.session(namespace, { uid: 1000, gid: 1000, capabilities: [] });
    const { fd } = await asm(root, returns(5));
    const counter = await map(root, "array", 1);
    await root.put("/v1/fs?path=/p", { type: "pin", fd });
    await root.put("/v1/fs?path=/m", { type: "pin", fd: counter.fd });
    const at = async (path: string, session = root) =>
      (await session.post("/v1/run", { path, data_in: FRAME })).body.errno;
    expect(await at("/p", user)).toBe("EACCES");
    await root.patch("/v1/fs?path=/p", { mode: "0666" });
    expect(await at("/p", user)).toBeUndefined();
    expect([await at("/m"), await at("/"), await at("/x")]).toEqual(["EINVAL", "EACCES", "ENOENT"]);
  });
});

describe("tail calls", () => {
  it("a tail call continues in the slot's program and passes over an empty slot", async () => {
    const session = await newSession();
    const array = await map(session, "prog_array", 4, { value_size: 4 });
    const first = await asm(session, tailCall(array.fd, 1));
    expect((await run(session, first.fd)).retval).toBe(99);
    const second = await asm(session, returns(42));
    await session.put(`/v1/fds/${array.fd}/elements/u32:1`, { value: { fd: second.fd } });
    const { retval, programs } = await run(session, first.fd);
    expect([retval, programs]).toEqual([42, [first.id, second.id]]);
  });

  it("the next run sees a program replaced in its slot", async () => {
    const session = await newSession();
    const array = await map(session, "prog_array", 1, { value_size: 4 });
    const first = await asm(session, tailCall(array.fd, 0));
    const seen = [];
    for (const n of [1, 2, 3]) {
      const { fd } = await asm(session, returns(n));
      await session.put(`/v1/fds/${array.fd}/elements/u32:0`, { value: { fd } });
      seen.push((await run(session, first.fd)).retval);
    }
    expect(seen).toEqual([1, 2, 3]);
  });

  it("a program that tail-calls itself runs 34 times", async () => {
    const session = await newSession();
    const array = await map(session, "prog_array", 1, { value_size: 4 });
    const counter = await map(session, "array", 1);
    const text = `r6 = r1${lookup(counter.fd, 0)}
      r1 = 1
      lock *(u64 *)(r0 +0) += r1
      r1 = r6${tailCall(array.fd, 0)}${OUT}`;
    const { fd } = await asm(session, text);
    await session.put(`/v1/fds/${array.fd}/elements/u32:0`, { value: { fd } });
    const { retval, programs } = await run(session, fd);
    expect([retval, programs.length]).toEqual([99, 34]);
    expect(await u64(session, counter.fd, "u32:0")).toBe(34);
  });

  it("every tail call falls through once the array's last user is gone (c9da161c65)", async () => {
    const session = await newSession();
    const array = await map(session, "prog_array", 1, { value_size: 4 });
    const first = await asm(session, tailCall(array.fd, 0));
    const second = await asm(session, returns(1));
    await session.put(`/v1/fds/${array.fd}/elements/u32:0`, { value: { fd: second.fd } });
    expect((await run(session, first.fd)).retval).toBe(1);
    await session.del(`/v1/fds/${array.fd}`);
    expect((await run(session, first.fd)).retval).toBe(99);
  });
});

describe("maps in a run", () => {
  it("a counter that is only added to, and one that is read and written, count alike", async () => {
    const session = await newSession();
    for (const type of ["array", "hash", "percpu_array", "percpu_hash", "lru_hash"]) {
      const counter = await map(session, type, 4);
      const cpus = type.startsWith("percpu") ? 2 : 1;
      const zero = "00".repeat(8 * cpus);
      await session.put(`/v1/fds/${counter.fd}/elements/u32:1`, { value: zero });
      const programs = [
        await asm(session, add(counter.fd, 1)),
        await asm(session, increment(counter.fd, 1)),
      ];
      for (const { fd } of programs) await run(session, fd, { repeat: 5 });
      expect([type, await u64(session, counter.fd, "u32:1")]).toEqual([type, 10]);
      for (const { fd } of [...programs, counter]) await session.del(`/v1/fds/${fd}`);
    }
  });

  it("a run writes the inner map of a map of maps", async () => {
    const session = await newSession();
    const inner = await map(session, "array", 1);
    const outer = await map(session, "array_of_maps", 2, { value_size: 4, inner_map_fd: inner.fd });
    await session.put(`/v1/fds/${outer.fd}/elements/u32:1`, { value: { fd: inner.fd } });
    const text = `${lookup(outer.fd, 1)}
      *(u32 *)(r10 -4) = 0
      r1 = r0
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      r1 = 3
      *(u64 *)(r0 +0) = r1${OUT}`;
    await run(session, (await asm(session, text)).fd);
    expect(await u64(session, inner.fd, "u32:0")).toBe(3);
  });

  it("a run gets all keys that it accesses one after the other", async () => {
    const session = await newSession();
    const chain = await map(session, "hash", 100);
    for (let n = 0; n < 60; n++) {
      await session.put(`/v1/fds/${chain.fd}/elements/u32:${n}`, { value: `u64:${n + 1}` });
    }
    const text = `*(u32 *)(r10 -4) = 0
    again:
      r1 = map[fd:${chain.fd}]
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      r1 = *(u64 *)(r0 +0)
      *(u32 *)(r10 -4) = r1
      if r1 < 40 goto again
      r0 = r1
      exit${OUT}`;
    const loaded = await session.post("/v1/progs", { asm: text });
    if (loaded.status === 201) expect((await run(session, loaded.body.fd)).retval).toBe(40);
    else expect(loaded.body.errno).toMatch(/EINVAL|E2BIG/);
  });
});
