import { describe, expect, it } from "vitest";
import { helperImport, STACK_TOP } from "../../domain/compiler/abi.ts";
import { BPF_FUNC } from "../../domain/isa/helpers/index.ts";
import { call, EXIT, insn, mov, wide } from "../support/insns.ts";
import {
  all,
  done,
  fault,
  load,
  machine,
  outcomes,
} from "../support/interpreter/execution_modes.ts";

const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);

describe("a helper", () => {
  it("a helper's 32-bit number is sign-extended", () => {
    const program = load(join(call(BPF_FUNC.map_delete_elem), EXIT), {}, [], {
      [helperImport("map_delete_elem")]: () => -2,
    });
    expect(machine.run(program)).toEqual(done(-2n));
  });

  it("a helper's address is zero-extended", () => {
    const program = load(join(call(BPF_FUNC.map_lookup_elem), EXIT), {}, [], {
      [helperImport("map_lookup_elem")]: () => -2,
    });
    expect(machine.run(program)).toEqual(done(0xfffffffen));
  });

  it("a helper's 64-bit result keeps all bits", () => {
    const program = load(join(call(BPF_FUNC.ktime_get_ns), EXIT), {}, [], {
      [helperImport("ktime_get_ns")]: () => -2n,
    });
    expect(machine.run(program)).toEqual(done(-2n));
  });

  it("a helper without a result leaves 0", () => {
    const program = load(join(mov(0, 1), call(BPF_FUNC.set_hash_invalid), EXIT), {}, [], {
      [helperImport("set_hash_invalid")]: () => 5,
    });
    expect(machine.run(program)).toEqual(done(0n));
  });

  it("a helper gets low halves or whole registers as its signature says", () => {
    let seen: unknown[] = [];
    const update = (...args: unknown[]): number => {
      seen = args;
      return 0;
    };
    const wides = join(...[1, 2, 3, 4].map((reg) => wide(reg, 0, reg, -1)));
    machine.run(
      load(join(wides, call(BPF_FUNC.map_update_elem), EXIT), {}, [], {
        [helperImport("map_update_elem")]: update,
      }),
    );
    expect(seen).toEqual([1, 2, 3, BigInt.asIntN(64, 0xffffffff_00000004n)]);
  });

  it("a helper that cannot run traps at its instruction", () => {
    expect(outcomes(join(mov(0, 0), call(9999), EXIT))).toEqual(all(fault(1)));
  });
});

describe("LD_ABS and LD_IND", () => {
  const packet = { skb_load: (offset: number, size: number) => BigInt(offset * 10 + size) };

  it.each([
    ["32 bits", join(insn(0x20, 0, 0, 0, 6), EXIT), 64n],
    ["16 bits", join(insn(0x28, 0, 0, 0, 6), EXIT), 62n],
    ["8 bits", join(insn(0x30, 0, 0, 0, 6), EXIT), 61n],
    [
      "at a register's low half and a constant",
      join(wide(7, 0, 4, 1), insn(0x50, 0, 7, 0, 2), EXIT),
      61n,
    ],
  ])("LD_ABS and LD_IND load %s", (_what, code, r0) => {
    expect(machine.run(load(code, {}, [], packet))).toEqual(done(r0));
  });

  it("LD_ABS and LD_IND beyond the packet end the program with 0", () => {
    const code = join(mov(0, 5), insn(0x20, 0, 0, 0, 6), mov(0, 7), EXIT);
    expect(machine.run(load(code, {}, [], { skb_load: () => -1n }))).toEqual(done(0n));
  });
});

describe("a tail call", () => {
  const MAPS = [
    { map_type: "prog_array", key_size: 4, value_size: 4, max_entries: 2, map_flags: 0 },
  ];
  const jump = (index: number): Buffer =>
    join(wide(2, 1, 0, 0), mov(3, index), call(BPF_FUNC.tail_call));

  it("a tail call enters the other program with its context and frame, and never returns", () => {
    const first = load(join(insn(0x7a, 10, 0, -8, 77), jump(1), mov(0, 1), EXIT), {}, MAPS, {
      tail_call: (_map, index) => index,
    });
    const second = load(join(insn(0xbf, 0, 1), insn(0x79, 1, 10, -8), insn(0x0f, 0, 1), EXIT));
    machine.table.set(1, second.main);
    expect(machine.run(first, 1000n)).toEqual(done(1077n));
  });

  it("a tail call that misses falls through", () => {
    const code = join(jump(1), mov(0, 1), EXIT);
    expect(machine.run(load(code, {}, MAPS, { tail_call: () => -1 }))).toEqual(done(1n));
  });

  it("a tail call passes the map's handle and the low half of the index", () => {
    let seen: unknown[] = [];
    const tail = (...args: unknown[]): number => {
      seen = args;
      return -1;
    };
    const code = join(
      wide(2, 1, 0, 0),
      wide(3, 0, 9, 9),
      call(BPF_FUNC.tail_call),
      mov(0, 0),
      EXIT,
    );
    const program = load(code, {}, MAPS, { tail_call: tail });
    (program.exports.map0 as WebAssembly.Global).value = 0x55;
    machine.run(program);
    expect(seen).toEqual([0x55, 9, STACK_TOP]);
  });

  it("a tail call continues with the same fuel", () => {
    const tail = { tail_call: () => 0 };
    const program = load(join(jump(0), mov(0, 0), EXIT), {}, MAPS, tail);
    machine.table.set(0, program.main);
    expect(machine.run(program, 0n, 0n, 100n)).toMatchObject({ reason: "budget", at: 0 });
  });
});
