import { afterEach, describe, expect, it } from "vitest";
import { LimitReached, Unavailable } from "../../domain/errno.ts";
import type { Job } from "../../domain/runtime/job.ts";
import { Pool, type PoolOptions, TimeLimit } from "../../domain/runtime/pool/pool.ts";
import { u32 } from "../support/bytes.ts";
import { jobOf, pairs, withHexBytes } from "../support/runtime_jobs.ts";

/** The pool of threads that run jobs. */

const pools: Pool[] = [];
function start(options: Partial<PoolOptions> = {}): Pool {
  const pool = new Pool({ threads: 1, timeLimit: 20_000, ...options });
  pools.push(pool);
  return pool;
}
afterEach(() => {
  for (const pool of pools.splice(0)) pool.close();
});

/** The job without its code, which a thread already has. */
const bare = (job: Job): Job => ({
  ...job,
  programs: job.programs.map(({ id, key, maps }) => ({ id, key, maps })),
});
const ENDLESS = "loop: goto loop\nexit";

describe("a pool", () => {
  it("a pool runs jobs as a machine does, over and over", async () => {
    const pool = start();
    const text = `*(u32 *)(r10 -4) = 1
      r2 = r10
      r2 += -4
      r1 = map[fd:0]
      call bpf_map_lookup_elem#1
      r1 = *(u32 *)(r0 +0)
      r1 += 1
      *(u32 *)(r0 +0) = r1
      r0 = r1
      exit`;
    const job = await jobOf(text, { maps: [{ map_type: "hash", elements: pairs({ 1: 10 }) }] });
    for (const again of [job, job, bare(job)]) {
      const done = await pool.run(again);
      expect(withHexBytes(done)).toMatchObject({
        kind: "done",
        retval: 11,
        reads: [{ map: 1, key: "01000000", value: "0a000000" }],
        writes: [{ op: "write", map: 1, key: "01000000", value: "0b000000" }],
      });
    }
  });

  it("a pool starts one thread ahead, and the first job takes it", async () => {
    let threads = 0;
    const count = () => void threads++;
    process.on("worker", count);
    const pool = start({ threads: 2 });
    pool.warm();
    pool.warm();
    await new Promise(setImmediate);
    expect(threads).toBe(1);
    expect(await pool.run(await jobOf("r0 = 6\nexit"))).toMatchObject({ retval: 6 });
    process.off("worker", count);
    expect(threads).toBe(1);
  });

  it("a pool compiles prepared programs", async () => {
    const pool = start();
    const job = await jobOf("r0 = 6\nexit");
    const [program] = job.programs;
    if (program?.unit === undefined) throw new Error("no program");
    pool.prepare({ key: program.key, unit: program.unit });
    expect(await pool.run(bare(job))).toMatchObject({ retval: 6 });
  });

  it("a pool rejects what its threads cannot do, and continues", async () => {
    const pool = start();
    const job = await jobOf("r0 = 6\nexit");
    await expect(
      pool.run(bare({ ...job, programs: [{ id: 1, key: "unknown", maps: [] }] })),
    ).rejects.toThrow("no program unknown was given");
    await expect(pool.run(bare(job))).rejects.toThrow("was given");
    expect(await pool.run(job)).toMatchObject({ retval: 6 });
  });

  it("a pool ends a job that takes too long and starts another thread", async () => {
    const pool = start({ timeLimit: 1000 });
    const endless = pool.run(await jobOf(ENDLESS, { budget: 1e15 }));
    const next = pool.run(await jobOf("r0 = 6\nexit"));
    await expect(endless).rejects.toBeInstanceOf(TimeLimit);
    expect(await next).toMatchObject({ kind: "done", retval: 6 });
  });

  it("a job within its time still ends by its instruction budget", async () => {
    const done = await start().run(await jobOf(ENDLESS));
    expect(done).toMatchObject({ kind: "fault", reason: "budget" });
  });

  it("a pool runs other jobs while one thread is busy", async () => {
    const pool = start({ threads: 2, timeLimit: 2000 });
    const endless = pool.run(await jobOf(ENDLESS, { budget: 1e15 }));
    const short = await jobOf("r0 = 6\nexit");
    for (let i = 0; i < 20; i++) expect(await pool.run(short)).toMatchObject({ retval: 6 });
    await expect(endless).rejects.toBeInstanceOf(TimeLimit);
  });

  it("a pool bounds the number of waiting jobs", async () => {
    const pool = start({ waiting: 2 });
    const job = await jobOf("r0 = 6\nexit");
    const runs = await Promise.allSettled(Array.from({ length: 4 }, () => pool.run(job)));
    expect(runs.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    expect(runs[2]).toMatchObject({ reason: expect.any(LimitReached) });
  });

  it("a closed pool rejects its jobs", async () => {
    const pool = start();
    const running = pool.run(await jobOf(ENDLESS, { budget: 1e15 }));
    const closed = expect(running).rejects.toThrow();
    pool.close();
    await closed;
    await expect(pool.run(await jobOf("r0 = 6\nexit"))).rejects.toBeInstanceOf(Unavailable);
  });

  it("a thread keeps a bounded number of programs", async () => {
    const pool = start();
    const maps = [{ map_type: "array" as const, max_entries: 1, bytes: u32(1) }];
    for (let i = 0; i < 600; i++) {
      expect(await pool.run(await jobOf(`r0 = ${i}\nexit`, { maps }))).toMatchObject({ retval: i });
    }
    expect(await pool.run(await jobOf("r0 = 0\nexit", { maps }))).toMatchObject({ retval: 0 });
  });
});
