import { describe, expect, it } from "vitest";
import { HELPERS, type Signature } from "../../domain/compiler/abi.ts";
import type { HelperReturn } from "../../domain/isa/helpers/helper_row.ts";
import { BPF_FUNC, HELPER_ROWS, type HelperName } from "../../domain/isa/helpers/index.ts";
import { BASE } from "../../domain/isa/helpers/prog_types.ts";

/** The table of helpers is consistent, and agrees with the helpers that run. */

describe("the table of helpers", () => {
  it("the table of helpers has a row for each of the 212 helpers of Linux 6.18", () => {
    expect(HELPER_ROWS.map(({ id }) => id)).toEqual(Array.from({ length: 212 }, (_, id) => id));
  });

  it("the table of helpers has each name once", () => {
    expect(Object.keys(BPF_FUNC)).toHaveLength(HELPER_ROWS.length);
  });

  it("the versions in the table of helpers grow with the ids", () => {
    const versions = HELPER_ROWS.flatMap(({ since }) => (since === undefined ? [] : [since]));
    const order = (version: string) => {
      const [major = 0, minor = 0] = version.split(".").map(Number);
      return 1000 * major + minor;
    };
    expect(versions.map(order)).toEqual(versions.map(order).sort((a, b) => a - b));
  });

  it("each memory argument in the table of helpers is followed by its size", () => {
    for (const { name, args } of HELPER_ROWS) {
      for (const [i, arg] of args.entries()) {
        if (arg !== "size" && arg !== "size_or_zero") continue;
        expect(args[i - 1], name).toMatch(/^(mem|mem_or_null|uninit_mem|uninit_mem_or_null)$/);
      }
    }
  });

  it("the table of helpers names attach types only of program types that may call the helper", () => {
    for (const row of HELPER_ROWS) {
      for (const type of Object.keys(row.attachTypes ?? {})) expect(row.in).toContain(type);
    }
    expect(BASE).toHaveLength(new Set(BASE).size);
  });
});

/** What the wasm signature of a helper may return for each return type of its row. */
const RETURN_KINDS: Readonly<Record<HelperReturn, string>> = {
  // Signed and unsigned 32-bit numbers, and 64-bit numbers.
  integer: "ipl",
  integer_up_to_size: "i",
  map_value_or_null: "p",
  map_value: "p",
  ringbuf_mem_or_null: "p",
  dynptr_mem_or_null: "p",
  sock_common_or_null: "p",
  sock_or_null: "p",
  tcp_sock_or_null: "p",
  cpu: "p",
  void: "v",
  unmodelled: "",
};

/** Helpers whose wasm signature differs from their row, and why. */
const OTHER_ARGS: Partial<Record<HelperName, string>> = {
  trace_printk: "it is variadic: the format says how many arguments follow",
};
const OTHER_RETURN: Partial<Record<HelperName, string>> = {
  set_hash_invalid: "it always returns 0, which is what void leaves in r0",
};

describe("helpers that run", () => {
  it.each(Object.entries(HELPERS) as [HelperName, Signature][])(
    "the wasm signature of bpf_%s agrees with its row",
    (name, { args, ret }) => {
      const row = HELPER_ROWS[BPF_FUNC[name]];
      expect(row?.name).toBe(name);
      const taken = args.replace("b", "");
      const wide = row?.args.filter((_, i) => taken[i] === "l") ?? [];
      expect(wide.filter((arg) => !["anything", "stack_or_null"].includes(arg))).toEqual([]);
      expect(taken.length !== row?.args.length).toBe(name in OTHER_ARGS);
      expect(!RETURN_KINDS[row?.returns ?? "unmodelled"].includes(ret)).toBe(name in OTHER_RETURN);
    },
  );
});
