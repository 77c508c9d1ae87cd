import { describe, expect, it } from "vitest";
import {
  asm,
  FRAME,
  lookup,
  map,
  OUT,
  refused,
  returns,
  run,
  u64,
} from "../support/run_programs.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Limits of what a run reads and changes; its effects are atomic whatever others do meanwhile. */

const service = await testService();
const newSession = () => service.session(service.namespace());

/** A program's update of key `n` in place. */
const update = (fd: number, n: number, flags = 0) => `
  *(u32 *)(r10 -4) = ${n}
  *(u64 *)(r10 -16) = 1
  r1 = map[fd:${fd}]
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = ${flags}
  call map_update_elem`;

const push = (fd: number, flags = 0) => `
  *(u64 *)(r10 -16) = 1
  r1 = map[fd:${fd}]
  r2 = r10
  r2 += -16
  r3 = ${flags}
  call map_push_elem`;

const END = "\nr0 = 0\nexit";

/** Test-runs the program and calls `interfere` between its first snapshot and its commit. */
async function between(session: TestSession, fd: number, interfere: () => Promise<void>) {
  const { script } = service.kernel;
  const whole = script.run.bind(script);
  let over = false;
  script.run = async (namespace, command, ...args) => {
    if (command === "run_commit" && !over) {
      over = true;
      await interfere();
    }
    return whole(namespace, command, ...args);
  };
  try {
    return await session.post(`/v1/fds/${fd}/test-run`, { data_in: FRAME });
  } finally {
    script.run = whole;
  }
}

describe("changes of others between snapshot and commit", () => {
  it("an update of a hash that others filled changes nothing, and the run repeats", async () => {
    const session = await newSession();
    const array = await map(session, "array", 1);
    const hash = await map(session, "hash", 4);
    for (const n of [1, 2, 3, 4]) {
      await session.put(`/v1/fds/${hash.fd}/elements/u32:${n}`, { value: "u64:0" });
    }
    const { fd } = await asm(session, `${update(array.fd, 0)}${update(hash.fd, 1)}\nexit`);
    const answer = await between(session, fd, async () => {
      await session.del(`/v1/fds/${hash.fd}/elements/u32:1`);
      await session.put(`/v1/fds/${hash.fd}/elements/u32:9`, { value: "u64:0" });
    });
    // In the second try the update itself returns -E2BIG, which is in r0.
    expect([answer.status, answer.body.retval | 0]).toEqual([200, -7]);
    expect(await u64(session, array.fd, "u32:0")).toBe(1);
    expect((await session.get(`/v1/fds/${hash.fd}`)).body.entries).toBe(4);
  });

  it("pushes into a queue that others filled change nothing, and the run repeats", async () => {
    const session = await newSession();
    const array = await map(session, "array", 1);
    const queue = await map(session, "queue", 4, { key_size: 0 });
    const pushes = `${push(queue.fd, 2)}${push(queue.fd, 2)}${push(queue.fd)}`;
    const { fd } = await asm(session, `${update(array.fd, 0)}${pushes}\nexit`);
    const answer = await between(session, fd, async () => {
      for (let n = 0; n < 3; n++)
        await session.post(`/v1/fds/${queue.fd}/push`, { value: "u64:7" });
    });
    expect([answer.status, answer.body.retval | 0]).toEqual([200, -7]);
    expect((await session.get(`/v1/fds/${queue.fd}`)).body.entries).toBe(4);
  });

  it("a queried ring buffer position is the one at the commit", async () => {
    const session = await newSession();
    const array = await map(session, "array", 1);
    const ring = await map(session, "ringbuf", 4096, { key_size: 0, value_size: 0 });
    const text = `${lookup(array.fd, 0)}
      r6 = r0
      r1 = map[fd:${ring.fd}]
      r2 = 3
      call ringbuf_query
      *(u64 *)(r6 +0) = r0${OUT}`;
    const { fd } = await asm(session, text);
    const record = async () => {
      await session.post(`/v1/fds/${ring.fd}/records`, { records: ["str:one"] });
    };
    await record();
    expect((await between(session, fd, record)).status).toBe(200);
    expect(await u64(session, array.fd, "u32:0")).toBe(32);
  });
});

it("a program learns at once that a ring buffer is full", async () => {
  const session = await newSession();
  const drops = await map(session, "array", 1);
  const ring = await map(session, "ringbuf", 4096, { key_size: 0, value_size: 0 });
  const text = `
    *(u64 *)(r10 -8) = 1
    r1 = map[fd:${ring.fd}]
    r2 = r10
    r2 += -8
    r3 = 8
    r4 = 0
    call ringbuf_output
    if r0 == 0 goto out${update(drops.fd, 0)}${OUT}`;
  const { fd } = await asm(session, text);
  await run(session, fd, { repeat: 255 });
  expect(await u64(session, drops.fd, "u32:0")).toBe(0);
  await run(session, fd);
  expect(await u64(session, drops.fd, "u32:0")).toBe(1);
});

describe("maps that a program only names", () => {
  it.each([
    ["an array of 5,000", "array", { max_entries: 5000 }],
    ["an array of 4 MiB values", "array", { max_entries: 3, value_size: 4_194_296 }],
    ["an empty queue of 100 KB values", "queue", { key_size: 0, value_size: 100_000 }],
    ["a hash", "hash", {}],
  ])("a run does not fetch %s that it only names", async (_claim, type, sizes) => {
    const session = await newSession();
    const named = await map(session, type, 8, sizes);
    const { fd } = await asm(session, `r1 = map[fd:${named.fd}]${END}`);
    expect((await run(session, fd)).retval).toBe(0);
  });
});

describe("a run that walks a hash", () => {
  /** Follows the values from key to key to the end. */
  const walk = (fd: number) => `
    *(u32 *)(r10 -4) = 0
    r6 = 0
  again:
    r1 = map[fd:${fd}]
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto done
    r1 = *(u64 *)(r0 +0)
    *(u32 *)(r10 -4) = r1
    r6 += 1
    if r6 < 300 goto again
  done:
    r0 = r6
    exit`;

  it("a run that walks a hash of 300 elements soon gets the whole map", async () => {
    const session = await newSession();
    const hash = await map(session, "hash", 400);
    const keys = Array.from({ length: 300 }, (_, n) => `u32:${n}`);
    const values = keys.map((_, n) => `u64:${n + 1}`);
    await session.post(`/v1/fds/${hash.fd}/batch`, { op: "update", keys, values });
    expect((await run(session, (await asm(session, walk(hash.fd))).fd)).retval).toBe(300);
  });
});

/** Updates `count` keys, from 0 on. */
const updates = (fd: number, count: number) => `
      r6 = 0
    again:
      *(u32 *)(r10 -4) = r6
      *(u64 *)(r10 -16) = 1
      r1 = map[fd:${fd}]
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -16
      r4 = 0
      call map_update_elem
      r6 += 1
      if r6 < ${count} goto again${END}`;

it.each(["lru_hash", "lru_percpu_hash"])(
  "a run evicts from an %s as its steps would one by one",
  async (type) => {
    const session = await newSession();
    const [one, many] = [await map(session, type, 16), await map(session, type, 16)];
    const text = `
      r6 = 0
    again:
      *(u32 *)(r10 -4) = r6
      *(u64 *)(r10 -16) = 1
      r1 = map[fd:${many.fd}]
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -16
      r4 = 0
      call map_update_elem
      r1 = r6
      r1 &= 7
      *(u32 *)(r10 -4) = r1
      r1 = map[fd:${many.fd}]
      r2 = r10
      r2 += -4
      call map_lookup_elem
      r6 += 1
      if r6 < 40 goto again${END}`;
    const value = type === "lru_hash" ? "u64:1" : "u64:1+u64:0";
    for (let n = 0; n < 40; n++) {
      await session.put(`/v1/fds/${one.fd}/elements/u32:${n}`, { value });
      await session.get(`/v1/fds/${one.fd}/elements/u32:${n & 7}?touch=true`);
    }
    await run(session, (await asm(session, text)).fd);
    const keys = async (fd: number) => {
      const { elements } = (await session.get(`/v1/fds/${fd}/elements`)).body;
      return elements.map(({ key }: { key: string }) => key);
    };
    expect(await keys(many.fd)).toEqual(await keys(one.fd));
    const { evictions } = (await session.get(`/v1/fds/${one.fd}`)).body;
    expect(evictions).toBeGreaterThan(0);
    expect((await session.get(`/v1/fds/${many.fd}`)).body.evictions).toBe(evictions);
  },
);

describe("a run that reads much of one map", () => {
  /** Writes one more than the sum of 1,500 elements to another map. */
  const sums = (from: number, to: number) => `
      r6 = 0
      r7 = 1
    again:
      *(u32 *)(r10 -4) = r6
      r1 = map[fd:${from}]
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      r1 = *(u64 *)(r0 +0)
      r7 += r1
      r6 += 1
      if r6 < 1500 goto again
      ${lookup(to, 0)}
      *(u64 *)(r0 +0) = r7${OUT}`;

  it("a run that reads very much of one map takes effect as if alone", async () => {
    const session = await newSession();
    const many = await map(session, "array", 1500);
    const total = await map(session, "array", 1);
    const { fd } = await asm(session, sums(many.fd, total.fd));
    const add = async () => {
      await session.put(`/v1/fds/${many.fd}/elements/u32:1499`, { value: "u64:7" });
    };
    expect((await between(session, fd, add)).status).toBe(200);
    expect(await u64(session, total.fd, "u32:0")).toBe(8);
  });
});

describe("limits of one commit", () => {
  it("a run that refills an LRU map too often is E2BIG and changes nothing", async () => {
    const session = await newSession();
    const lru = await map(session, "lru_hash", 4);
    await run(session, (await asm(session, updates(lru.fd, 20))).fd);
    const { evictions, revision } = (await session.get(`/v1/fds/${lru.fd}`)).body;
    const problem = await refused(session, (await asm(session, updates(lru.fd, 100))).fd);
    expect([problem.errno, problem.detail]).toEqual([
      "E2BIG",
      "a run may read 4096 elements and change 1024; larger or slower elements count for more",
    ]);
    expect((await session.get(`/v1/fds/${lru.fd}`)).body).toMatchObject({ evictions, revision });
  });

  it("a run that changes more elements than one script may is E2BIG and changes nothing", async () => {
    const session = await newSession();
    const hash = await map(session, "hash", 4000);
    const problem = await refused(session, (await asm(session, updates(hash.fd, 1500))).fd);
    expect([problem.errno, problem.detail]).toEqual([
      "E2BIG",
      "a run may change at most 1024 elements and 1048576 bytes",
    ]);
    expect((await session.get(`/v1/fds/${hash.fd}`)).body.entries).toBe(0);
  });

  it("a run is never E2BIG for what an earlier run accessed", async () => {
    const session = await newSession();
    const hash = await map(session, "hash", 6000);
    const choice = await map(session, "array", 1);
    const text = `${lookup(choice.fd, 0)}
      r1 = *(u64 *)(r0 +0)
      if r1 == 0 goto out
      ${walkOf(hash.fd)}${OUT}`;
    const { fd } = await asm(session, text);
    const fill = async (from: number, to: number) => {
      const keys = Array.from({ length: to - from }, (_, n) => `u32:${from + n}`);
      await session.post(`/v1/fds/${hash.fd}/batch`, {
        op: "update",
        keys,
        values: keys.map((_, n) => `u64:${from + n + 1}`),
      });
    };
    await fill(0, 3900);
    await session.put(`/v1/fds/${choice.fd}/elements/u32:0`, { value: "u64:1" });
    expect((await run(session, fd)).retval).toBe(0);
    await fill(3900, 4200);
    await session.put(`/v1/fds/${choice.fd}/elements/u32:0`, { value: "u64:0" });
    expect((await run(session, fd)).retval).toBe(0);
  });
});

/** Looks up twenty keys, one after another. */
function walkOf(fd: number): string {
  return `
      *(u32 *)(r10 -4) = 0
      r6 = 0
    again:
      r1 = map[fd:${fd}]
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      r1 = *(u64 *)(r0 +0)
      *(u32 *)(r10 -4) = r1
      r6 += 1
      if r6 < 20 goto again`;
}

it("a width in bpf_trace_printk() is at most a line", async () => {
  const session = await newSession();
  const bytes = Buffer.from("%999999999d\0");
  const words = [0, 4, 8].map((at) => `*(u32 *)(r10 ${at - 16}) = ${bytes.readInt32LE(at)}`);
  const text = `${words.join("\n")}
    r1 = r10
    r1 += -16
    r2 = 12
    r3 = 5
    call trace_printk${END}`;
  const { trace } = await run(session, (await asm(session, text)).fd);
  expect(trace[0]?.length).toBe(1023);
});

it("a busy session does not block another one", async () => {
  const [one, two] = [await newSession(), await newSession()];
  const busy = await asm(one, `r6 = 0\nagain:\nr6 += 1\nif r6 < 5000 goto again${END}`);
  const quick = await asm(two, returns(1));
  await run(two, quick.fd);
  let over = 0;
  const many = Array.from({ length: 40 }, async () => {
    await run(one, busy.fd, { repeat: 2000 });
    over += 1;
  });
  await run(two, quick.fd);
  expect(over).toBeLessThan(40);
  await Promise.all(many);
});
