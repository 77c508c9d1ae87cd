import { describe, expect, it } from "vitest";
import { assemble } from "../../domain/asm/assembler.ts";
import { INSN_SIZE } from "../../domain/isa/insn.ts";
import type { MapFacts, VerifierOptions } from "../../domain/verifier/verifier.ts";
import { insnHex } from "../support/insns.ts";
import { check, verify } from "../support/verify_bytes.ts";

/** Accesses that the verifier proves in bounds, so that the compiler leaves out their checks. */

const EXIT = insnHex(0x95);
const R0 = insnHex(0xb7);
const MAP = insnHex(0x18, 1, 1) + insnHex(0);
const LOOKUP = [
  insnHex(0x62, 10, 0, -4),
  insnHex(0xbf, 2, 10),
  insnHex(0x07, 2, 0, 0, -4),
  MAP,
  insnHex(0x85, 0, 0, 0, 1),
];

const ARRAY: MapFacts = {
  map_type: "array",
  key_size: 4,
  value_size: 64,
  max_entries: 4,
  map_flags: 0,
};
const HASH: MapFacts = { ...ARRAY, map_type: "hash" };

function reported(map: MapFacts, parts: string[], options: VerifierOptions = {}) {
  const insns = Buffer.from(parts.join(""), "hex");
  const given = { progType: "xdp", ...options };
  const { refs } = check(insns, given);
  return verify(
    insns,
    refs.map(() => map),
    given,
  );
}

/** The proven accesses of an accepted program. */
function proven(map: MapFacts, ...parts: string[]): number[] {
  const { refusal, provenAccesses: safe } = reported(map, parts);
  expect(refusal).toBeNull();
  return [...safe.keys()].filter((at) => safe[at] === 1);
}

describe("accesses that are proven", () => {
  it("an access to the context and to the stack is proven", () => {
    expect(proven(HASH, insnHex(0x61, 2, 1, 12), insnHex(0x7b, 10, 2, -8), R0, EXIT)).toEqual([
      0, 1,
    ]);
  });

  it("an access to a map value is proven after the NULL check", () => {
    const code = [...LOOKUP, insnHex(0x15, 0, 0, 1), insnHex(0x79, 1, 0, 56), R0, EXIT];
    expect(proven(HASH, ...code)).toEqual([0, 7]);
  });

  it("an array element at a constant index is proven without a NULL check", () => {
    expect(proven(ARRAY, ...LOOKUP, insnHex(0x79, 0, 0, 56), EXIT)).toEqual([0, 6]);
  });

  it("an access at a masked index is proven as far as the mask allows", () => {
    const index = [insnHex(0x61, 7, 1, 12), insnHex(0x57, 7, 0, 0, 31)];
    const use = [insnHex(0x15, 0, 0, 2), insnHex(0x0f, 0, 7), insnHex(0x71, 1, 0, 32), R0, EXIT];
    expect(proven(HASH, ...index, ...LOOKUP, ...use)).toEqual([0, 2, 10]);
  });

  it("an access to packet bytes is proven after the comparison with data_end", () => {
    const ends = [
      insnHex(0x61, 2, 1),
      insnHex(0x61, 3, 1, 4),
      insnHex(0xbf, 4, 2),
      insnHex(0x07, 4, 0, 0, 14),
    ];
    const use = [R0, insnHex(0x2d, 4, 3, 1), insnHex(0x71, 0, 2, 13), EXIT];
    expect(proven(HASH, ...ends, ...use)).toEqual([0, 1, 6]);
  });

  it("every iteration of a loop is proven", () => {
    const loop = [insnHex(0xbf, 2, 10), insnHex(0x07, 2, 0, 0, -64), insnHex(0xb7, 1)];
    const body = [insnHex(0x72, 2, 0, 0, 5), insnHex(0x07, 2, 0, 0, 1), insnHex(0x07, 1, 0, 0, 1)];
    const end = [insnHex(0xa5, 1, 0, -4, 64), R0, EXIT];
    expect(proven(HASH, ...loop, ...body, ...end)).toEqual([3]);
  });
});

describe("accesses that are not proven", () => {
  it("code after an unfinished loop is not proven", () => {
    const random = insnHex(0x85, 0, 0, 0, 7);
    const loop = [insnHex(0xb7, 6), random, insnHex(0x15, 0, 0, 3), insnHex(0x07, 6, 0, 0, 1)];
    const end = [insnHex(0xa5, 6, 0, -4, 10_000), R0, insnHex(0x7a, 10, 0, -8), R0, EXIT];
    const limits = { complexity: 4_000 };
    const { refusal, provenAccesses: safe } = reported(HASH, [...loop, ...end], { limits });
    expect([refusal, safe.includes(1)]).toEqual([null, false]);
  });

  it("the context of an unknown program type is not proven", () => {
    const { refusal, provenAccesses: safe } = reported(HASH, [insnHex(0x61, 0, 1, 12), EXIT], {
      progType: "netfilter",
    });
    expect([refusal, [...safe]]).toEqual([null, [0, 0]]);
  });

  it("an access that no path reaches is not proven", () => {
    const dead = [R0, insnHex(0x15, 0, 0, 1), insnHex(0x79, 0, 10, -8), EXIT];
    expect(proven(HASH, ...dead)).toEqual([]);
  });
});

describe("the log of an accepted program", () => {
  const code = [R0, insnHex(0x07, 0, 0, 0, 2), EXIT];
  const said = (logLevel: number): string => reported(HASH, code, { logLevel }).log;
  const closing =
    "processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 " +
    "peak_states 0 mark_read 0\n";

  it("the log of an accepted program is empty at level 0, one line at level 1", () => {
    expect([said(0), said(1)]).toEqual(["", closing]);
  });

  it("the log of an accepted program has every instruction at level 2", () => {
    const path = [
      "0: R1=ctx() R10=fp0",
      "0: (b7) r0 = 0                        ; R0=0",
      "1: (07) r0 += 2                       ; R0=2",
      "2: (95) exit",
    ];
    expect(said(2)).toBe(`${path.join("\n")}\n${closing}`);
  });

  it("the log of an accepted program has only statistics at level 4", () => {
    expect(said(4)).toBe(`stack depth 0\n${closing}`);
  });
});

/** Assembles what both paths to `x` have in common: r8 points to a value, and the path is uncertain. */
const twoPaths = (one: string, other: string, access: string) => `
  r8 = 0
  *(u32 *)(r10 -4) = 0
  r2 = r10
  r2 += -4
  r1 = map[fd:3]
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r8 = r0
  call bpf_get_prandom_u32
  r6 = r0
  if r6 > r6 goto a
  a: if r6 > 10 goto b
  ${one}
  goto x
  b: ${other}
  x: ${access}
  out: r0 = 0
  exit`;

describe("an access that is refused on an uncertain path", () => {
  it.each([
    [
      "an atomic that would leak a pointer of a loader without CAP_PERFMON",
      twoPaths(
        "r1 = r8\n r2 = 1",
        "r1 = 0x1000\n r1 <<= 12\n r2 = r10",
        "lock *(u64 *)(r1 +0) += r2",
      ),
      { perfmon: false },
    ],
    [
      "a load through a register that a call has overwritten",
      twoPaths(
        "r1 = r8",
        "r1 = 0x1000\n r1 <<= 12\n call bpf_get_prandom_u32",
        "r0 = *(u64 *)(r1 +0)",
      ),
      { perfmon: true },
    ],
  ])("%s is not proven by the other path", async (_what, text, options) => {
    const { insns } = await assemble(text, "asm");
    const given = { progType: "socket_filter", gplCompatible: true, ...options };
    const { refusal, provenAccesses } = verify(insns, [{ ...ARRAY, value_size: 8 }], given);
    expect(refusal).toBeNull();
    const at = insns.length / INSN_SIZE - 3;
    expect(provenAccesses[at]).toBe(0);
  });
});
