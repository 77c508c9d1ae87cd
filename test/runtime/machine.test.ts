import { describe, expect, it } from "vitest";
import { Machine } from "../../domain/runtime/machine.ts";
import { u32 } from "../support/bytes.ts";
import {
  answer,
  fault,
  jobOf,
  machine,
  needs,
  pairs,
  run,
  type TestMapView,
  withHexBytes,
} from "../support/runtime_jobs.ts";

/** A machine runs programs that call each other; no run may leave anything behind. */

const tailCall = (index: number | string) => `r2 = map[fd:0]
  r3 = ${index}
  call bpf_tail_call#12`;
const slots = (values: Record<number, number | null>, rest = {}): TestMapView[] => [
  { map_type: "prog_array", elements: pairs(values), ...rest },
];
const EXIT = "\n exit";

describe("tail calls", () => {
  /** Counts its runs in cb[0], calls itself, and returns the count when the tail call fails. */
  const self = `r6 = r1
    r1 = *(u32 *)(r6 +48)
    r1 += 1
    *(u32 *)(r6 +48) = r1
    r1 = r6
    ${tailCall(0)}
    r0 = *(u32 *)(r6 +48)
    exit`;

  it("tail calls succeed 33 times a run, so that a program runs 34 times", async () => {
    const { retval, chain } = await run(self, { maps: slots({ 0: 100 }) });
    expect(retval).toBe(34);
    expect(chain.length).toBe(34);
  });

  /** Calls itself from a subprogram, after the code `more`; each call that returns adds to r0. */
  const nested = (more: string) => `${more}
    call pc+3
    r0 += 1
    r0 |= r7
    exit
    ${tailCall(0)}
    r0 = 0
    exit`;

  it("tail calls in subprograms return to their callers from 34 programs deep", async () => {
    const maps = slots({ 0: 100 });
    expect(await answer(nested("r7 = 0\n*(u64 *)(r10 -8) = 64"), { maps })).toBe(34);
    expect(await answer(nested("r7 = *(u64 *)(r10 -8)"), { maps })).toBe(34);
  });

  it("tail calls are counted anew in each repetition", async () => {
    expect((await run(self, { maps: slots({ 0: 100 }), repeat: 3 })).retval).toBe(3 * 34);
  });

  it("a tail call ends the run with the called program's result", async () => {
    const { retval, chain, reads } = await run(`${tailCall(1)}\nr0 = 1${EXIT}`, {
      maps: slots({ 1: 7 }),
      others: { 7: "r0 = *(u32 *)(r1 +0)\nexit" },
    });
    expect(retval).toBe(54);
    expect(chain).toEqual([100, 7]);
    expect(withHexBytes(reads)).toEqual([{ map: 1, key: "01000000", value: "07000000" }]);
  });

  it("a tail call to an empty or missing slot continues after the call", async () => {
    const missed = (index: number | string) =>
      answer(`${tailCall(index)}\nr0 = 5${EXIT}`, { maps: slots({ 1: null }) });
    expect(await missed(1)).toBe(5);
    expect(await missed(2)).toBe(5);
    expect(await missed(4)).toBe(5);
    expect(await missed(-1)).toBe(5);
  });

  it("a tail call takes a 32-bit index, and a miss does not count", async () => {
    const wide = `r6 = r1
      r7 = 100
      again:
      r1 = r6
      ${tailCall(2)}
      r7 -= 1
      if r7 != 0 goto again
      r1 = r6
      r2 = map[fd:0]
      r3 = 0x100000000 ll
      call bpf_tail_call#12
      r0 = 5
      exit`;
    const maps = slots({ 0: 7 });
    expect(await answer(wide, { maps, others: { 7: "r0 = 9\nexit" } })).toBe(9);
  });

  it("a tail call in a subprogram returns to the subprogram's caller", async () => {
    const text = `call pc+2
      r0 += 1
      exit
      ${tailCall(0)}
      r0 = 50
      exit`;
    expect(await answer(text, { maps: slots({ 0: 7 }), others: { 7: "r0 = 9\nexit" } })).toBe(10);
  });

  it("a tail call asks for a missing program and an unfetched slot", async () => {
    const text = `${tailCall(1)}\nr0 = 1${EXIT}`;
    expect(await needs(text, { maps: slots({ 1: 8 }) })).toEqual([{ program: 8 }]);
    expect(await needs(text, { maps: slots({}, { isComplete: false }) })).toEqual([
      { map: 1, key: "01000000" },
    ]);
  });

  it("tail calls keep the maps of programs with the same code apart", async () => {
    const text = `r6 = r1
      *(u32 *)(r10 -4) = 0
      r2 = r10
      r2 += -4
      r1 = map[fd:1]
      call bpf_map_lookup_elem#1
      if r0 == 0 goto pc+5
      r1 = *(u32 *)(r0 +0)
      r1 += 1
      *(u32 *)(r0 +0) = r1
      r1 = r6
      ${tailCall(0)}
      r0 = 0
      exit`.replace("goto pc+5", "goto pc+8");
    const maps: TestMapView[] = [
      ...slots({ 0: 7 }),
      { map_type: "array", max_entries: 1, bytes: u32(10) },
    ];
    const job = await jobOf(text, { maps, others: { 7: text } });
    const other = { ...job.maps[1], id: 3, bytes: u32(20) } as (typeof job.maps)[number];
    const [first, second] = job.programs.map((program, i) => ({ ...program, maps: [1, 2 + i] }));
    const programs = [first, second] as typeof job.programs;
    const empty = { ...job, programs, maps: [...job.maps, other] };
    const ended = machine.execute(empty);
    expect(ended.kind === "done" && withHexBytes(ended.writes)).toEqual([
      { op: "write", map: 2, key: "00000000", value: "0b000000" },
      { op: "write", map: 3, key: "00000000", value: withHexBytes(u32(20 + 33)) },
    ]);
  });
});

describe("a fault", () => {
  it("a fault names the program and the instruction", async () => {
    const load = "r0 = 0\nr1 = 8\nr0 = *(u64 *)(r1 +0)\nexit";
    expect(await fault(load)).toMatchObject({ reason: "memory", program: 100, pc: 2 });
    const called = `call pc+1\nexit\n${load}`;
    expect(await fault(called)).toMatchObject({ reason: "memory", pc: 4 });
    const chained = await fault(`${tailCall(0)}\nr0 = 0${EXIT}`, {
      maps: slots({ 0: 7 }),
      others: { 7: load },
    });
    expect(chained).toMatchObject({ reason: "memory", program: 7, pc: 2 });
    const after = `call pc+4\nr0 = 0\nr1 = 8\nr0 = *(u64 *)(r1 +0)\nexit\n${tailCall(0)}\nexit`;
    const maps = slots({ 0: 7 });
    const returned = await fault(after, { maps, others: { 7: "r0 = 9\nexit" } });
    expect(returned).toMatchObject({ program: 100, pc: 3 });
  });

  it.each([
    ["NULL", "r1 = 0"],
    ["the page above it", "r1 = 65535"],
    ["a negative address", "r1 = -8"],
    ["an address with its 33rd bit set", "r2 = 0x100000000 ll\nr1 += r2"],
    ["a map", "r1 = map[fd:0]"],
    ["below the context", "r1 += -8"],
    ["the shadow", "r1 = 0x2200000"],
    ["the end of the memory", "r1 = 0x2ffffff"],
  ])("an access to %s faults", async (_, where) => {
    const maps: TestMapView[] = [{ map_type: "hash" }];
    for (const access of [
      "r0 = *(u8 *)(r1 +0)",
      "*(u8 *)(r1 +0) = 1",
      "lock *(u64 *)(r1 +0) += r1",
    ]) {
      expect(await fault(`${where}\n${access}\nr0 = 0\nexit`, { maps })).toMatchObject({
        reason: "memory",
      });
    }
  });

  it("an access outside of an element's value faults, to the byte", async () => {
    const access = (off: number, size = 8) => `*(u32 *)(r10 -4) = 1
      r2 = r10
      r2 += -4
      r1 = map[fd:0]
      call bpf_map_lookup_elem#1
      if r0 == 0 goto pc+1
      r0 = *(u${size} *)(r0 +${off})
      exit`;
    for (const map_type of ["array", "hash", "percpu_array", "lru_hash"]) {
      const elements = [
        { key: u32(1), value: new Uint8Array(map_type === "percpu_array" ? 16 : 5) },
      ];
      const cpus = map_type === "percpu_array" ? { cpus: 2 } : {};
      const maps: TestMapView[] = [{ map_type, value_size: 5, elements, ...cpus }];
      expect(await answer(access(4), { maps })).toBe(0);
      for (const [off, size] of [
        [5, 8],
        [-1, 8],
        [4, 16],
        [8, 8],
      ] as const) {
        expect(await fault(access(off, size), { maps }), map_type).toMatchObject({
          reason: "memory",
          pc: 7,
        });
      }
    }
  });

  it("a write to a read-only map and a read of a write-only map fault", async () => {
    const access = (text: string, map_flags: number) => {
      const maps: TestMapView[] = [{ map_type: "array", max_entries: 1, map_flags, bytes: u32(5) }];
      return { text: `r1 = map[fd:0][0]+0\nr0 = 0\n${text}\nexit`, maps };
    };
    const [load, store] = ["r0 = *(u32 *)(r1 +0)", "*(u32 *)(r1 +0) = 1"];
    for (const [text, flags, good] of [
      [load, 0x80, true],
      [store, 0x80, false],
      [load, 0x100, false],
      [store, 0x100, true],
    ] as const) {
      const { text: program, maps } = access(text, flags);
      if (good) await run(program, { maps });
      else expect(await fault(program, { maps })).toMatchObject({ pc: 3 });
    }
  });

  it("an endless program faults when its budget is used up", async () => {
    const endless = "r0 = 0\nloop:\nr0 += 1\ngoto loop\nexit";
    expect(await fault(endless, { budget: 10_000 })).toMatchObject({ reason: "budget", pc: 2 });
    expect(await fault(`r0 = 1\ncall pc+1\nexit\n${endless}`)).toMatchObject({ reason: "budget" });
    const loop = "r0 = 1000\nloop:\nr0 -= 1\nif r0 != 0 goto loop\nexit";
    expect(await answer(loop, { budget: 3000, repeat: 5 })).toBe(0);
  });

  it("a record that is never or twice submitted faults", async () => {
    const maps: TestMapView[] = [
      { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096 },
    ];
    const reserve = "r1 = map[fd:0]\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve#131\n";
    const submit = "r1 = r6\nr2 = 0\ncall bpf_ringbuf_submit#132\n";
    expect(await fault(`${reserve}r0 = 0\nexit`, { maps })).toMatchObject({ reason: "memory" });
    expect(
      await fault(`${reserve}r6 = r0\n${submit}${submit}r0 = 0\nexit`, { maps }),
    ).toMatchObject({ pc: 11 });
    const used = `${reserve}r6 = r0\n${submit}r0 = *(u8 *)(r6 +0)\nexit`;
    expect(await fault(used, { maps })).toMatchObject({ pc: 9 });
  });

  it("a call that is too deep faults", async () => {
    const deep = (frames: number) =>
      Array.from({ length: frames - 1 }, () => "call pc+1\nexit\n")
        .join("")
        .concat("r0 = 3\nexit");
    expect(await answer(deep(8))).toBe(3);
    expect(await fault(deep(9))).toMatchObject({ reason: "stack", pc: 16 });
  });
});

describe("state between runs", () => {
  const zeros = Buffer.alloc(0x200_0000);
  const clean = ({ arena }: Machine) => arena.bytes.subarray(0, zeros.length).equals(zeros);

  /** A stack and elements of zeros, which every program can access. */
  const stack = Array.from(
    { length: 64 },
    (_, i) => `r1 = *(u64 *)(r10 -${8 * (i + 1)})\nr0 |= r1`,
  );
  const sum = `r0 = 0\n${stack.join("\n")}`;
  const fill = sum.replaceAll(/r1 = \*\(u64 \*\)\((r10 -\d+)\)\nr0 \|= r1/g, "*(u64 *)($1) = -1");

  it("the stack is cleared between runs, that of callees too", async () => {
    const own = new Machine();
    const execute = async (text: string) => own.execute(await jobOf(text));
    expect(await execute(`${fill}\ncall pc+1\nexit\n${fill}\nexit`)).toMatchObject({ retval: 0 });
    expect(await execute(`${sum}\nr6 = r0\ncall pc+2\nr0 |= r6\nexit\n${sum}\nexit`)).toMatchObject(
      {
        retval: 0,
      },
    );
    expect(clean(own)).toBe(true);
  });

  it("the memory is restored between runs, however a run ends", async () => {
    const own = new Machine();
    const shadowed = () => Buffer.from(own.arena.bytes.subarray(0x220_0000));
    const before = shadowed();
    const maps: TestMapView[] = [
      { map_type: "hash", elements: pairs({ 1: 0x41414141 }) },
      {
        map_type: "array",
        value_size: 12,
        max_entries: 100,
        bytes: new Uint8Array(1200).fill(0x41),
      },
    ];
    const look = (map: number) => `*(u32 *)(r10 -4) = 1
      r2 = r10
      r2 += -4
      r1 = map[fd:${map}]
      call bpf_map_lookup_elem#1
      `;
    const good = `${look(0)}*(u32 *)(r0 +0) = 7\n${look(1)}r0 = 0\nexit`;
    const ends = {
      done: good,
      fault: `${look(1)}r0 = *(u8 *)(r0 +12)\nexit`,
      miss: `${look(0).replace("= 1", "= 2")}r0 = 0\nexit`,
    };
    for (const [kind, text] of Object.entries(ends)) {
      const job = await jobOf(text, {
        maps: maps.map((map) => ({ ...map, isComplete: kind !== "miss" })),
      });
      expect(own.execute(job).kind).toBe(kind);
      expect(clean(own), kind).toBe(true);
      expect(shadowed().equals(before), kind).toBe(true);
    }
  });

  it("a repeated run gives the same result", async () => {
    const text = `call bpf_get_prandom_u32#7
      r6 = r0
      *(u32 *)(r10 -4) = 1
      r2 = r10
      r2 += -4
      r1 = map[fd:0]
      call bpf_map_lookup_elem#1
      *(u32 *)(r0 +0) = r6
      r0 = 0
      exit`;
    const job = await jobOf(text, { maps: [{ map_type: "hash", elements: pairs({ 1: 1 }) }] });
    const { duration: _, ...first } = machine.execute(job) as { duration?: number };
    const { duration: __, ...second } = machine.execute(job) as { duration?: number };
    expect(second).toEqual(first);
  });
});
