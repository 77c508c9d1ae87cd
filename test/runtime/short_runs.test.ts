import { describe, expect, it } from "vitest";
import type { Job, RunDone } from "../../domain/runtime/job.ts";
import { Pool } from "../../domain/runtime/pool/pool.ts";
import { ShortRuns } from "../../domain/runtime/pool/short_runs.ts";
import { FRAME, jobOf, pairs, withHexBytes } from "../support/runtime_jobs.ts";

/** Short programs run on the event loop, with the outcome that a thread gives. */

const short = new ShortRuns();
await short.load();

const lookup = (then: string) => `*(u32 *)(r10 -4) = 1
  r2 = r10
  r2 += -4
  r1 = map[fd:0]
  call bpf_map_lookup_elem#1
  ${then}`;
const hash = { map_type: "hash", elements: pairs({ 1: 10 }) };
const PACKET = { prog_type: "xdp", data: FRAME };

const SHORT: [string, () => Promise<Job>][] = [
  ["nothing", () => jobOf("r0 = 0\nexit")],
  ["a lookup", () => jobOf(lookup("r0 = *(u32 *)(r0 +0)\nexit"), { maps: [hash] })],
  [
    "an element that it was not given",
    () =>
      jobOf(lookup("r0 = *(u32 *)(r0 +0)\nexit"), {
        maps: [{ map_type: "hash", entries: 1, isComplete: false }],
      }),
  ],
  ["a fault", () => jobOf("r1 = 0\nr0 = *(u32 *)(r1 +0)\nexit")],
  [
    "a write to the packet",
    () =>
      jobOf(
        `r2 = *(u32 *)(r1 +0)
      r3 = *(u32 *)(r1 +4)
      r4 = r2
      r4 += 1
      if r4 > r3 goto out
      *(u8 *)(r2 +0) = 7
      out: r0 = 2
      exit`,
        PACKET,
      ),
  ],
  ["random numbers", () => jobOf("call get_prandom_u32\nexit")],
];

const LONG: [string, () => Promise<Job>][] = [
  ["a loop", () => jobOf("r0 = 9\nloop: r0 += -1\nif r0 != 0 goto loop\nexit")],
  ["a subprogram", () => jobOf("call f\nexit\nf: r0 = 1\nexit")],
  [
    "a tail call",
    () =>
      jobOf("r2 = map[fd:0]\nr3 = 0\ncall bpf_tail_call#12\nr0 = 0\nexit", {
        maps: [{ map_type: "prog_array" }],
      }),
  ],
  ["many instructions", () => jobOf(`r0 = 0\n${"r0 += 1\n".repeat(300)}exit`)],
  ["many repetitions", () => jobOf("r0 = 0\nexit", { repeat: 65 })],
  [
    "large maps",
    () =>
      jobOf(lookup("r0 = 0\nexit"), {
        maps: [
          { map_type: "array", value_size: 65_536, max_entries: 2, bytes: Buffer.alloc(131_072) },
        ],
      }),
  ],
];

describe("a short program", () => {
  it.each(SHORT)("a short program with %s has the outcome of a thread", async (_what, make) => {
    const job = await make();
    expect(short.accepts(job)).toBe(true);
    const { duration: _, ...here } = short.run(job) as RunDone;
    // A new pool has no machine on the event loop yet, so its first job goes to a thread.
    const pool = new Pool({ threads: 1, timeLimit: 20_000 });
    const { duration: __, ...there } = (await pool.run(await make())) as RunDone;
    pool.close();
    expect(withHexBytes(here)).toEqual(withHexBytes(there));
  });

  it("a short run keeps its outcome when another one follows", async () => {
    const [, write] = SHORT[4] as (typeof SHORT)[number];
    const first = short.run(await write()) as RunDone;
    const before = withHexBytes(first);
    short.run(await jobOf("r0 = 0\nexit", { prog_type: "xdp", data: Buffer.alloc(60, 0xff) }));
    expect(withHexBytes(first)).toEqual(before);
  });

  it("a known short program runs without its code", async () => {
    const job = await jobOf("r0 = 41\nr0 += 1\nexit");
    expect(short.accepts(job)).toBe(true);
    short.run(job);
    const bare = { ...job, programs: job.programs.map(({ id, key, maps }) => ({ id, key, maps })) };
    expect(short.accepts(bare)).toBe(true);
    expect(short.run(bare)).toMatchObject({ retval: 42 });
  });
});

describe("programs that may take long", () => {
  it.each(LONG)("a thread runs a program with %s", async (_what, make) => {
    expect(short.accepts(await make())).toBe(false);
  });

  it("the event loop's thread compiles no more programs than V8 can keep", async () => {
    const runs = new ShortRuns();
    await runs.load();
    let accepted = 0;
    for (let i = 0; i < 600; i++) if (runs.accepts(await jobOf(`r0 = ${i}\nexit`))) accepted += 1;
    expect(accepted).toBe(512);
    expect(runs.accepts(await jobOf("r0 = 3\nexit"))).toBe(true);
  });
});
