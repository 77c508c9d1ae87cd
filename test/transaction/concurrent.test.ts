import { describe, expect, it } from "vitest";
import {
  add,
  asm,
  FRAME,
  increment,
  lookup,
  map,
  OUT,
  returns,
  run,
  tailCall,
  u64,
} from "../support/run_programs.ts";
import { type TestSession, testService } from "../support/service.ts";

/** Runs are serializable, also while programs are swapped. */

const service = await testService();
const RUNNERS = 32;
const EACH = 10;

async function all(work: (i: number) => Promise<unknown>) {
  await Promise.all(Array.from({ length: RUNNERS }, (_, i) => work(i)));
}

describe(`${RUNNERS} runners on one counter lose no increment`, () => {
  it.each([
    ["array, read and written", "array", increment],
    ["array, added to", "array", add],
    ["hash, read and written", "hash", increment],
    ["hash, added to", "hash", add],
    ["LRU hash, read and written", "lru_hash", increment],
  ])("concurrent runs on one counter lose no increment: %s", async (_claim, type, text) => {
    const session = await service.session(service.namespace());
    const counter = await map(session, type, 4);
    await session.put(`/v1/fds/${counter.fd}/elements/u32:0`, { value: "u64:0" });
    const { fd } = await asm(session, text(counter.fd, 0));
    await all(async () => {
      for (let n = 0; n < EACH; n++) await run(session, fd);
    });
    expect(await u64(session, counter.fd, "u32:0")).toBe(RUNNERS * EACH);
  });
});

it("two replicas on one counter lose no increment", async () => {
  const other = await testService();
  const namespace = service.namespace();
  const session = await service.session(namespace);
  const counter = await map(session, "array", 1);
  const { fd } = await asm(session, increment(counter.fd, 0));
  await session.put("/v1/fs?path=/p", { type: "pin", fd });
  const second = await other.session(namespace);
  await all(async (i) => {
    const { status } = await (i % 2 ? session : second).post("/v1/run", {
      path: "/p",
      data_in: FRAME,
    });
    expect(status).toBe(200);
  });
  expect(await u64(session, counter.fd, "u32:0")).toBe(RUNNERS);
});

it("no two runs both see what the other is about to change (write skew)", async () => {
  const session = await service.session(service.namespace());
  const flags = await map(session, "array", 2);
  const unless = (mine: number, theirs: number) => `${lookup(flags.fd, theirs)}
    r1 = *(u64 *)(r0 +0)
    if r1 != 0 goto out${lookup(flags.fd, mine)}
    r1 = 1
    *(u64 *)(r0 +0) = r1${OUT}`;
  const [a, b] = [await asm(session, unless(0, 1)), await asm(session, unless(1, 0))];
  for (let round = 0; round < 50; round++) {
    await Promise.all([run(session, a.fd), run(session, b.fd)]);
    const set = (await u64(session, flags.fd, "u32:0")) + (await u64(session, flags.fd, "u32:1"));
    expect(set, `round ${round}`).toBe(1);
    for (const key of ["u32:0", "u32:1"]) {
      await session.put(`/v1/fds/${flags.fd}/elements/${key}`, { value: "u64:0" });
    }
  }
});

const CHANGES = Number(process.env.SWAP_RUNS ?? 2000);
const GENERATIONS = 4;

/** Slot 0 calls slot 1 or 2 by turns; r0 is 100 times its generation plus that of the other. */
async function chain(session: TestSession, array: number, generation: number) {
  const slot = 1 + (generation % 2);
  const first = `
    *(u32 *)(r1 +48) = ${generation}
    ${tailCall(array, slot)}`;
  const last = `
    r0 = *(u32 *)(r1 +48)
    r0 *= 100
    r0 += ${generation}
    exit`;
  return { slot, first: (await asm(session, first)).fd, last: (await asm(session, last)).fd };
}

it(`an array changed ${CHANGES} times under load never shows a torn chain`, async () => {
  const session = await service.session(service.namespace());
  const array = await map(session, "prog_array", 3, { value_size: 4 });
  const counter = await map(session, "array", 1);
  const text = `r6 = r1${lookup(counter.fd, 0)}
    r1 = 1
    lock *(u64 *)(r0 +0) += r1
    r1 = r6${tailCall(array.fd, 0)}${OUT}`;
  const entry = await asm(session, text);
  const chains: Awaited<ReturnType<typeof chain>>[] = [];
  for (let g = 1; g <= GENERATIONS; g++) chains.push(await chain(session, array.fd, g));
  const put = async (slot: number, fd: number) => {
    const path = `/v1/fds/${array.fd}/elements/u32:${slot}`;
    expect((await session.put(path, { value: { fd } })).status).toBe(204);
  };
  let changes = 0;
  const swap = async () => {
    const next = chains[(changes / 2) % GENERATIONS];
    if (next === undefined) throw new Error("no such chain");
    await put(next.slot, next.last);
    await put(0, next.first);
    changes += 2;
  };
  await swap();
  const seen = new Map<number, number>();
  const runner = async () => {
    for (; changes < CHANGES; ) {
      const { retval } = await run(session, entry.fd);
      seen.set(retval, (seen.get(retval) ?? 0) + 1);
    }
  };
  const swapper = async () => {
    while (changes < CHANGES) await swap();
  };
  await Promise.all([swapper(), runner(), runner()]);
  expect([...seen.keys()].sort()).toEqual([101, 202, 303, 404]);
  const runs = [...seen.values()].reduce((sum, count) => sum + count, 0);
  expect(await u64(session, counter.fd, "u32:0")).toBe(runs);
}, 180_000);

it("a run in an array without programs answers with what comes after the tail call", async () => {
  const session = await service.session(service.namespace());
  const array = await map(session, "prog_array", 3, { value_size: 4 });
  const { fd } = await asm(session, tailCall(array.fd, 2));
  expect((await run(session, fd)).retval).toBe(99);
  expect((await run(session, (await asm(session, returns(1))).fd)).retval).toBe(1);
});
