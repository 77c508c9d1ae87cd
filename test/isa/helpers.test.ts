import { describe, expect, it } from "vitest";
import { HELPERS } from "../../domain/compiler/abi.ts";
import { BPF_FUNC, HELPER_ROWS } from "../../domain/isa/helpers/index.ts";
import { BASE } from "../../domain/isa/helpers/prog_types.ts";

/** The table of helpers holds together, and agrees with the helpers that run. */

describe("the table of helpers", () => {
  it("has a row for each of the 212 helpers of Linux 6.18, without a gap", () => {
    expect(HELPER_ROWS.map(({ id }) => id)).toEqual(Array.from({ length: 212 }, (_, id) => id));
  });

  it("has each name once", () => {
    expect(Object.keys(BPF_FUNC)).toHaveLength(HELPER_ROWS.length);
  });

  it("orders Linux versions as it orders ids", () => {
    const versions = HELPER_ROWS.flatMap(({ since }) => (since === undefined ? [] : [since]));
    const order = (version: string) => {
      const [major = 0, minor = 0] = version.split(".").map(Number);
      return 1000 * major + minor;
    };
    expect(versions.map(order)).toEqual(versions.map(order).sort((a, b) => a - b));
  });

  it("gives a size to each memory argument right after it", () => {
    for (const { name, args } of HELPER_ROWS) {
      for (const [i, arg] of args.entries()) {
        if (arg !== "size" && arg !== "size_or_zero") continue;
        expect(args[i - 1], name).toMatch(/^(mem|mem_or_null|uninit_mem|unmodelled)$/);
      }
    }
  });

  it("names attach types only of program types that may call the helper", () => {
    for (const row of HELPER_ROWS) {
      for (const type of Object.keys(row.attachTypes ?? {})) expect(row.in).toContain(type);
    }
    expect(BASE).toHaveLength(new Set(BASE).size);
  });
});

describe("helpers that run", () => {
  it.each(Object.entries(HELPERS))("helper %s has a row with as many arguments", (id, { args }) => {
    const row = HELPER_ROWS[Number(id)];
    expect(row).toBeDefined();
    const taken = args.replace("b", "");
    // bpf_trace_printk() takes what its format says, which the prototype does not.
    if (row?.name === "trace_printk") return;
    expect(row?.args.length).toBeGreaterThanOrEqual(taken.length);
    for (const [i, kind] of [...taken].entries()) {
      if (kind === "l") expect(["anything", "stack_or_null"]).toContain(row?.args[i]);
    }
  });
});
