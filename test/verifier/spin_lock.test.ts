import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { assemble } from "../../domain/asm/assembler.ts";
import { decode } from "../../domain/isa/insn.ts";
import { provenAccesses } from "../../domain/runtime/proven_accesses.ts";
import { compileSchema } from "../../domain/schema/schema.ts";
import { asm, lookup, map, OUT, run } from "../support/run_programs.ts";
import { type TestSession, testService } from "../support/service.ts";

/**
 * struct bpf_spin_lock in the values of maps. What Linux says of maps is in the trace locks.json, what of
 * programs in verifier-locks.json; here is what only the service has: C text, JSON, runs, objects.
 */

const service = await testService();
const newSession = (more: object = {}) => service.session(service.namespace(), more);

const VALUE = "struct { __u64 n; struct bpf_spin_lock lock; __u32 limit; }";
const schema = (value = VALUE) => ({ value_size: 16, schema: { value } });
const F_LOCK = 4;
/** The element after an update with a value of ff bytes. */
const HIDDEN = "ffffffffffffffff00000000ffffffff";

const element = (fd: number, key = 0) => `/v1/fds/${fd}/elements/u32:${key}`;
const bytes = async (session: TestSession, fd: number) =>
  (await session.get(element(fd))).body.value as string;

/** Runs the code between lock and unlock of R6. */
const locked = (body: string) => `
  r1 = r6
  r1 += 8
  call spin_lock
  ${body}
  r1 = r6
  r1 += 8
  call spin_unlock`;

const found = (fd: number) => `${lookup(fd, 0)}
  r6 = r0`;

describe("a lock in a value's type", () => {
  const LOCK = "struct bpf_spin_lock";

  // The bytes that Linux 6.18 returns as zeros, of a value of ff bytes, for clang's BTF of each type.
  it.each([
    ["at the start", `struct { ${LOCK} l; u32 a; u64 x; }`, [0]],
    ["declared by hand", `${LOCK} { u32 val; }; struct { u64 x; ${LOCK} l; u32 a; }`, [8]],
    ["of other members", `${LOCK} { char val[4]; }; struct { ${LOCK} l; u32 a; u64 x; }`, [0]],
    ["in a struct within", `struct { struct { u32 a; ${LOCK} l; } i; u64 x; }`, [4]],
    ["in a struct without a name", `struct { struct { u32 a; ${LOCK} l; }; u64 x; }`, [4]],
    ["in an array of one", `struct { ${LOCK} l[1]; u32 a; u64 x; }`, [0]],
    [
      "in an array of arrays of one",
      `struct { struct { ${LOCK} l; u32 a; } i[1][1]; u64 x; }`,
      [0],
    ],
    ["behind an array of none", `struct { ${LOCK} z[0]; ${LOCK} l; u32 a; u64 x; }`, [0]],
    [
      "in each of two structs",
      `struct { struct { ${LOCK} l; u32 a; } p; struct { u32 b; ${LOCK} m; } q; }`,
      [0, 12],
    ],
    [
      "of a value behind typedef and const",
      `typedef const struct { ${LOCK} l; u32 a; u64 x; } v; v`,
      [0],
    ],
    ["beside whole bitfields", `struct { ${LOCK} l; u32 a:8, b:8; u64 x; }`, [0]],
    ["behind a typedef: none", `typedef ${LOCK} lk; struct { lk l; u32 a; u64 x; }`, []],
    [
      "in a struct behind a typedef: none",
      `typedef struct { u32 a; ${LOCK} l; } in; struct { in i; u64 x; }`,
      [],
    ],
    ["volatile: none", `struct { volatile ${LOCK} l; u32 a; u64 x; }`, []],
    ["const, said behind: none", `struct { ${LOCK} const l; u32 a; u64 x; }`, []],
    ["in a union: none", `struct { union { ${LOCK} l; u32 q; }; u32 a; u64 x; }`, []],
    ["in an array of two: none", `struct { ${LOCK} l[2]; u64 x; }`, []],
    ["in an array of two structs: none", `struct { struct { ${LOCK} l; u32 a; } i[2]; }`, []],
    ["in two arrays of one: none", `struct { ${LOCK} l[1]; ${LOCK} m[1]; u64 x; }`, []],
    [
      "in an array of one of 8 bytes: none",
      `${LOCK} { u64 val; }; struct { ${LOCK} l[1]; u64 x; }`,
      [],
    ],
    [
      "with a bitfield within a byte before its struct: none",
      `struct { u32 a:3, b:5; u32 c; struct { ${LOCK} l; u32 q; } i; }`,
      [],
    ],
    ["by a pointer: none", `struct { ${LOCK} *l; u64 x; }`, []],
    ["in a value that is a union: none", `union { ${LOCK} l; u64 x[2]; }`, []],
  ])("the lock of a value is found %s", (_, value, locks) => {
    expect(compileSchema({ value }, 4, 16).locks).toEqual(locks);
  });

  it("a value that is itself a lock has no lock", () => {
    expect(compileSchema({ value: LOCK }, 4, 4).locks).toEqual([]);
  });

  // BTF that BPF_BTF_LOAD refuses (btf_parse_struct_metas).
  it.each([
    ["beside another one", `struct { ${LOCK} l, m; u64 x; }`, "E2BIG"],
    ["beside an array of one", `struct { ${LOCK} l; ${LOCK} m[1]; u64 x; }`, "E2BIG"],
    [
      "beside another one, behind a typedef",
      `typedef struct { ${LOCK} l, m; } in; struct { in i; u64 x; }`,
      "E2BIG",
    ],
    ["not aligned", `struct { u8 a; ${LOCK} l; u8 b[11]; } __attribute__((packed))`, "EFAULT"],
    ["of 8 bytes", `${LOCK} { u64 val; }; struct { ${LOCK} l; u64 x; }`, "EFAULT"],
    ["beside a bitfield within a byte", `struct { ${LOCK} l; u32 a:3, b:5; u64 x; }`, "EINVAL"],
    [
      "beside an array of two structs with one",
      `struct { ${LOCK} t; struct { ${LOCK} l; } a[2]; u32 b; }`,
      "EINVAL",
    ],
  ])("a lock %s is rejected", async (_, value, errno) => {
    const attr = { map_type: "hash", key_size: 4, max_entries: 1, ...schema(value) };
    const { body } = await (await newSession()).post("/v1/maps", attr);
    expect(body.errno).toBe(errno);
    expect(body.errors).toMatchObject([{ pointer: "/body/schema/value" }]);
    expect(body.detail).toMatch(/^schema\/value: line 1, column \d+: .*(lock|bitfield)/);
  });
});

describe("the lock of an element", () => {
  it.each(["hash", "array"])(
    "the lock of an element of a %s stays zero, however it is written",
    async (type) => {
      const session = await newSession();
      const { fd } = await map(session, type, 4, schema());
      for (const flags of [0, F_LOCK]) {
        await session.put(element(fd), { value: "ff".repeat(16), flags });
        expect(await bytes(session, fd)).toBe(HIDDEN);
        const answer = await session.get(`${element(fd)}?flags=${F_LOCK}`);
        expect([answer.body.value, answer.headers.get("etag")]).toEqual([HIDDEN, `"${HIDDEN}"`]);
        const batch = {
          op: "update",
          keys: ["u32:0"],
          values: ["ee".repeat(16)],
          elem_flags: flags,
        };
        expect((await session.post(`/v1/fds/${fd}/batch`, batch)).body).toEqual({ count: 1 });
        expect(await bytes(session, fd)).toBe(HIDDEN.replaceAll("f", "e"));
      }
    },
  );

  it("JSON of an element shows its lock but need not give it", async () => {
    const session = await newSession();
    const { fd } = await map(session, "hash", 4, schema());
    const path = `${element(fd)}?format=json`;
    const put = async (value: object) => (await session.put(path, { value })).status;
    expect(await put({ n: 5, limit: 7 })).toBe(204);
    expect((await session.get(path)).body.value).toEqual({ n: 5, lock: { val: 0 }, limit: 7 });
    expect(await put({ n: 6, lock: { val: 9 }, limit: 7 })).toBe(204);
    expect((await session.get(path)).body.value).toEqual({ n: 6, lock: { val: 0 }, limit: 7 });
    expect(await put({ lock: { val: 0 }, limit: 7 })).toBe(400);
  });
});

describe("programs that lock", () => {
  const add = "r7 = *(u64 *)(r6 +0)\n r7 += 1\n *(u64 *)(r6 +0) = r7";

  it.each(["hash", "array"])(
    "a program locks an element of a %s, and the lock stays zero",
    async (type) => {
      const session = await newSession();
      const { fd } = await map(session, type, 4, schema());
      await session.put(element(fd), { value: "u64:40+hex:ffffffff+u32:1" });
      const prog = await asm(session, `${found(fd)} ${locked(add)}\n r0 = r7\n exit ${OUT}`);
      expect((await run(session, prog.fd, { repeat: 2 })).retval).toBe(42);
      expect(await bytes(session, fd)).toBe("2a000000000000000000000001000000");
    },
  );

  it("a program sees an update with BPF_F_LOCK through its pointer", async () => {
    // htab_map_update_elem(): "grab the element lock and update value in place"
    const session = await newSession();
    const { fd } = await map(session, "hash", 4, schema());
    await session.put(element(fd), { value: "u64:1+u32:0+u32:1" });
    const text = (flags: number) => `${found(fd)}
      *(u64 *)(r10 -24) = 5
      *(u64 *)(r10 -16) = -1
      r1 = map[fd:${fd}]
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -24
      r4 = ${flags}
      call map_update_elem
      r0 = *(u64 *)(r6 +0)
      *(u64 *)(r6 +0) = 9
      exit ${OUT}`;
    const plain = await asm(session, text(0));
    expect((await run(session, plain.fd)).retval).toBe(1);
    expect(await bytes(session, fd)).toBe("050000000000000000000000ffffffff");
    const inPlace = await asm(session, text(F_LOCK));
    expect((await run(session, inPlace.fd)).retval).toBe(5);
    expect(await bytes(session, fd)).toBe("090000000000000000000000ffffffff");
  });

  it("a program that unlocks another map's lock on one path is rejected", async () => {
    const session = await newSession();
    const [a, b] = [
      await map(session, "array", 1, schema()),
      await map(session, "array", 1, schema()),
    ];
    const text = (other: number) => `
      call get_prandom_u32
      r8 = r0
      if r8 > 5 goto other
      r1 = map[fd:${a.fd}][0]+8
      call spin_lock
      goto joined
      other:
      r1 = map[fd:${other}][0]+8
      call spin_lock
      joined:${"\n r2 = 0".repeat(8)}
      goto on
      on:
      goto unlock
      unlock:
      r1 = map[fd:${a.fd}][0]+8
      call spin_unlock
      r0 = 0
      exit`;
    await asm(session, text(a.fd));
    const { body } = await session.post("/v1/progs", { asm: text(b.fd) });
    expect([body.errno, body.log]).toEqual(["EINVAL", "bpf_spin_unlock of different lock"]);
  });

  it("a program of a type without locks is rejected by name", async () => {
    // check_map_prog_compatibility()
    const session = await newSession();
    const { fd } = await map(session, "hash", 4, schema());
    const text = `r1 = map[fd:${fd}]\n r0 = 0\n exit`;
    for (const [prog_type, who] of [
      ["socket_filter", "socket filter"],
      ["raw_tracepoint", "tracing"],
    ]) {
      const { body } = await session.post("/v1/progs", { asm: text, prog_type, log_level: 1 });
      expect([body.errno, body.log]).toEqual([
        "EINVAL",
        `${who} progs cannot use bpf_spin_lock yet`,
      ]);
    }
  });

  it("a rejected program names the map without a lock, and why", async () => {
    const session = await newSession();
    const plain = await map(session, "hash", 4, { value_size: 16, map_name: "plain" });
    const other = { value_size: 16, schema: { value: "u64[2]" }, map_name: "other" };
    const described = await map(session, "hash", 4, other);
    for (const [{ fd }, why] of [
      [plain, "map 'plain' has to have BTF in order to use bpf_spin_lock"],
      [described, "map 'other' has no valid bpf_spin_lock"],
    ] as const) {
      const text = `${found(fd)} ${locked("")} ${OUT}`;
      const { body } = await session.post("/v1/progs", { asm: text, log_level: 1 });
      expect(body.errno).toBe("EINVAL");
      expect(body.log).toContain(`\n${why}\n`);
    }
  });

  it("a program locks an element of an inner map by the template's lock", async () => {
    const session = await newSession();
    const inner = await map(session, "hash", 4, schema());
    const outer = await map(session, "array_of_maps", 1, {
      ...{ value_size: 4, inner_map_fd: inner.fd },
    });
    await session.put(element(outer.fd), { value: { fd: inner.fd } });
    await session.put(element(inner.fd), { value: "u64:1+u32:0+u32:1" });
    const into = `${lookup(outer.fd, 0)}
      r1 = r0
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      r6 = r0`;
    const prog = await asm(session, `${into} ${locked(add)}\n ${OUT}`);
    await run(session, prog.fd);
    expect(await bytes(session, inner.fd)).toBe("02000000000000000000000001000000");
    const { body } = await session.post("/v1/progs", {
      asm: `${into}\n *(u32 *)(r6 +8) = 1 ${OUT}`,
    });
    expect(body.log).toContain("bpf_spin_lock cannot be accessed directly by load/store");
  });

  it("a program that Linux rejects for an unknown offset writes no lock", async () => {
    const session = await newSession();
    const { fd } = await map(session, "array", 1, schema());
    // Linux knows the contents of a frozen map; the service finds them out when the program runs.
    const offset = await map(session, "array", 1, { map_flags: 128 });
    await session.put(element(offset.fd), { value: "u64:8" });
    await session.post(`/v1/fds/${offset.fd}/freeze`);
    const prog = await asm(
      session,
      `${found(fd)}
      r1 = map[fd:${offset.fd}][0]+0
      r7 = *(u64 *)(r1 +0)
      r6 += r7
      *(u32 *)(r6 +0) = -1
      *(u32 *)(r6 +4) = -1 ${OUT}`,
    );
    await session.put(element(fd), { value: "u64:8+u32:0+u32:0" });
    await run(session, prog.fd);
    expect(await bytes(session, fd)).toBe("080000000000000000000000ffffffff");
  });
});

it("an access under a lock is proven like others", async () => {
  const text = `*(u32 *)(r10 -4) = 0\n r1 = map[fd:0]\n r2 = r10\n r2 += -4\n call map_lookup_elem
    if r0 == 0 goto out\n r6 = r0 ${locked("r7 = *(u64 *)(r6 +0)")} ${OUT}`;
  const { insns } = await assemble(text, "/body/asm");
  const shape = { map_type: "hash", key_size: 4, value_size: 16, max_entries: 4, map_flags: 0 };
  const unit = { insns, maps: [{ ...shape, locks: [8] }], prog_type: "sched_cls" };
  const safe = provenAccesses(unit, decode(insns));
  const load = insns.indexOf(Buffer.from("7967000000000000", "hex")) / 8;
  expect(safe?.[load]).toBe(1);
});

it("an object's locks come from its BTF, and its programs run as on Linux", async () => {
  const session = await newSession();
  const object = readFileSync(join(import.meta.dirname, "../elf/objects", "locks.o"));
  const { status, body } = await session.post("/v1/elf?name=locks", object);
  expect(status, JSON.stringify(body)).toBe(201);
  const of = (list: { name: string; fd: number }[], name: string) =>
    list.find((each) => each.name === name)?.fd ?? 0;
  const steps = ["limit", "limit", "limit", "limit", "reset", "limit", "count", "count"];
  const answers: number[] = [];
  for (const step of steps) answers.push((await run(session, of(body.progs, step))).retval);
  expect(answers).toEqual([2, 1, 1, 0, 0, 1, 2, 3]);
  const rates = `${element(of(body.maps, "rates"))}?format=json`;
  const rate = { lock: { val: 0 }, tokens: 8, packets: 1, dropped: 0 };
  expect((await session.get(rates)).body.value).toEqual(rate);
  // "Retrying without BTF": an LRU hash has no locks.
  const recent = await session.get(`/v1/fds/${of(body.maps, "recent")}`);
  expect(recent.body).toMatchObject({ map_type: "lru_hash", value_size: 24 });
  expect(recent.body.schema).toBeUndefined();
});
