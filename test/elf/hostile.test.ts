import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planObject } from "../../domain/elf/object.ts";
import { Errno } from "../../domain/errno.ts";
import { type BuiltType, buildBtf, buildElf, CODE } from "../support/elf_builder.ts";
import { RETURN_ZERO } from "../support/insns.ts";
import { testService } from "../support/service.ts";

/** Damaged or expensive objects give an errno, never an exception, and cost no more than the limits allow. */

const service = await testService();
const NAMES = ["sections", "nested", "callback", "pinned", "legacy", "iproute2"];
const objects = NAMES.map((name) =>
  readFileSync(join(import.meta.dirname, "objects", `${name}.o`)),
);
const REFUSALS = ["EINVAL", "EOPNOTSUPP", "E2BIG"];

function verdict(file: Buffer): string {
  try {
    planObject(file, { name: "obj", pin_root: "/", cpus: 2 });
    return "loads";
  } catch (error) {
    if (error instanceof Errno) return error.code;
    throw error;
  }
}

/** Changes bytes anywhere, in the header of the file, or in those of the sections. */
function damaged(file: Buffer): fc.Arbitrary<Buffer> {
  const sections = Number(file.readBigUInt64LE(40));
  const place = fc.oneof(
    fc.nat(file.length - 1),
    fc.integer({ min: 16, max: 63 }),
    fc.integer({ min: sections, max: file.length - 1 }),
  );
  const value = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff));
  return fc.array(fc.tuple(place, value), { minLength: 1, maxLength: 8 }).map((changes) => {
    const copy = Buffer.from(file);
    for (const [at, byte] of changes) copy[at] = byte;
    return copy;
  });
}

const anyObject = fc.constantFrom(...objects);

describe("a damaged object", () => {
  it("a truncated object is EINVAL wherever it ends", () => {
    for (const file of objects) {
      for (let length = 0; length < file.length; length += 7) {
        expect(verdict(file.subarray(0, length)), `${length} bytes`).toBe("EINVAL");
      }
    }
  });

  it("an object with changed bytes is another object or rejected", () => {
    const changed = anyObject.chain(damaged);
    fc.assert(
      fc.property(changed, (file) => {
        expect(["loads", ...REFUSALS]).toContain(verdict(file));
      }),
      { numRuns: 2000 },
    );
  });

  it("a damaged object leaves the session as it was, and the service never fails", async () => {
    const session = await service.session(service.namespace());
    await fc.assert(
      fc.asyncProperty(anyObject.chain(damaged), async (file) => {
        const { status, body } = await session.post("/v1/elf?pin_root=/pins", file);
        expect([201, 400, 403, 404, 409, 422]).toContain(status);
        const fds = status === 201 ? [...body.maps, ...body.progs].map(({ fd }) => fd) : [];
        for (const fd of fds) await session.del(`/v1/fds/${fd}`);
        await session.del("/v1/fs?path=/pins&recursive=true");
        expect((await session.get("/v1/fds")).body.fds).toEqual([]);
        expect((await session.get("/v1/maps")).body.maps).toEqual([]);
        expect((await session.get("/v1/fs?path=/")).body.entries).toEqual([]);
      }),
      { numRuns: 25 },
    );
  });
});

const NOP = Buffer.from("b700000000000000", "hex");
const OBJECT = 0x11;

it("an object made by the ELF builder loads", () => {
  const symbols = [{ name: "p", section: 1, size: RETURN_ZERO.length }];
  expect(verdict(buildElf([{ name: "xdp", flags: CODE, data: RETURN_ZERO }], symbols))).toBe(
    "loads",
  );
});

it.each(["..", "a/b", "/", ""])(
  "a program or a map named %j is EINVAL because names become paths",
  (name) => {
    const program = [{ name: "xdp", flags: CODE, data: RETURN_ZERO }];
    expect(verdict(buildElf(program, [{ name, section: 1, size: RETURN_ZERO.length }]))).toBe(
      "EINVAL",
    );
    const maps = [{ name: "maps", flags: 3, data: Buffer.alloc(36, 2) }];
    expect(verdict(buildElf(maps, [{ name, section: 1, info: OBJECT }]))).toBe("EINVAL");
    expect(verdict(buildElf(maps, [{ name: "m", section: 1, info: OBJECT }]))).toBe("loads");
  },
);

it("the names of sections and of symbols may be long", () => {
  const section = `uprobe//usr/bin/prog:${"_ZN4core".repeat(700)}`;
  const symbols = [{ name: "p".repeat(3000), section: 1, size: RETURN_ZERO.length }];
  const file = buildElf([{ name: section, flags: CODE, data: RETURN_ZERO }], symbols);
  expect(verdict(file)).toBe("loads");
});

describe("an object that would be expensive", () => {
  it("an object whose names overlap to more than 16 MiB is E2BIG", () => {
    const long = "p".repeat(2 ** 20);
    const symbols = Array.from({ length: 20 }, (_, i) => ({
      ...{ name: long.slice(i), section: 1, size: RETURN_ZERO.length },
    }));
    const file = buildElf([{ name: "xdp", flags: CODE, data: RETURN_ZERO }], symbols);
    expect(verdict(file)).toBe("E2BIG");
  });

  it("an object with thousands of programs over the same code is E2BIG", () => {
    const code = Buffer.concat([...Array(10_000).fill(NOP), RETURN_ZERO]);
    const symbols = Array.from({ length: 5000 }, (_, i) => ({
      ...{ name: `p${i}`, section: 1, size: code.length },
    }));
    expect(verdict(buildElf([{ name: "xdp", flags: CODE, data: code }], symbols))).toBe("E2BIG");
  });

  it("an object with endless mutual calls is E2BIG", () => {
    const count = 2000;
    const next = Buffer.from("85100000010000009500000000000000", "hex");
    const relocation = Buffer.alloc(16);
    relocation.writeUInt32LE(1, 12);
    const first = Buffer.from("85100000ffffffff9500000000000000", "hex");
    const sections = [
      { name: ".text", flags: CODE, data: Buffer.concat(Array(count).fill(next)) },
      { name: "xdp", flags: CODE, data: first },
      { name: ".relxdp", type: 9, data: relocation, info: 2 },
    ];
    const funcs = Array.from({ length: count }, (_, i) => ({
      ...{ name: `f${i}`, section: 1, value: i * 16, size: 16 },
    }));
    const file = buildElf(sections, [...funcs, { name: "main", section: 2, size: 16 }]);
    expect(verdict(file)).toBe("E2BIG");
  });

  it("an object with too many maps is E2BIG", () => {
    const sections = Array.from({ length: 2000 }, () => ({
      name: ".data",
      flags: 3,
      data: RETURN_ZERO,
    }));
    expect(verdict(buildElf(sections, []))).toBe("E2BIG");
  });
});

/** One map of BTF, an array (of 2 is its type) of values of type 1. */
function mapOf(...value: BuiltType[]): Buffer {
  const n = value.length;
  const types = [
    ...value,
    { kind: 2, size: n + 2 },
    { kind: 3, rest: [1, 1, 2] },
    { kind: 2, size: 1 },
    { name: "def", kind: 4, vlen: 2, size: 16, rest: ["type", n + 1, 0, "value", n + 3, 64] },
    { name: "map", kind: 14, size: n + 4, rest: [1] },
    { name: ".maps", kind: 15, vlen: 1, size: 16, rest: [n + 5, 0, 16] },
  ];
  const sections = [
    { name: ".BTF", data: buildBtf(types) },
    { name: ".maps", data: Buffer.alloc(16) },
  ];
  return buildElf(sections, [{ name: "map", section: 2, info: OBJECT }]);
}

const INT: BuiltType = { name: "int", kind: 1, size: 4, rest: [32] };
const members = (count: number) =>
  Array.from({ length: count }, (_, i) => [`m${i}`, 2, i * 32]).flat();

it.each<[string, string, BuiltType[]]>([
  ["an int", "loads", [INT]],
  ["a typedef of itself", "EINVAL", [{ name: "t", kind: 8, size: 1 }]],
  ["an array of itself", "EINVAL", [{ kind: 3, rest: [1, 1, 9] }]],
  ["void", "EINVAL", [{ kind: 8, size: 0 }]],
  ["a function", "EINVAL", [{ kind: 13, size: 0 }]],
  [
    "arrays of arrays of 2^320 bytes",
    "EINVAL",
    [...Array.from({ length: 20 }, (_, i) => ({ kind: 3, rest: [i + 2, 1, 65_535] })), INT],
  ],
  // The map has no schema, like a struct that is too long for one.
  [
    "a struct that holds itself",
    "loads",
    [{ name: "s", kind: 4, vlen: 1, size: 8, rest: ["m", 1, 0] }],
  ],
  [
    "a struct of 5,000 members",
    "loads",
    [{ name: "s", kind: 4, vlen: 5000, size: 20_000, rest: members(5000) }, INT],
  ],
])("loading a map of %s gives: %s", (_, wanted, types) => {
  expect(verdict(mapOf(...types))).toBe(wanted);
});
