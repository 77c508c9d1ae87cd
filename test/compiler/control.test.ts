import { describe, expect, it } from "vitest";
import { compile, TooLarge } from "../../domain/compiler/compile.ts";
import { BPF_FUNC } from "../../domain/isa/helpers/index.ts";
import { add, call, EXIT, insn, mov, wide } from "../support/insns.ts";
import {
  all,
  done,
  fault,
  load,
  machine,
  outcomes,
  WAYS,
} from "../support/interpreter/execution_modes.ts";

const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);
const repeat = (count: number, part: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => part(i)));

/** Runs compiled code alone, for programs that would take an interpreter too long. */
function compiled(code: Buffer, r1 = 0n, budget?: bigint) {
  return Object.values(WAYS).map((way) => machine.run(load(code, way), r1, 0n, budget));
}

const thrice = <T>(ended: T): T[] => [ended, ended, ended];

describe("control flow", () => {
  it("control flow of 10,000 nested branches takes the right branch", () => {
    const depth = 10_000;
    const jumps = repeat(depth, (i) => insn(0x15, 1, 0, 2 * (depth - 1 - i) + 2, i));
    const code = join(
      mov(0, 0),
      jumps,
      mov(0, -1),
      EXIT,
      repeat(depth, () => add(0, 1)),
      EXIT,
    );
    for (const i of [0, 1, 5_000, 9_999]) {
      const landed = join(mov(1, i), code);
      expect(compiled(landed).map((ended) => ended.kind)).toEqual(thrice("done"));
    }
    expect(compiled(code, 10_000n)).toEqual(thrice(done(-1n)));
  });

  it("control flow of 1,000 nested loops runs each", () => {
    const depth = 1_000;
    const back = (i: number): Buffer => insn(0xa5, 0, 0, -2 * i - 2, i + 1);
    const code = join(
      mov(0, 0),
      repeat(depth, () => mov(2, 0)),
      repeat(depth, (i) => join(add(0, 1), back(i))),
      EXIT,
    );
    expect(compiled(code)).toEqual(thrice(done(1000n)));
  });

  it("a jump into the middle of a loop works", () => {
    // 0: if r1 > 5 goto 3; 1: r0 += 1; 2: r0 += 10; 3: r0 += 100; 4: if r0 < 1000 goto 1
    const code = join(mov(0, 0), insn(0x25, 1, 0, 2, 5), add(0, 1), add(0, 10), add(0, 100));
    expect(outcomes(join(code, insn(0xa5, 0, 0, -4, 1000), EXIT))).toEqual(all(done(1099n)));
  });

  it("a jump passes over more than 32,767 instructions", () => {
    const code = join(
      mov(0, 1),
      insn(0x06, 0, 0, 0, 40_000),
      repeat(40_000, () => add(0, 1)),
      EXIT,
    );
    expect(outcomes(code)).toEqual(all(done(1n)));
  });

  it("control flow of 120,000 instructions with branches everywhere reaches the end", () => {
    const part = (i: number): Buffer => join(add(0, 1), insn(0x15, 0, 0, 1, i), add(0, 1));
    const code = join(mov(0, 0), repeat(40_000, part), EXIT);
    let expected = 0;
    for (let i = 0; i < 40_000; i++) expected += expected + 1 === i ? 1 : 2;
    expect(compiled(code)).toEqual(thrice(done(BigInt(expected))));
  });

  it("a program whose code exceeds V8's limit throws TooLarge", () => {
    const loads = join(
      repeat(200_000, () => insn(0x79, 0, 1)),
      EXIT,
    );
    expect(() => compile({ insns: loads, maps: [], prog_type: "xdp" })).toThrow(TooLarge);
  });
});

const budget = (at: number) => ({ kind: "fault", reason: "budget", at });

describe("fuel", () => {
  it("fuel ends an endless jump and names the instruction", () => {
    expect(compiled(join(mov(0, 0), insn(0x05, 0, 0, -1), EXIT))).toEqual(thrice(budget(1)));
  });

  it("fuel ends an endless loop of branches", () => {
    const code = join(mov(0, 0), add(0, 1), insn(0x55, 0, 0, -2, 0), EXIT);
    expect(compiled(code)).toEqual(thrice(budget(2)));
  });

  it("fuel is paid once per function and once per jump back for what it repeats", () => {
    // The program executes 5 instructions once and 2 instructions 9 times.
    const code = join(mov(0, 0), mov(3, 0), add(0, 1), insn(0xa5, 0, 0, -2, 10), EXIT);
    expect(compiled(code, 0n, 23n)).toEqual(thrice(done(10n)));
    expect(machine.fuel.value).toBe(0n);
    expect(compiled(code, 0n, 22n)).toEqual(thrice(budget(3)));
  });

  it("fuel is paid for each call, in loops too", () => {
    // main has 6 instructions and repeats 3 of them 9 times; f has 3 and is called 10 times.
    const main = join(mov(6, 0), insn(0x85, 0, 1, 0, 4), add(6, 1), insn(0xa5, 6, 0, -3, 10));
    const code = join(main, mov(0, 0), EXIT, mov(0, 0), add(0, 1), EXIT);
    expect(compiled(code, 0n, 63n)).toEqual(thrice(done(0n)));
    expect(machine.fuel.value).toBe(0n);
    expect(compiled(code, 0n, 62n).map(({ kind }) => kind)).toEqual(thrice("fault"));
    expect(machine.fuel.value).toBe(-1n);
  });

  it("fuel ends a callback that is called too often", () => {
    const main = join(mov(1, 1 << 23), wide(2, 4, 5, 0), mov(3, 0), mov(4, 0));
    const code = join(main, call(BPF_FUNC.loop), EXIT, mov(0, 0), EXIT);
    expect(compiled(code, 0n, 10_000n).map(({ kind }) => kind)).toEqual(thrice("fault"));
    expect(machine.fuel.value).toBe(-1n);
  });
});

describe("may_goto", () => {
  const MAX = 8_388_608n;
  /** The program counts in r0 how often may_goto falls through. */
  const count = join(insn(0xe5, 0, 0, 2), add(0, 1), insn(0x05, 0, 0, -3));

  it("may_goto falls through 8,388,608 times", () => {
    expect(compiled(join(mov(0, 0), count, EXIT))).toEqual(thrice(done(MAX)));
  });

  it("all may_goto of one function share a count", () => {
    expect(compiled(join(mov(0, 0), count, count, EXIT))).toEqual(thrice(done(MAX)));
  });

  it("may_goto starts a new count in each call of a function", () => {
    const main = join(insn(0x85, 0, 1, 0, 4), insn(0xbf, 6, 0), insn(0x85, 0, 1, 0, 2));
    const code = join(main, insn(0x0f, 0, 6), EXIT, mov(0, 0), count, EXIT);
    expect(compiled(code)).toEqual(thrice(done(2n * MAX)));
  });
});

describe("calls", () => {
  /** Builds functions that each call the next one; the last returns 7. */
  const chain = (frames: number): Buffer =>
    join(
      repeat(frames - 1, () => join(insn(0x85, 0, 1, 0, 1), EXIT)),
      mov(0, 7),
      EXIT,
    );

  it("calls go 8 frames deep and no deeper", () => {
    expect(outcomes(chain(8))).toEqual(all(done(7n)));
    expect(outcomes(chain(9))).toEqual(all(fault(16)));
  });

  it("calls keep r6 to r9 and give each function its own frame", () => {
    const main = join(...[6, 7, 8, 9].map((reg) => mov(reg, reg)), insn(0x7a, 10, 0, -8, 100));
    const sum = join(...[6, 7, 8, 9].map((reg) => insn(0x0f, 0, reg)));
    const f = join(
      ...[6, 7, 8, 9].map((reg) => mov(reg, 0)),
      insn(0x7a, 10, 0, -8, 5),
      mov(0, 0),
      EXIT,
    );
    const load8 = join(insn(0x79, 1, 10, -8), insn(0x0f, 0, 1));
    expect(outcomes(join(main, insn(0x85, 0, 1, 0, 7), sum, load8, EXIT, f))).toEqual(
      all(done(130n)),
    );
  });
});

describe("bpf_loop", () => {
  /** Calls bpf_loop with a callback that adds 1 to its context and returns index >= stop. */
  const loop = (rounds: Buffer, flags: number, more = mov(9, 0)): Buffer => {
    const head = join(insn(0x7a, 10, 0, -8, 0), insn(0xbf, 6, 1), rounds, insn(0xbf, 3, 10));
    const tail = join(insn(0x07, 3, 0, 0, -8), mov(4, flags), more, call(BPF_FUNC.loop), EXIT);
    const callback = join(insn(0x79, 3, 2), add(3, 1), insn(0x7b, 2, 3), mov(0, 0));
    const body = join(callback, insn(0xb5, 1, 0, 1, 3), mov(0, 1), EXIT);
    const length = (head.length + tail.length) / 8 + 2;
    return join(head, wide(2, 4, length - head.length / 8 - 1, 0), tail, body);
  };

  it.each([
    ["answers the number of rounds", loop(mov(1, 3), 0), 3n],
    ["ends with the round that answers 1", loop(mov(1, 100), 0), 5n],
    ["of no rounds calls nothing", loop(mov(1, 0), 0), 0n],
    ["of too many rounds is E2BIG", loop(mov(1, (1 << 23) + 1), 0), -7n],
    ["counts in 64 bits", loop(wide(1, 0, 1, 1), 0), -7n],
    ["with flags is EINVAL", loop(mov(1, 3), 1), -22n],
    [
      "calls what a handle names that has been in memory",
      loop(mov(1, 3), 0, join(insn(0x7b, 10, 2, -16), insn(0x79, 2, 10, -16))),
      3n,
    ],
  ])("bpf_loop %s", (_claim, code, r0) => {
    expect(outcomes(code)).toEqual(all(done(r0)));
  });

  it("bpf_loop traps for an invalid handle", () => {
    const code = loop(mov(1, 3), 0, join(insn(0xb7, 2, 0, 0, 7)));
    expect(compiled(code).map(({ kind }) => kind)).toEqual(thrice("fault"));
  });
});
