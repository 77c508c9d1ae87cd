import { beforeEach, describe, expect, it } from "vitest";
import { helperImport } from "../../domain/compiler/abi.ts";
import { BPF_FUNC } from "../../domain/isa/helpers/index.ts";
import type { MapShape } from "../../domain/isa/map_shape.ts";
import { call, EXIT, insn, mov, wide } from "../support/insns.ts";
import { DATA_AT, done, fault, load, machine } from "../support/interpreter/execution_modes.ts";
import { type LoadedModule, STACK_REGION } from "../support/interpreter/machine.ts";

const join = (...parts: Buffer[]): Buffer => Buffer.concat(parts);
const shape = (map_type: string): MapShape => ({
  map_type,
  key_size: 4,
  value_size: 16,
  max_entries: 3,
  map_flags: 0,
});
const STRIDE = 24;
const SEEN = DATA_AT + 0x1000;

/** Looks up `key`, stored at [r10-4], in the map with this index and leaves the result in r0. */
const lookup = (map: number, key: number): Buffer =>
  join(
    insn(0x62, 10, 0, -4, key),
    wide(1, 1, map, 0),
    insn(0xbf, 2, 10),
    insn(0x07, 2, 0, 0, -4),
    call(BPF_FUNC.map_lookup_elem),
  );

describe("a lookup in an array", () => {
  const calls: unknown[][] = [];
  const h1 = (...args: unknown[]): number => calls.push(args);
  const program = (code: Buffer, base: number, type = "array"): LoadedModule => {
    const loaded = load(code, {}, [shape(type)], { h1 });
    const globals = { map0: 0x40, base0: base, seen0: SEEN };
    for (const [name, value] of Object.entries(globals)) {
      (loaded.exports[name] as WebAssembly.Global).value = value;
    }
    return loaded;
  };

  beforeEach(() => {
    machine.map([STACK_REGION]);
    machine.bytes.fill(0, SEEN, SEEN + 8);
    calls.length = 0;
  });

  it("a lookup in an array in memory runs inline and marks the element as accessed", () => {
    machine.bytes[SEEN + 2] = 4;
    const result = machine.run(program(join(lookup(0, 2), EXIT), DATA_AT));
    expect(result).toEqual(done(BigInt(DATA_AT + 2 * STRIDE)));
    expect(calls).toEqual([]);
    expect([...machine.bytes.subarray(SEEN, SEEN + 4)]).toEqual([0, 0, 5, 0]);
  });

  it.each([3, -1])("an inline lookup returns NULL for the index %i and marks nothing", (index) => {
    expect(machine.run(program(join(lookup(0, index), EXIT), DATA_AT))).toEqual(done(0n));
    expect([...machine.bytes.subarray(SEEN, SEEN + 4)]).toEqual([0, 0, 0, 0]);
  });

  it("an inline lookup faults at the call when the key cannot be read", () => {
    const code = join(wide(1, 1, 0, 0), mov(2, 16), call(BPF_FUNC.map_lookup_elem), EXIT);
    expect(machine.run(program(code, DATA_AT))).toEqual(fault(3));
  });

  it("an inline lookup faults at the call when the key is 2^30 bytes above the frame", () => {
    const key = join(insn(0xbf, 2, 10), insn(0x07, 2, 0, 0, (1 << 30) - 4));
    const code = join(wide(1, 1, 0, 0), key, call(BPF_FUNC.map_lookup_elem), EXIT);
    expect(machine.run(program(code, DATA_AT))).toEqual(fault(4));
  });

  it("a lookup in an array partly in memory asks the host", () => {
    expect(machine.run(program(join(lookup(0, 2), EXIT), 0))).toEqual(done(1n));
    expect(calls).toEqual([[0x40, STACK_REGION.at + STACK_REGION.bytes - 4]]);
  });

  it("a lookup in a map of another type asks the host", () => {
    machine.run(program(join(lookup(0, 2), EXIT), DATA_AT, "percpu_array"));
    expect(calls.length).toBe(1);
  });

  it("a lookup through a register that may hold another map asks the host", () => {
    const other = join(wide(1, 1, 0, 0), insn(0x15, 6, 0, 2, 0), wide(1, 0, 5, 0));
    const code = join(other, insn(0xbf, 2, 10), call(BPF_FUNC.map_lookup_elem), EXIT);
    machine.run(program(join(mov(6, 1), code), DATA_AT));
    expect(calls.length).toBe(1);
  });

  it("a lookup through a register that a later iteration changes asks the host", () => {
    // r6 holds the map in the first round and the 0 of r7 in the second.
    const start = join(wide(6, 1, 0, 0), mov(7, 0), mov(8, 0), insn(0x62, 10, 0, -4, 0));
    const ask = join(insn(0xbf, 1, 6), insn(0xbf, 2, 10), insn(0x07, 2, 0, 0, -4));
    const again = join(insn(0xbf, 6, 7), insn(0x07, 8, 0, 0, 1), insn(0xa5, 8, 0, -7, 2));
    machine.run(program(join(start, ask, call(BPF_FUNC.map_lookup_elem), again, EXIT), DATA_AT));
    expect(calls.map(([map]) => map)).toEqual([0x40, 0]);
  });

  it("an inline lookup gives a byte of the value at a constant offset", () => {
    const code = join(wide(0, 2, 0, 5), EXIT);
    expect(machine.run(program(code, DATA_AT))).toEqual(done(BigInt(DATA_AT + 5)));
  });
});

const NULL_TEST = insn(0x15, 0, 0, 2, 0);
/** lock *(u64 *)(rN + off) += r1 */
const add = (off: number, reg = 0, code = 0xdb, imm = 0): Buffer => insn(code, reg, 1, off, imm);
/** Adds 1 to the value at r0 unless r0 is NULL. */
const ADDED = join(NULL_TEST, mov(1, 1), add(0), mov(0, 0), EXIT);
const counter = (...uses: Buffer[]): Buffer => {
  const body = join(mov(1, 1), ...uses);
  return join(lookup(0, 0), insn(0x15, 0, 0, body.length / 8, 0), body, mov(0, 0), EXIT);
};

describe("a value that is only added to", () => {
  const callsAddLookup = (code: Buffer, type = "hash"): boolean => {
    let isCalled = false;
    const add_lookup = (): number => {
      isCalled = true;
      return 0;
    };
    machine.run(
      load(code, {}, [shape(type), shape("hash")], {
        [helperImport("map_lookup_elem")]: () => 0,
        [helperImport("set_hash_invalid")]: () => 0,
        add_lookup,
      }),
    );
    return isCalled;
  };

  it.each([
    ["once", counter(add(0))],
    ["at several places", counter(add(0), add(8))],
    ["in 32 bits", counter(add(12, 0, 0xc3))],
    ["through a copy", counter(insn(0xbf, 7, 0), add(8, 7))],
    ["at the end of two ways to it", join(lookup(0, 0), insn(0x15, 1, 0, 0, 0), ADDED)],
    ["or is only tested", join(lookup(0, 0), insn(0x55, 0, 0, 0, 0), mov(0, 0), EXIT)],
    [
      "after two lookups that come together",
      join(insn(0x15, 1, 0, 7, 0), lookup(0, 0), insn(0x05, 0, 0, 6), lookup(1, 0), ADDED),
    ],
  ])("a value that is only added to is found as such: %s", (_how, code) => {
    expect(callsAddLookup(code)).toBe(true);
  });

  it.each(["array", "hash", "percpu_array", "percpu_hash"])(
    "an add-only lookup is found in a map of type %s",
    (type) => {
      expect(callsAddLookup(counter(add(0)), type)).toBe(true);
    },
  );

  it.each(["lru_hash", "lpm_trie", "lru_percpu_hash"])(
    "an add-only lookup is not found in a map of type %s",
    (type) => {
      expect(callsAddLookup(counter(add(0)), type)).toBe(false);
    },
  );

  it.each([
    ["read", counter(add(0), insn(0x79, 2, 0, 8))],
    ["written", counter(add(0), insn(0x7b, 0, 1, 8))],
    ["added to with fetch", counter(add(0, 0, 0xdb, 1))],
    ["exchanged", counter(add(0, 0, 0xdb, 0xe1))],
    ["or'ed", counter(add(0, 0, 0xdb, 0x40))],
    ["acquired", counter(insn(0xdb, 2, 0, 0, 0x100))],
    ["added to beyond its end", counter(add(16))],
    ["added to before its start", counter(add(-8))],
    ["added to at an odd place", counter(add(4))],
    ["reached by arithmetic", counter(insn(0xbf, 7, 0), insn(0x07, 7, 0, 0, 8), add(0, 7))],
    ["spilled", counter(insn(0x7b, 10, 0, -16), add(0))],
    ["passed to a helper", counter(add(0), insn(0xbf, 1, 0), call(BPF_FUNC.set_hash_invalid))],
    ["compared with another number", counter(insn(0x15, 0, 0, 0, 5), add(0))],
    ["compared with a register", counter(insn(0x1d, 0, 1, 0, 0), add(0))],
    ["added itself", counter(insn(0xbf, 1, 0), add(0))],
    ["returned", join(lookup(0, 0), mov(1, 1), insn(0x15, 0, 0, 1, 0), add(0), EXIT)],
    [
      "mixed with another pointer and then used",
      join(
        lookup(0, 0),
        insn(0x55, 0, 0, 2, 0),
        insn(0xbf, 0, 10),
        insn(0x07, 0, 0, 0, -16),
        ADDED,
      ),
    ],
    [
      "written before it comes together with another",
      join(
        insn(0x15, 1, 0, 7, 0),
        lookup(0, 0),
        insn(0x05, 0, 0, 7),
        lookup(1, 0),
        insn(0x7b, 0, 10),
        ADDED,
      ),
    ],
    [
      "found through a register that may hold another map",
      join(
        insn(0x7b, 10, 1, -16),
        wide(1, 1, 0, 0),
        insn(0x15, 6, 0, 1, 0),
        insn(0x79, 1, 10, -16),
        insn(0xbf, 2, 10),
        call(BPF_FUNC.map_lookup_elem),
        mov(0, 0),
        EXIT,
      ),
    ],
  ])("a value is not add-only when it is %s", (_how, code) => {
    expect(callsAddLookup(code)).toBe(false);
  });
});
