import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planObject } from "../../domain/elf/object.ts";
import {
  type MapPlan,
  mapTypeName,
  type PlanOptions,
  type ProgPlan,
} from "../../domain/elf/plan.ts";

/**
 * What is made of objects built by clang (test/elf/objects/build.sh), against what libbpf 1.1 made of them on
 * Linux 6.18 (test/elf/objects/record.c), and for maps of older kinds against their sources.
 */

const FOLDER = join(import.meta.dirname, "objects");
const read = (name: string) => readFileSync(join(FOLDER, name));

function plan(name: string, options: Partial<PlanOptions> = {}) {
  return planObject(read(`${name}.o`), { name, pin_root: "/", cpus: 2, ...options });
}

interface Recorded {
  maps: {
    map_type: number;
    map_extra: number;
    value_size: number;
    data?: string;
    slots?: number;
  }[];
  progs: { type: number; insns: string }[];
}

const PROG_TYPES: Record<number, string> = {
  1: "socket_filter",
  3: "sched_cls",
  6: "xdp",
  18: "cgroup_sock_addr",
};

/** BPF_F_RDONLY_PROG, which the kernel gives to devmaps. */
const addedTo = ({ map_type }: MapPlan) => (map_type.startsWith("devmap") ? 0x80 : 0);

function mapAsRecorded(map: MapPlan) {
  const { name, map_name, map_type, key_size, value_size, max_entries, frozen } = map;
  const map_flags = map.map_flags | addedTo(map);
  const mask = map.slots.reduce((bits, { index }) => bits | (1 << index), 0);
  const data = (map.data ?? Buffer.alloc(value_size)).toString("hex");
  return {
    ...{ name, map_name, map_type, key_size, value_size, max_entries, map_flags },
    ...{ map_extra: Number(map.map_extra), frozen },
    ...(/^\.|\.(rodata|data|bss)$/.test(name) ? { data } : {}),
    ...(["prog_array", "array_of_maps"].includes(map_type) ? { slots: mask } : {}),
  };
}

/** With maps by their places, as the recorder writes them. */
function progAsRecorded({ name, section, prog_type, expected_attach_type, insns, refs }: ProgPlan) {
  const code = Buffer.from(insns);
  for (const { insn, map } of refs) code.writeUInt32LE(map, insn * 8 + 4);
  const type = prog_type;
  return { name, section, type, attach: expected_attach_type, insns: code.toString("hex") };
}

describe.each(["sections", "nested", "callback", "pinned", "locks", "redirect"])("%s.o", (name) => {
  const recorded: Recorded = JSON.parse(read(`${name}.json`).toString());

  it("the plan has the maps that libbpf creates, in its order", () => {
    const wanted = recorded.maps.map((map) => ({ ...map, map_type: mapTypeName(map.map_type) }));
    expect(plan(name).maps.map(mapAsRecorded)).toEqual(wanted);
  });

  it("the plan has the programs that libbpf loads, instruction by instruction", () => {
    const wanted = recorded.progs.map((prog) => ({ ...prog, type: PROG_TYPES[prog.type] }));
    expect(plan(name).progs.map(progAsRecorded)).toEqual(wanted);
  });

  it("the plan knows the types of all functions", () => {
    expect(plan(name).progs.every(({ func_types }) => func_types !== undefined)).toBe(true);
  });
});

it("the plan reads license and section flags, and leaves out a section with ?", () => {
  const { license, progs } = plan("sections");
  expect(license).toBe("Dual MIT/GPL");
  expect(progs.map(({ name }) => name)).not.toContain("left_out");
  expect(progs.find(({ section }) => section === "xdp.frags")?.prog_flags).toBe(32);
});

it("names of data maps begin with as much of the object's name as fits", () => {
  const names = (name: string) =>
    plan("sections", { name })
      .maps.slice(8)
      .map((map) => map.map_name);
  const own = [".rodata.extra", ".data.custom_se", ".rodata.hidden"];
  const of = (short: string) => [`${short}.rodata`, `${short}.data`, ...own, `${short}.bss`];
  expect(names("obj")).toEqual(of("obj"));
  expect(names("my-object-name")).toEqual(of("my_objec"));
});

it("maps pinned by name go below pin_root", () => {
  const pins = (pin_root: string) => plan("pinned", { pin_root }).maps.map(({ pin }) => pin);
  expect(pins("/")).toEqual(["/policy", "/counters"]);
  expect(pins("/a/b/")).toEqual(["/a/b/policy", "/a/b/counters"]);
});

it("max_entries is overridden by name and rounded for a ring buffer", () => {
  const { maps } = plan("sections", { max_entries: { flows: 7, events: 9000 } });
  const entries = Object.fromEntries(maps.map(({ name, max_entries }) => [name, max_entries]));
  expect(entries).toMatchObject({ flows: 7, events: 16_384, recent: 32 });
  expect(() => plan("sections", { max_entries: { nobody: 1 } })).toThrow("no map 'nobody'");
});

it("prog_type is a section's name or a type, for all programs", () => {
  const types = (prog_type: string) =>
    plan("unknown_section", { prog_type }).progs.map((prog) => [
      prog.prog_type,
      prog.expected_attach_type,
    ]);
  expect(types("xdp")).toEqual([["xdp", 37]]);
  expect(types("cgroup/connect6")).toEqual([["cgroup_sock_addr", 11]]);
  expect(types("sched_cls")).toEqual([["sched_cls", 0]]);
});

/** What a legacy definition says. */
function shape({ name, map_type, key_size, value_size, max_entries, map_flags }: MapPlan) {
  return [name, map_type, key_size, value_size, max_entries, map_flags];
}

it("the plan reads struct bpf_map_def in the section maps", () => {
  const { maps, progs } = plan("legacy");
  expect(maps.map(shape)).toEqual([
    ["counts", "hash", 4, 8, 10, 1],
    ["marks", "array", 4, 4, 1, 0],
  ]);
  expect(progs.map(({ prog_type, refs }) => [prog_type, refs.map(({ map }) => map)])).toEqual([
    ["sched_cls", [1, 0]],
  ]);
});

it("the plan reads struct bpf_elf_map with scopes, inner maps, slots and types", () => {
  const { maps, progs } = plan("iproute2", { pin_root: "/bpf" });
  expect(maps.map(shape)).toEqual([
    ["jmp_tc", "prog_array", 4, 4, 4, 0],
    ["outer", "array_of_maps", 4, 4, 2, 0],
    ["inner", "array", 4, 8, 3, 0],
    ["own", "hash", 4, 8, 8, 0],
  ]);
  const [jumps, outer, , own] = maps;
  expect(jumps).toMatchObject({ pin: "/bpf/tc/globals/jmp_tc" });
  expect(jumps?.slots).toEqual([
    { index: 0, of: 0 },
    { index: 3, of: 1 },
  ]);
  expect(outer).toMatchObject({ inner: 2, slots: [{ index: 1, of: 2 }], pin: undefined });
  expect(own?.pin).toMatch(/^\/bpf\/tc\/[0-9a-f]{40}\/own$/);
  expect(own?.schema).toMatchObject({ btf_key_type_id: 1, btf_value_type_id: 2 });
  expect(progs.map(({ name, prog_type }) => [name, prog_type])).toEqual([
    ["drop", "sched_cls"],
    ["count", "sched_cls"],
    ["cls_main", "sched_cls"],
  ]);
});

it.each([
  ["big_endian", "EOPNOTSUPP", "big-endian objects are not supported"],
  ["extern_kconfig", "EOPNOTSUPP", "prog 'refused': 'LINUX_KERNEL_VERSION' is extern"],
  ["extern_ksym", "EOPNOTSUPP", "prog 'refused': 'bpf_kfunc_of_nobody' is extern"],
  ["core", "EOPNOTSUPP", "section 'xdp': CO-RE relocation against 'task_struct'"],
  ["static", "EOPNOTSUPP", "program 'refused' is static and not supported"],
  ["tracing", "EOPNOTSUPP", "a program of type tracing needs the kernel's BTF"],
  ["unknown_section", "EINVAL", "failed to guess program type from ELF section 'xdp/b'"],
])("the object %s.o is rejected with %s: %s", (name, code, text) => {
  expect(() => plan(name)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(text) }),
  );
});
