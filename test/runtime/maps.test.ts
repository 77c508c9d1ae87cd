import { describe, expect, it } from "vitest";
import type { MapView } from "../../domain/runtime/job.ts";
import { hex, toHex, u32, u64 } from "../support/bytes.ts";
import {
  answer,
  needs,
  pairs,
  run,
  type TestMapView,
  withHexBytes,
} from "../support/runtime_jobs.ts";

/** Maps in a run: helpers return what the kernel's do; the run lists its reads and writes. */

/** A key of 4 bytes into the stack, and r1 and r2 for a helper. */
const at = (key: number) => `
  *(u32 *)(r10 -4) = ${key}
  r2 = r10
  r2 += -4
  r1 = map[fd:0]`;
const value = (number: number) => `
  *(u32 *)(r10 -8) = ${number}
  r3 = r10
  r3 += -8`;
const lookup = (key: number) => `${at(key)}
  call bpf_map_lookup_elem#1`;
const update = (key: number, number: number, flags = 0) => `${at(key)} ${value(number)}
  r4 = ${flags}
  call bpf_map_update_elem#2`;
const remove = (key: number) => `${at(key)}
  call bpf_map_delete_elem#3`;
const EXIT = "\n exit";
/** Returns the value as a number, or -1 without an element. */
const READ = `
  if r0 == 0 goto pc+2
  r0 = *(u32 *)(r0 +0)
  exit
  r0 = -1
  exit`;

const ERRNO = { ENOENT: -2, E2BIG: -7, EAGAIN: -11, EEXIST: -17, EINVAL: -22, ENOSPC: -28 };

/** The read set and the write set in a short form. */
async function effects(text: string, maps: TestMapView[], setting = {}) {
  const { reads, writes } = await run(text, { maps, ...setting });
  const short = (part: object) =>
    Object.values(part)
      .slice(0, 6)
      .map((item) => (item instanceof Uint8Array ? toHex(item) : item))
      .join(" ");
  return { reads: reads.map(short), ops: writes.map(short) };
}

const table = (
  map_type: string,
  values: Record<number, number | null>,
  rest = {},
): TestMapView[] => [{ map_type, elements: pairs(values), ...rest }];

describe("a hash table", () => {
  const two = table("hash", { 1: 10, 2: 20 });

  it("a hash table answers as htab_map_update_elem() and its siblings do", async () => {
    expect(await answer(lookup(2) + READ, { maps: two })).toBe(20);
    expect(await answer(lookup(3) + READ, { maps: two })).toBe(-1);
    expect(await answer(update(1, 5, 1) + EXIT, { maps: two })).toBe(ERRNO.EEXIST);
    expect(await answer(update(3, 5, 2) + EXIT, { maps: two })).toBe(ERRNO.ENOENT);
    expect(await answer(update(3, 5, 3) + EXIT, { maps: two })).toBe(ERRNO.EINVAL);
    expect(await answer(update(3, 5, 4) + EXIT, { maps: two })).toBe(ERRNO.EINVAL);
    expect(await answer(remove(3) + EXIT, { maps: two })).toBe(ERRNO.ENOENT);
    expect(await answer(remove(1) + lookup(1) + READ, { maps: two })).toBe(-1);
    expect(await answer(update(3, 30) + lookup(3) + READ, { maps: two })).toBe(30);
  });

  it("a hash table reads looked-up values and writes changes through the pointer", async () => {
    const changed = `${lookup(1)}
      *(u32 *)(r0 +0) = 11
      r0 = 0`;
    expect(await effects(changed + EXIT, two)).toEqual({
      reads: ["1 01000000 0a000000"],
      ops: ["write 1 01000000 0b000000"],
    });
    expect(
      await effects(`${lookup(1)} r0 = 0 ${EXIT}`.replace(" r0 = 0", "\n r0 = 0"), two),
    ).toEqual({
      reads: ["1 01000000 0a000000"],
      ops: [],
    });
    expect((await effects(lookup(9) + READ, two)).reads).toEqual(["1 09000000 "]);
  });

  it("an update with BPF_ANY does not read the element", async () => {
    const part = table("hash", {}, { isComplete: false, entries: 2 });
    expect(await effects(update(3, 5) + EXIT, part)).toEqual({
      reads: [],
      ops: ["update 1 03000000 05000000 0"],
    });
    expect(await needs(update(3, 5, 1) + EXIT, { maps: part })).toEqual([
      { map: 1, key: "03000000" },
    ]);
    expect(await needs(lookup(3) + READ, { maps: part })).toEqual([{ map: 1, key: "03000000" }]);
  });

  it("several changes of an element become one", async () => {
    const busy = update(3, 5) + remove(3) + update(3, 6) + lookup(3);
    expect(await effects(`${busy}\n*(u32 *)(r0 +0) = 7\nr0 = 0${EXIT}`, two)).toEqual({
      reads: [],
      ops: ["update 1 03000000 07000000 0"],
    });
    expect((await effects(update(3, 5) + remove(3) + EXIT, two)).ops).toEqual([]);
    expect((await effects(update(1, 5) + remove(1) + EXIT, two)).ops).toEqual([
      "delete 1 01000000",
    ]);
  });

  it("a hash table is full at max_entries", async () => {
    const full = table("hash", { 1: 1, 2: 2, 3: 3, 4: 4 });
    expect(await answer(update(5, 5) + EXIT, { maps: full })).toBe(ERRNO.E2BIG);
    expect(await answer(update(4, 5) + EXIT, { maps: full })).toBe(0);
    expect((await effects(update(5, 5) + EXIT, full)).reads).toEqual(["1 true", "1 05000000 "]);
    const moved = await effects(remove(1) + update(5, 5) + update(6, 6) + EXIT, full);
    expect(moved.reads[0]).toBe("1 true");
    expect(moved.ops).toEqual(["delete 1 01000000", "update 1 05000000 05000000 0"]);
    const reads = (await run(remove(1) + update(5, 5) + update(6, 6) + EXIT, { maps: full })).reads;
    expect(reads).toContainEqual({ map: 1, unchanged: true });
  });

  it("a hash table fetches blindly updated keys when they decide whether it is full", async () => {
    const part = table("hash", { 6: null }, { isComplete: false, entries: 3 });
    expect(await needs(update(5, 5) + update(6, 6) + EXIT, { maps: part })).toEqual([
      { map: 1, key: "05000000" },
    ]);
  });

  it("a deleted element's memory stays until the run ends", async () => {
    const kept = `${lookup(1)}
      r6 = r0 ${remove(1)}
      r0 = *(u32 *)(r6 +0)`;
    expect(await answer(kept + EXIT, { maps: two })).toBe(10);
  });

  it("a hash table is kept over repetitions", async () => {
    const count = `${lookup(1)}
      r1 = *(u32 *)(r0 +0)
      r1 += 1
      *(u32 *)(r0 +0) = r1
      r0 = 0`;
    const { ops } = await effects(count + EXIT, two, { repeat: 90 });
    expect(ops).toEqual(["write 1 01000000 64000000"]);
    const turn = update(3, 5) + remove(3) + update(1, 9);
    expect((await effects(turn + EXIT, two, { repeat: 100_000 })).ops).toEqual([
      "update 1 01000000 09000000 0",
    ]);
  });
});

describe("numbers that are only added to", () => {
  const count = (size: 32 | 64, more = "") => `${lookup(1)}
    if r0 == 0 goto pc+2
    r1 = 5
    lock *(u${size} *)(r0 +0) += r1
    ${more}
    r0 = 0
    exit`;
  const wide = (map_type: string): TestMapView[] => [
    { map_type, value_size: 8, elements: [{ key: u32(1), value: u64(40n) }] },
  ];

  it("numbers that are only added to are sent as sums without a read", async () => {
    expect(await effects(count(64), wide("hash"))).toEqual({
      reads: ["1 01000000 true"],
      ops: ["add 1 01000000 0 8 5"],
    });
    expect(await effects(count(64), wide("array"))).toEqual({
      reads: [],
      ops: ["add 1 01000000 0 8 5"],
    });
    expect((await effects(count(32), wide("array"))).ops).toEqual(["add 1 01000000 0 4 5"]);
    expect((await effects(count(64), wide("array"), { repeat: 10 })).ops).toEqual([
      "add 1 01000000 0 8 50",
    ]);
  });

  it("numbers that are also read, or of several sizes, are written", async () => {
    const read = `${lookup(1)}
      r0 = *(u64 *)(r0 +0)
      exit`;
    const both = count(64).replace("r0 = 0\n    exit", read);
    expect(await effects(both, wide("array"))).toEqual({
      reads: ["1 01000000 2800000000000000"],
      ops: ["write 1 01000000 2d00000000000000"],
    });
    const mixed = count(64).replace("r0 = 0\n    exit", count(32));
    expect((await effects(mixed, wide("hash"))).ops).toEqual(["write 1 01000000 3200000000000000"]);
  });
});

describe("an array", () => {
  const four = table("array", { 0: 1, 1: 2, 2: 3, 3: 4 });

  it("an array answers as array_map_update_elem() and its siblings do", async () => {
    expect(await answer(lookup(3) + READ, { maps: four })).toBe(4);
    expect(await answer(lookup(4) + READ, { maps: four })).toBe(-1);
    expect(await answer(update(4, 1) + EXIT, { maps: four })).toBe(ERRNO.E2BIG);
    expect(await answer(update(3, 1, 1) + EXIT, { maps: four })).toBe(ERRNO.EEXIST);
    expect(await answer(update(3, 1, 3) + EXIT, { maps: four })).toBe(ERRNO.EINVAL);
    expect(await answer(update(3, 9, 2) + lookup(3) + READ, { maps: four })).toBe(9);
    expect(await answer(remove(1) + EXIT, { maps: four })).toBe(ERRNO.EINVAL);
  });

  it("an array reads and writes the accessed elements, whole or in part", async () => {
    const text = `${lookup(1)}
      if r0 == 0 goto pc+1
      *(u32 *)(r0 +0) = 7 ${update(3, 9)}`;
    const expected = {
      reads: ["1 01000000 02000000"],
      ops: ["write 1 01000000 07000000", "update 1 03000000 09000000 0"],
    };
    expect(await effects(text + EXIT, four)).toEqual(expected);
    const bytes = table("array", {}, { bytes: u32(1, 2, 3, 4) });
    expect(await effects(text + EXIT, bytes)).toEqual(expected);
    const part = table("array", { 1: 2 }, { isComplete: false });
    expect(await effects(text + EXIT, part)).toEqual(expected);
    expect(await needs(lookup(2) + READ, { maps: part })).toEqual([{ map: 1, key: "02000000" }]);
  });

  it("an array of one element is directly accessible and then compared", async () => {
    const one: TestMapView[] = [
      { map_type: "array", max_entries: 1, value_size: 8, bytes: u64(5n) },
    ];
    const text = `r1 = map[fd:0][0]+4
      *(u32 *)(r1 +0) = 3
      r0 = *(u32 *)(r1 -4)
      exit`;
    expect(await answer(text, { maps: one })).toBe(5);
    expect(await effects(text, one)).toEqual({
      reads: ["1 00000000 0500000000000000"],
      ops: ["write 1 00000000 0500000003000000"],
    });
    const absent: TestMapView[] = [
      { map_type: "array", max_entries: 1, value_size: 8, isComplete: false },
    ];
    expect(await needs(text, { maps: absent })).toEqual([{ map: 1, key: "00000000" }]);
  });
});

describe("per-CPU maps", () => {
  const parts = (...numbers: bigint[]) => [{ key: u32(1), value: u64(...numbers) }];
  const view = (map_type: string): TestMapView[] => [
    { map_type, value_size: 4, cpus: 2, elements: parts(7n, 8n) },
  ];
  const other = `${at(1)}
    r3 = 0
    call bpf_map_lookup_percpu_elem#195`;

  it.each(["percpu_array", "percpu_hash", "lru_percpu_hash"])(
    "a program accesses its own CPU's value of a %s",
    async (type) => {
      const maps = view(type);
      const seed = { time_ns: "0", random: 0, cpu: 1 };
      expect(await answer(lookup(1) + READ, { maps, seed })).toBe(8);
      expect(await answer(other + READ, { maps, seed })).toBe(7);
      expect(await answer(other.replace("r3 = 0", "r3 = 2") + READ, { maps, seed })).toBe(-1);
      const { ops } = await effects(`${lookup(1)}\n*(u32 *)(r0 +0) = 9\nr0 = 0${EXIT}`, maps, {
        seed,
      });
      expect(ops).toContain("write 1 01000000 07000000000000000900000000000000");
      const stored = await effects(update(1, 9) + EXIT, maps, { seed });
      expect(stored.ops).toContain("write 1 01000000 07000000000000000900000000000000");
      expect(stored.reads).toEqual(["1 01000000 07000000000000000800000000000000"]);
    },
  );

  it("a new per-CPU element is 0 on the other CPUs", async () => {
    const seed = { time_ns: "0", random: 0, cpu: 1 };
    const { ops } = await effects(update(2, 9) + EXIT, view("percpu_hash"), { seed });
    expect(ops).toEqual(["update 1 02000000 00000000000000000900000000000000 0"]);
  });
});

describe("an LRU map", () => {
  it("an LRU map is never full and logs lookups and updates in order", async () => {
    const maps = table("lru_hash", { 1: 1, 2: 2 }, { max_entries: 2 });
    const text = lookup(1) + lookup(1) + update(3, 3) + lookup(1) + update(4, 4) + remove(2);
    expect((await effects(text + EXIT, maps)).ops).toEqual([
      "touch 1 01000000",
      "update 1 03000000 03000000 0",
      "touch 1 01000000",
      "update 1 04000000 04000000 0",
      "delete 1 02000000",
    ]);
  });

  it("an LRU map compacts its log", async () => {
    const maps = table("lru_hash", { 1: 1, 2: 2 });
    const text = lookup(1) + update(2, 3);
    const { ops } = await effects(text + EXIT, maps, { repeat: 20_000 });
    expect(ops.length).toBeLessThan(5000);
    expect(ops.at(-1)).toBe("update 1 02000000 03000000 0");
  });
});

describe("a trie", () => {
  const trie = (elements: MapView["elements"], rest = {}): TestMapView[] => [
    { map_type: "lpm_trie", key_size: 8, value_size: 4, elements, ...rest },
  ];
  const prefix = (length: number, address: string) => Buffer.concat([u32(length), hex(address)]);
  const NET = { key: prefix(8, "0a000000"), value: u32(8) };
  const SUBNET = { key: prefix(16, "0a010000"), value: u32(16) };
  const key = (length: number, address: string) => `
    *(u32 *)(r10 -8) = ${length}
    *(u32 *)(r10 -4) = ${hex(address).readInt32LE()}
    r2 = r10
    r2 += -8
    r1 = map[fd:0]`;
  const find = (length: number, address: string) => `${key(length, address)}
    call bpf_map_lookup_elem#1`;
  const put = (length: number, address: string, flags = 0) => `${key(length, address)}
    *(u32 *)(r10 -12) = 99
    r3 = r10
    r3 += -12
    r4 = ${flags}
    call bpf_map_update_elem#2`;
  const drop = (length: number, address: string) => `${key(length, address)}
    call bpf_map_delete_elem#3`;

  it("a trie finds the longest prefix", async () => {
    const maps = trie([NET, SUBNET]);
    expect(await answer(find(32, "0a010203") + READ, { maps })).toBe(16);
    expect(await answer(find(32, "0a020203") + READ, { maps })).toBe(8);
    expect(await answer(find(12, "0a010203") + READ, { maps })).toBe(8);
    expect(await answer(find(32, "0b010203") + READ, { maps })).toBe(-1);
    expect(await answer(find(33, "0a010203") + READ, { maps })).toBe(-1);
  });

  it("a trie answers as trie_update_elem() and trie_delete_elem() do", async () => {
    const maps = trie([NET, SUBNET]);
    expect(await answer(put(33, "0a000000") + EXIT, { maps })).toBe(ERRNO.EINVAL);
    expect(await answer(put(8, "0aff0000", 1) + EXIT, { maps })).toBe(ERRNO.EEXIST);
    expect(await answer(put(9, "0a000000", 2) + EXIT, { maps })).toBe(ERRNO.ENOENT);
    expect(await answer(drop(9, "0a000000") + EXIT, { maps })).toBe(ERRNO.ENOENT);
    const full = trie([NET, SUBNET], { max_entries: 2 });
    expect(await answer(put(9, "0a000000") + EXIT, { maps: full })).toBe(ERRNO.ENOSPC);
    const changed = put(24, "0a010200") + find(32, "0a010203");
    expect(await answer(changed + READ, { maps })).toBe(99);
    expect(await answer(drop(16, "0a010000") + find(32, "0a010203") + READ, { maps })).toBe(8);
  });

  it("a trie keeps the bits after a prefix as last written", async () => {
    const { writes } = await run(put(8, "0a030405") + EXIT, { maps: trie([NET]) });
    const update = { op: "update", map: 1, value: "63000000", flags: 0 };
    expect(withHexBytes(writes)).toEqual([{ ...update, key: "080000000a030405" }]);
    const again = drop(8, "0a000000") + put(8, "0a060708") + put(8, "0a060000", 1) + EXIT;
    const { writes: after } = await run(again, { maps: trie([NET]) });
    expect(withHexBytes(after)).toEqual([{ ...update, key: "080000000a060708" }]);
  });

  it("a trie knows which prefix a fetched key matched", async () => {
    const fetched = { key: prefix(32, "0a010203"), value: u32(16), matched: SUBNET.key };
    const maps = trie([fetched], { isComplete: false, entries: 2 });
    const { reads, writes } = await run(
      `${find(32, "0a010203")}\n*(u32 *)(r0 +0) = 1\nr0 = 0${EXIT}`,
      { maps },
    );
    const [from, to] = ["200000000a010203", "100000000a010000"];
    expect(withHexBytes(reads)).toEqual([{ map: 1, key: from, value: "10000000", matched: to }]);
    expect(withHexBytes(writes)).toEqual([{ op: "write", map: 1, key: to, value: "01000000" }]);
    expect(await needs(find(24, "0a010203") + READ, { maps })).toEqual([
      { map: 1, key: "180000000a010203" },
    ]);
    expect(await needs(drop(16, "0a010000") + find(32, "0a010203") + READ, { maps })).toEqual([
      { map: 1, whole: true },
    ]);
  });
});

describe("queues and stacks", () => {
  const queue = (map_type: string, values: number[], rest = {}): TestMapView[] => [
    {
      ...{ map_type, key_size: 0, entries: values.length },
      elements: values.map((number) => ({ key: u32(), value: u32(number) })),
      ...rest,
    },
  ];
  const push = (number: number, flags = 0) => `
    *(u32 *)(r10 -8) = ${number}
    r2 = r10
    r2 += -8
    r1 = map[fd:0]
    r3 = ${flags}
    call bpf_map_push_elem#87`;
  const take = (helper: string) => `
    r2 = r10
    r2 += -16
    r1 = map[fd:0]
    call ${helper}
    if r0 != 0 goto pc+1
    r0 = *(u32 *)(r10 -16)`;
  const pop = take("bpf_map_pop_elem#88");
  const peek = take("bpf_map_peek_elem#89");

  it("a queue gives the oldest value, a stack the newest", async () => {
    const both = push(9) + pop;
    expect(await answer(both + EXIT, { maps: queue("queue", [1, 2]) })).toBe(1);
    expect(await answer(both + EXIT, { maps: queue("stack", [2, 1]) })).toBe(9);
    expect(await answer(peek + pop + EXIT, { maps: queue("stack", [2, 1]) })).toBe(2);
    expect(await answer(pop + pop + pop + EXIT, { maps: queue("queue", [1, 2]) })).toBe(
      ERRNO.ENOENT,
    );
    expect(await answer(push(1, 1) + EXIT, { maps: queue("queue", []) })).toBe(ERRNO.EINVAL);
    expect(await answer(push(1, 3) + EXIT, { maps: queue("queue", []) })).toBe(ERRNO.EINVAL);
  });

  it("a full queue rejects a push, unless BPF_EXIST evicts the oldest", async () => {
    const full = queue("queue", [1, 2], { max_entries: 2 });
    expect(await answer(push(3) + EXIT, { maps: full })).toBe(ERRNO.E2BIG);
    expect(await answer(push(3, 2) + pop + EXIT, { maps: full })).toBe(2);
    const stack = queue("stack", [2, 1], { max_entries: 2 });
    expect(await answer(push(3, 2) + pop + pop + pop + EXIT, { maps: stack })).toBe(ERRNO.ENOENT);
    expect((await effects(push(3) + EXIT, full)).reads).toEqual(["1 true"]);
  });

  it("a push alone reads nothing", async () => {
    const part = queue("queue", [], { isComplete: false, entries: 2 });
    expect(await effects(push(3) + EXIT, part)).toEqual({ reads: [], ops: ["push 1 03000000 0"] });
    expect(await needs(pop + EXIT, { maps: part })).toEqual([{ map: 1, front: 18 }]);
    const popped = await run(pop + EXIT, { maps: queue("queue", [1, 2]) });
    expect(popped.reads).toEqual([{ map: 1, unchanged: true }]);
    expect(popped.writes).toEqual([{ op: "pop", map: 1 }]);
  });

  it("a value pushed and popped in one run leaves no change", async () => {
    const stack = await effects(push(1) + push(2) + pop + EXIT, queue("stack", []));
    expect(stack.ops).toEqual(["push 1 01000000 0"]);
    const turns = { repeat: 1000 };
    expect(
      (await effects(push(1) + pop + EXIT, queue("queue", [7]), turns)).ops.length,
    ).toBeLessThan(3);
  });
});

describe("a Bloom filter", () => {
  const filter = (values: Record<number, number | null>, rest = {}): TestMapView[] => [
    { map_type: "bloom_filter", key_size: 0, elements: pairs(values), isComplete: false, ...rest },
  ];
  const call = (helper: string, number: number) => `
    *(u32 *)(r10 -8) = ${number}
    r2 = r10
    r2 += -8
    r3 = 0
    r1 = map[fd:0]
    call ${helper}`;
  const push = (number: number) => call("bpf_map_push_elem#87", number);
  const peek = (number: number) => call("bpf_map_peek_elem#89", number);

  it("a Bloom filter says whether a value may be there", async () => {
    const maps = filter({ 1: 0, 2: null });
    expect(await answer(peek(1) + EXIT, { maps })).toBe(0);
    expect(await answer(peek(2) + EXIT, { maps })).toBe(ERRNO.ENOENT);
    expect(await answer(push(2) + peek(2) + EXIT, { maps })).toBe(0);
    expect(await needs(peek(3) + EXIT, { maps })).toEqual([{ map: 1, key: "03000000" }]);
    expect(await effects(peek(2) + push(3) + EXIT, maps)).toEqual({
      reads: ["1 02000000 "],
      ops: ["push 1 03000000 0"],
    });
  });
});

describe("a ring buffer", () => {
  const ring = (rest = {}): TestMapView[] => [
    { map_type: "ringbuf", key_size: 0, value_size: 0, max_entries: 4096, ...rest },
  ];
  const output = (size: number, flags = 0) => `
    *(u64 *)(r10 -8) = 7
    r2 = r10
    r2 += -${size}
    r3 = ${size}
    r4 = ${flags}
    r1 = map[fd:0]
    call bpf_ringbuf_output#130`;
  const reserve = (size: number) => `
    r1 = map[fd:0]
    r2 = ${size}
    r3 = 0
    call bpf_ringbuf_reserve#131
    if r0 == 0 goto pc+4
    *(u32 *)(r0 +0) = 5
    r1 = r0
    r2 = 1`;
  const submit = `${reserve(8)}
    call bpf_ringbuf_submit#132`;
  const query = (what: number) => `
    r1 = map[fd:0]
    r2 = ${what}
    call bpf_ringbuf_query#134`;

  it("a ring buffer takes records in the order of reservation", async () => {
    const text = `${output(8)} ${submit} ${reserve(16)}
      call bpf_ringbuf_discard#133 ${output(8, 2)}`;
    expect(await effects(text + EXIT, ring())).toEqual({
      reads: [],
      ops: [
        "output 1 0700000000000000 0",
        "output 1 0500000000000000 1",
        "output 1 0700000000000000 2",
      ],
    });
  });

  it("a ring buffer rejects what does not fit", async () => {
    expect(await answer(output(8, 4) + EXIT, { maps: ring() })).toBe(ERRNO.EINVAL);
    const full = ring({ producer: 4096 - 16, consumer: 0 });
    expect(await answer(output(8) + EXIT, { maps: full })).toBe(ERRNO.EAGAIN);
    const positions = { map: 1, producer: 4096 - 16, consumer: 0 };
    expect((await run(output(8) + EXIT, { maps: full })).reads).toEqual([positions]);
    expect(await answer(`${reserve(4096)}\nr0 = 0${EXIT}`, { maps: ring() })).toBe(0);
  });

  it("bpf_ringbuf_query() returns the positions", async () => {
    const maps = ring({ producer: 4200, consumer: 4096 });
    expect(await answer(output(8) + query(0) + EXIT, { maps })).toBe(120);
    expect(await answer(query(1) + EXIT, { maps })).toBe(4096);
    expect(await answer(query(2) + EXIT, { maps })).toBe(4096);
    expect(await answer(query(3) + EXIT, { maps })).toBe(4200);
    expect((await run(query(1) + EXIT, { maps })).reads).toEqual([]);
    const positions = { map: 1, producer: 4200, consumer: 4096 };
    expect((await run(query(0) + EXIT, { maps })).reads).toEqual([positions]);
  });
});

describe("a map of maps", () => {
  const inner: TestMapView = { id: 7, map_type: "hash", elements: pairs({ 1: 10 }) };
  const nested = `${lookup(2)}
    if r0 == 0 goto pc+6
    r1 = r0
    *(u32 *)(r10 -4) = 1
    r2 = r10
    r2 += -4
    call bpf_map_lookup_elem#1
    if r0 != 0 goto pc+2
    r0 = -1
    exit
    r0 = *(u32 *)(r0 +0)
    exit`;

  it.each(["array_of_maps", "hash_of_maps"])(
    "a lookup in %s leads to the inner map",
    async (map_type) => {
      const outer: TestMapView = { map_type, elements: [{ key: u32(2), value: u32(7) }] };
      expect(await answer(nested, { maps: [outer, inner] })).toBe(10);
      expect(await needs(nested, { maps: [outer] })).toEqual([{ inner: 7 }]);
      const empty: TestMapView = { map_type, elements: [] };
      expect(await answer(nested, { maps: [empty, inner] })).toBe(-1);
      const part: TestMapView = { map_type, elements: [], isComplete: false };
      expect(await needs(nested, { maps: [part] })).toEqual([{ map: 1, key: "02000000" }]);
      const { reads } = await effects(nested, [outer, inner]);
      expect(reads).toEqual(["1 02000000 07000000", "7 01000000 0a000000"]);
    },
  );
});

describe("bpf_for_each_map_elem()", () => {
  /** Adds up the values; the callback stops where one is 3. */
  const sum = `
    *(u64 *)(r10 -8) = 0
    r1 = map[fd:0]
    r2 = subprog[+9]
    r3 = r10
    r3 += -8
    r4 = 0
    call bpf_for_each_map_elem#164
    r1 = *(u64 *)(r10 -8)
    r0 <<= 8
    r0 |= r1
    exit
    r5 = *(u32 *)(r3 +0)
    r1 = *(u64 *)(r4 +0)
    r1 += r5
    *(u64 *)(r4 +0) = r1
    r0 = 0
    if r5 != 3 goto pc+1
    r0 = 1
    exit`;

  it.each(["hash", "array", "lru_hash"])(
    "bpf_for_each_map_elem() on %s visits elements until the callback stops",
    async (type) => {
      expect(await answer(sum, { maps: table(type, { 0: 1, 1: 2, 2: 0, 3: 0 }) })).toBe(0x403);
      expect(await answer(sum, { maps: table(type, { 0: 1, 1: 3, 2: 5, 3: 5 }) })).toBe(0x204);
    },
  );

  it("bpf_for_each_map_elem() depends on the whole map", async () => {
    const maps = table("hash", { 1: 1 });
    expect((await run(sum, { maps })).reads).toEqual([{ map: 1, unchanged: true }]);
    const part = table("hash", { 1: 1 }, { isComplete: false });
    expect(await needs(sum, { maps: part })).toEqual([{ map: 1, whole: true }]);
  });
});
