import { beforeEach, describe, expect, it } from "vitest";
import { ARENA_END, MEMORY_START, SHADOW_READ } from "../../domain/compiler/abi.ts";
import type { CompileOptions } from "../../domain/compiler/compile.ts";
import { EXIT, insn } from "../support/insns.ts";
import { DATA_AT, done, fault, load, machine } from "../support/interpreter/execution_modes.ts";
import {
  type Ended,
  type Region,
  STACK_REGION,
  STACK_TOP,
} from "../support/interpreter/machine.ts";

/** Maps each access size in bytes to the code of its load or store. */
const LOADS = new Map([
  [1, 0x71],
  [2, 0x69],
  [4, 0x61],
  [8, 0x79],
]);
const STORES = new Map([
  [1, 0x73],
  [2, 0x6b],
  [4, 0x63],
  [8, 0x7b],
]);
const SIZES = [1, 2, 4, 8];

/**
 * Makes regions of 1 to 24 bytes, each at a multiple of 8 and 8 to 15 bytes apart; some are read-
 * only.
 */
function regions(): Region[] {
  const out: Region[] = [];
  let at = DATA_AT + 64;
  for (let bytes = 1; bytes <= 24; bytes++) {
    out.push({ at, bytes, write: bytes % 3 !== 0 });
    at += Math.ceil(bytes / 8) * 8 + 8;
  }
  return out;
}

const inside = (list: readonly Region[], at: number, size: number, write: boolean): boolean =>
  list.some((r) => at >= r.at && at + size <= r.at + r.bytes && (r.write || !write));

/** Builds an access at r1 + off. */
const access = (code: number, off = 0): Buffer =>
  Buffer.concat([
    insn(0xb7, 0),
    code < 0x80 && (code & 7) === 3 ? insn(code, 1, 0, off) : insn(code, 0, 1, off),
    EXIT,
  ]);

const run = (code: Buffer, options: CompileOptions, r1: bigint): Ended =>
  machine.run(load(code, options), r1);

describe("exact checks", () => {
  const list = regions();
  const [first, last] = [DATA_AT + 40, (list.at(-1) as Region).at + 40];
  beforeEach(() => machine.map([STACK_REGION, ...list]));

  it.each(SIZES)(
    "exact checks let a load of %i bytes through only where all are readable",
    (size) => {
      const program = load(access(LOADS.get(size) as number), { checks: "exact" });
      for (let at = first; at < last; at++) {
        const expected = inside(list, at, size, false) ? "done" : "fault";
        expect(machine.run(program, BigInt(at)).kind, `${at - DATA_AT}`).toBe(expected);
      }
    },
  );

  it.each(SIZES)(
    "exact checks let a store of %i bytes through only where all are writable",
    (size) => {
      const program = load(access(STORES.get(size) as number), { checks: "exact" });
      for (let at = first; at < last; at++) {
        const expected = inside(list, at, size, true) ? "done" : "fault";
        expect(machine.run(program, BigInt(at)).kind, `${at - DATA_AT}`).toBe(expected);
      }
    },
  );

  it.each([4, 8])("exact checks require read and write for an atomic of %i bytes", (size) => {
    const atomic = insn(size === 4 ? 0xc3 : 0xdb, 1, 0);
    const program = load(Buffer.concat([insn(0xb7, 0), atomic, EXIT]), { checks: "exact" });
    const writeOnly: Region = { at: last + 64, bytes: 8, write: true };
    machine.map([STACK_REGION, ...list, writeOnly]);
    machine.bytes[SHADOW_READ + (writeOnly.at >>> 3)] = 0;
    for (let at = first; at < last; at++) {
      const expected = inside(list, at, size, true) ? "done" : "fault";
      expect(machine.run(program, BigInt(at)).kind, `${at - DATA_AT}`).toBe(expected);
    }
    expect(machine.run(program, BigInt(writeOnly.at)).kind).toBe("fault");
  });
});

const BEYOND: [what: string, address: bigint][] = [
  ["NULL", 0n],
  ["below the arena", BigInt(MEMORY_START - 1)],
  ["behind it", BigInt(ARENA_END)],
  ["over its end", BigInt(ARENA_END - 7)],
  ["the shadow", BigInt(SHADOW_READ)],
  ["behind the memory", 0x0300_0000n],
  ["the last 32-bit address", 0xffff_ffffn],
  ["an alias in the next 4 GiB", (1n << 32n) + BigInt(STACK_REGION.at)],
  ["an alias below 2^64", (1n << 64n) - (1n << 32n) + BigInt(STACK_REGION.at)],
  ["-1", (1n << 64n) - 1n],
  ["2^63", 1n << 63n],
];

describe.each(["exact", "flat"] as const)("%s checks", (checks) => {
  beforeEach(() => machine.map([STACK_REGION]));

  it.each(BEYOND)("an access never reaches %s", (_what, address) => {
    for (const code of [...LOADS.values(), ...STORES.values()]) {
      if (address === BigInt(ARENA_END - 7) && (code & 0x18) !== 0x18) continue;
      expect(run(access(code), { checks }, address)).toEqual(fault(1));
    }
  });

  it.each(BEYOND)("an access with an offset never reaches %s", (_what, address) => {
    if (address === BigInt(ARENA_END - 7)) return;
    for (const off of [-0x8000, 0x7fff]) {
      const base = BigInt.asUintN(64, address - BigInt(off));
      expect(run(access(0x71, off), { checks }, base)).toEqual(fault(1));
    }
  });

  it("an access reaches the first and the last byte of the stack", () => {
    expect(run(access(0x71), { checks }, BigInt(STACK_REGION.at))).toEqual(done(0n));
    expect(run(access(0x71), { checks }, BigInt(STACK_TOP - 1))).toEqual(done(0n));
  });
});

describe("flat checks by instruction", () => {
  it("flat checks apply only to the named instructions", () => {
    machine.map([STACK_REGION]);
    machine.bytes[DATA_AT] = 0;
    const twice = Buffer.concat([insn(0x71, 0, 1), insn(0x71, 0, 1), EXIT]);
    expect(machine.run(load(twice, {}, [], {}, Uint8Array.of(1, 1, 0)), BigInt(DATA_AT))).toEqual(
      done(0n),
    );
    expect(machine.run(load(twice, {}, [], {}, Uint8Array.of(1, 0, 0)), BigInt(DATA_AT))).toEqual(
      fault(1),
    );
  });
});

describe("the frame", () => {
  it.each([
    [-513, 1, "fault"],
    [-512, 8, "done"],
    [-1, 1, "done"],
    [-1, 2, "fault"],
    [0, 1, "fault"],
  ] as const)("an access at r10 %i of %i bytes has the kind %s", (off, size, kind) => {
    // Only the frame is accessible, so a wrong offset cannot reach a neighbouring region unnoticed.
    machine.map([{ at: STACK_TOP - 512, bytes: 512, write: true }]);
    const code = insn(LOADS.get(size) as number, 0, 10, off);
    expect(run(Buffer.concat([code, EXIT]), {}, 0n).kind).toBe(kind);
  });
});
