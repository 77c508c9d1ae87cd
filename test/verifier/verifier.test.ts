import { insnHex } from "../support/insns.ts";
// The verdicts of Linux 6.18 on small programs, asked of a real kernel and copied here.
// A row without a refusal is a program Linux accepts, or refuses only for what registers hold.

import { describe, expect, it } from "vitest";
import { type MapFacts, relocate, type VerifierOptions } from "../../domain/verifier/verifier.ts";
import { check, tag, verify } from "../support/verify_bytes.ts";

const program = (...parts: string[]): Buffer => Buffer.from(parts.join(""), "hex");
const EXIT = insnHex(0x95);
const R0 = insnHex(0xb7);
const call = (imm: number): string => insnHex(0x85, 0, 1, 0, imm);
const ldImm64 = (src: number, imm: number, next = 0, dst = 1): string =>
  insnHex(0x18, dst, src, 0, imm) + insnHex(0, 0, 0, 0, next);

type Row = [name: string, insns: Buffer, errno: string, log: string, options?: VerifierOptions];

const HASH: MapFacts = {
  map_type: "hash",
  key_size: 4,
  value_size: 8,
  max_entries: 16,
  map_flags: 0,
};

/** Verifies a program whose maps are all the same hash. */
const verified = (insns: Buffer, options: VerifierOptions = {}) =>
  verify(
    insns,
    check(insns, options).refs.map(() => HASH),
    options,
  );

function says(stage: "before" | "during" | "after", rows: Row[]): void {
  it.each(rows)("the verifier rejects %s", (_, insns, errno, log, options = {}) => {
    const { beforeMaps: before, atMap: during } = check(insns, options);
    const after = (before ?? during) ? null : verified(insns, options).refusal;
    const none = { before: null, during: null, after: null };
    expect({ before, during, after }).toEqual({ ...none, [stage]: { errno, log } });
  });
}

describe("rejections before maps are resolved", () => {
  says("before", [
    ["no instructions at all", program(), "E2BIG", ""],
    ["a million and one", Buffer.alloc(8 * 1_000_001), "E2BIG", ""],
    ["falling off the end", program(R0), "EINVAL", "last insn is not an exit or jmp"],
    [
      "a conditional jump at the end",
      program(R0, insnHex(0x15, 0, 0, -2)),
      "EINVAL",
      "last insn is not an exit or jmp",
    ],
    ["half a ld_imm64", program(R0, insnHex(0x18)), "EINVAL", "last insn is not an exit or jmp"],
    [
      "a jump past the end",
      program(R0, insnHex(0x05, 0, 0, 100), EXIT),
      "EINVAL",
      "jump out of range from insn 1 to 102",
    ],
    [
      "a jump before the start",
      program(R0, insnHex(0x05, 0, 0, -7), EXIT),
      "EINVAL",
      "jump out of range from insn 1 to -5",
    ],
    [
      "a jump into another subprogram",
      program(call(1), EXIT, insnHex(0x05, 0, 0, -2), EXIT),
      "EINVAL",
      "jump out of range from insn 2 to 1",
    ],
    ["a call to nowhere", program(call(999), EXIT), "EINVAL", "call to invalid destination"],
    [
      "a call to nowhere before a jump to nowhere",
      program(insnHex(0x05, 0, 0, 99), call(999), EXIT),
      "EINVAL",
      "call to invalid destination",
    ],
    [
      "a tail call in a subprogram",
      program(call(1), EXIT, insnHex(0x85, 0, 0, 0, 12), EXIT),
      "EINVAL",
      "tail_call is not allowed in subprogs without BTF",
    ],
    [
      "a packet load in a subprogram",
      program(call(1), EXIT, insnHex(0x20), EXIT),
      "EINVAL",
      "LD_ABS is not allowed in subprogs without BTF",
    ],
    [
      "a call of a kernel function",
      program(R0, insnHex(0x85, 0, 2, 0, 5), EXIT),
      "EINVAL",
      "kernel btf_id 5 is not a function",
    ],
    [
      "more than 256 subprograms",
      program(
        ...Array.from({ length: 258 }, (_, i) => call(258 + i)),
        R0 + EXIT,
        ...Array.from({ length: 260 }, () => R0 + EXIT),
      ),
      "E2BIG",
      "too many subprograms",
    ],
  ]);
});

describe("rejections while maps are resolved", () => {
  says("during", [
    ["an unknown opcode", program(insnHex(0xff), R0, EXIT), "EINVAL", "unknown opcode ff"],
    ["callx", program(insnHex(0x8d, 1), EXIT), "EINVAL", "unknown opcode 8d"],
    [
      "an imm in a load",
      program(insnHex(0x61, 0, 1, 0, 1), EXIT),
      "EINVAL",
      "BPF_LDX uses reserved fields",
    ],
    ["a split ld_imm64", program(insnHex(0x18), R0, EXIT), "EINVAL", "invalid bpf_ld_imm64 insn"],
    [
      "an unknown pseudo",
      program(ldImm64(9, 0), R0, EXIT),
      "EINVAL",
      "unrecognized bpf_ld_imm64 insn",
    ],
    [
      "a high half on a map fd",
      program(ldImm64(1, 3, 1), R0, EXIT),
      "EINVAL",
      "unrecognized bpf_ld_imm64 insn",
    ],
    [
      "an index without fd_array",
      program(ldImm64(5, 0), R0, EXIT),
      "EPROTO",
      "fd_idx without fd_array is invalid",
    ],
    [
      "an index past fd_array",
      program(ldImm64(5, 2), R0, EXIT),
      "EFAULT",
      "",
      { fdArrayLength: 2 },
    ],
  ]);

  it("a rejection while maps are resolved lists the maps met before, in order", () => {
    const insns = program(
      ldImm64(1, 7),
      ldImm64(2, 8, 4),
      ldImm64(5, 1),
      ldImm64(6, 0, 12),
      insnHex(0xff),
      ldImm64(1, 9),
      EXIT,
    );
    const { refs, atMap: during } = check(insns, { fdArrayLength: 2 });
    expect(refs).toEqual([
      { insn: 0, kind: "fd", value: 7, direct: false, offset: 0 },
      { insn: 2, kind: "fd", value: 8, direct: true, offset: 4 },
      { insn: 4, kind: "idx", value: 1, direct: false, offset: 0 },
      { insn: 6, kind: "idx", value: 0, direct: true, offset: 12 },
    ]);
    expect(during?.log).toBe("unknown opcode ff");
  });

  it("a rejection before maps are resolved lists no map", () => {
    expect(check(program(ldImm64(1, 7), R0)).refs).toEqual([]);
  });

  it("a rejection after maps are resolved lists every map", () => {
    const insns = program(ldImm64(1, 7), R0, EXIT, R0, EXIT);
    const { refusal } = verified(insns);
    expect([check(insns).refs.length, refusal?.log]).toEqual([1, "unreachable insn 4"]);
  });
});

describe("rejections of the control flow", () => {
  says("after", [
    ["unreachable code", program(R0, EXIT, R0, EXIT), "EINVAL", "unreachable insn 2"],
    ["ja -1", program(R0, insnHex(0x05, 0, 0, -1), EXIT), "EINVAL", "unreachable insn 2"],
    [
      "a jump into a ld_imm64",
      program(R0, insnHex(0x15, 0, 0, 1), ldImm64(0, 5), EXIT),
      "EINVAL",
      "jump into the middle of ldimm64 insn 2",
    ],
    [
      "recursion",
      program(call(1), EXIT, call(-1), EXIT),
      "E2BIG",
      "the call stack of 9 frames is too deep",
    ],
    [
      "nine frames",
      program(...Array.from({ length: 8 }, () => call(1) + EXIT), R0, EXIT),
      "E2BIG",
      "the call stack of 9 frames is too deep",
    ],
    [
      "recursion in dead code",
      program(R0, insnHex(0x15, 0, 0, 1), call(1), EXIT, call(-1), EXIT),
      "E2BIG",
      "the call stack of 8 frames is too deep !",
    ],
  ]);
});

describe("rejections of single instructions, in program order", () => {
  const EINVAL: [name: string, insn: string, log: string][] = [
    ["R11", insnHex(0xb7, 11), "R11 is invalid"],
    ["R12 as a base", insnHex(0x61, 0, 12), "R12 is invalid"],
    ["a division by zero", insnHex(0x37), "div by zero"],
    ["a modulo by zero", insnHex(0x94), "div by zero"],
    ["a shift by 64", insnHex(0x67, 0, 0, 0, 64), "invalid shift 64"],
    ["a 32-bit shift by 32", insnHex(0x64, 0, 0, 0, 32), "invalid shift 32"],
    ["a shift by -1", insnHex(0xc7, 0, 0, 0, -1), "invalid shift -1"],
    ["bswap8", insnHex(0xd7, 0, 0, 0, 8), "BPF_END uses reserved fields"],
    ["an imm in neg", insnHex(0x87, 0, 0, 0, 1), "BPF_NEG uses reserved fields"],
    ["a division with off 2", insnHex(0x37, 0, 0, 2, 2), "BPF_ALU uses reserved fields"],
    ["an addition with off 1", insnHex(0x07, 0, 0, 1, 2), "BPF_ALU uses reserved fields"],
    ["a 32-bit movs32", insnHex(0xbc, 0, 0, 32), "BPF_MOV uses reserved fields"],
    [
      "an atomic opcode 20",
      insnHex(0xdb, 10, 0, -8, 0x20),
      "BPF_ATOMIC uses invalid atomic opcode 20",
    ],
    ["a 16-bit atomic add", insnHex(0xcb, 10, 0, -8), "invalid atomic operand size"],
    ["a src in a store of an imm", insnHex(0x7a, 10, 1, -8), "BPF_ST uses reserved fields"],
    ["an imm in a store", insnHex(0x7b, 10, 0, -8, 1), "BPF_STX uses reserved fields"],
    ["an imm in goto", insnHex(0x05, 0, 0, 0, 1), "BPF_JA uses reserved fields"],
    ["a src in a jump on an imm", insnHex(0x15, 0, 3, 0, 7), "BPF_JMP/JMP32 uses reserved fields"],
    ["an imm in may_goto", insnHex(0xe5, 0, 0, 0, 7), "invalid may_goto imm 7"],
    ["a call with off", insnHex(0x85, 0, 0, 1, 7), "BPF_CALL uses reserved fields"],
    ["helper 9999", insnHex(0x85, 0, 0, 0, 9999), "invalid func unknown#9999"],
    ["helper 212, the first Linux lacks", insnHex(0x85, 0, 0, 0, 212), "invalid func unknown#212"],
    ["helper 0", insnHex(0x85), "program of this type cannot use helper bpf_unspec#0"],
    ["a callback without BTF", ldImm64(4, -2), "missing btf func_info"],
    [
      "kernel function 0",
      insnHex(0x85, 0, 2),
      "invalid kernel function call not eliminated in verifier pass",
    ],
  ];
  says("after", [
    ...EINVAL.map(([name, code, log]): Row => [name, program(R0, code, R0, EXIT), "EINVAL", log]),
    [
      "a write to R10",
      program(insnHex(0xb7, 10), R0, EXIT),
      "EACCES",
      "frame pointer is read only",
    ],
    [
      "an imm in exit",
      program(R0, insnHex(0x95, 0, 0, 0, 1)),
      "EINVAL",
      "BPF_EXIT uses reserved fields",
    ],
    [
      "packet loads for XDP",
      program(insnHex(0xbf, 6, 1), insnHex(0x20), EXIT),
      "EINVAL",
      "BPF_LD_[ABS|IND] instructions not allowed for this program type",
      { progType: "xdp" },
    ],
    [
      "a fault in a subprogram",
      program(call(1), EXIT, R0, insnHex(0x37), EXIT),
      "EINVAL",
      "div by zero",
    ],
    [
      "faults on both sides of a jump",
      program(R0, insnHex(0x1d, 1, 10, 1), insnHex(0x67, 0, 0, 0, 64), insnHex(0x37), EXIT),
      "EINVAL",
      "invalid shift 64",
    ],
    [
      "a fault behind a loop that ends",
      program(
        R0,
        insnHex(0xb7, 1, 0, 0, 9),
        insnHex(0x17, 1, 0, 0, 1),
        insnHex(0x55, 1, 0, -2),
        insnHex(0x37),
        EXIT,
      ),
      "EINVAL",
      "div by zero",
    ],
  ]);

  const lines: [string, string][] = [
    [insnHex(0xdb, 10, 1, -8, 0x20), "1: BUG_db"],
    [insnHex(0x37), "1: (37) r0 /= 0"],
    [insnHex(0x94, 0, 0, 1), "1: (94) w0 s%= 0"],
    [insnHex(0xd7, 0, 0, 0, 8), "1: (d7) r0 = bswap8 r0"],
    [insnHex(0xbf, 0, 11, 16), "1: (bf) r0 = (s16)r11"],
    [insnHex(0x85, 0, 0, 1, 7), "1: (85) call bpf_get_prandom_u32#7"],
    [insnHex(0x85, 0, 0, 0, 9999), "1: (85) call unknown#9999"],
    [insnHex(0x7a, 10, 1, -8, 3), "1: (7a) *(u64 *)(r10 -8) = 3"],
    [insnHex(0xdb, 10, 11, -8, 0x51), "1: (db) r11 = atomic64_fetch_and((u64 *)(r10 -8), r11)"],
    [insnHex(0x46, 11, 0, 0, -1), "1: (46) if w11 & 0xffffffff goto pc+0"],
  ];
  it.each(lines)("log level 1 prints the rejected instruction: %s", (code, line) => {
    const { refusal } = verified(program(R0, code, R0, EXIT), { logLevel: 1 });
    expect(refusal?.log.split("\n")[2]).toBe(line);
  });
});

describe("accepted programs", () => {
  const good: [name: string, insns: Buffer, options?: VerifierOptions][] = [
    ["return 0", program(R0, EXIT)],
    ["a call of a subprogram", program(call(1), EXIT, R0, EXIT)],
    ["eight frames", program(...Array.from({ length: 7 }, () => call(1) + EXIT), R0, EXIT)],
    [
      "a loop",
      program(
        R0,
        insnHex(0xb7, 1, 0, 0, 9),
        insnHex(0x17, 1, 0, 0, 1),
        insnHex(0x55, 1, 0, -2),
        EXIT,
      ),
    ],
    ["may_goto", program(R0, insnHex(0xe5, 0, 0, 1), insnHex(0x05, 0, 0, -2), EXIT)],
    [
      "movsx, sdiv, bswap, gotol",
      program(
        R0,
        insnHex(0xbf, 2, 0, 8),
        insnHex(0x37, 2, 0, 1, 2),
        insnHex(0xd7, 2, 0, 0, 32),
        insnHex(0x06),
        EXIT,
      ),
    ],
    [
      "load-acquire and store-release of a byte",
      program(
        insnHex(0x7a, 10, 0, -8),
        insnHex(0xd3, 0, 10, -8, 0x100),
        insnHex(0xd3, 10, 0, -8, 0x110),
        EXIT,
      ),
    ],
    [
      "cmpxchg and xchg",
      program(
        R0,
        insnHex(0x7b, 10, 0, -8),
        insnHex(0xdb, 10, 0, -8, 0xf1),
        insnHex(0xc3, 10, 0, -8, 0xe1),
        EXIT,
      ),
    ],
    [
      "packet loads",
      program(insnHex(0xbf, 6, 1), insnHex(0x20), insnHex(0x50, 0, 0, 0, 3), EXIT),
      { progType: "socket_filter" },
    ],
    ["a callback with func_info", program(ldImm64(4, 3), R0, EXIT, R0, EXIT), { funcInfo: true }],
    ["a fault in dead code", program(R0, insnHex(0x15, 0, 0, 1), insnHex(0x37), EXIT)],
    [
      "an unresolved call in dead code",
      program(R0, insnHex(0x15, 0, 0, 1), insnHex(0x85, 0, 0, 0, 195896080), EXIT),
    ],
    [
      "kernel function 0 in dead code",
      program(R0, insnHex(0x15, 0, 0, 1), insnHex(0x85, 0, 2), EXIT),
    ],
  ];
  it.each(good)("the verifier accepts %s", (_, insns, options = {}) => {
    expect(check(insns, options)).toEqual({ beforeMaps: null, refs: [], atMap: null });
    expect(verified(insns, options).refusal).toBeNull();
  });
});

describe("tag and dump", () => {
  // Loaded into a real kernel with maps 3 and 4 behind fds 3 and 4, and fd_array [3, 4].
  const loads: [name: string, insns: string, tag: string, dump: string][] = [
    ["no map", R0, "59f4a931744dcdc6", R0],
    ["MAP_FD", ldImm64(1, 3, 0, 2), "ed7d2d05d582d1d6", ldImm64(1, 3, 0, 2)],
    ["MAP_VALUE", ldImm64(2, 4, 4, 2), "27a7675d0e795e10", ldImm64(2, 4, 4, 2)],
    ["IDX", ldImm64(5, 1, 0, 2), "6ceb72eaeed34449", ldImm64(1, 4, 0, 2)],
    ["IDX_VALUE", ldImm64(6, 0, 4, 2), "439cf3a71d835012", ldImm64(2, 3, 4, 2)],
  ];
  const whole = (start: string): Buffer =>
    start === R0 ? program(R0, EXIT) : program(start, R0, EXIT);

  it.each(loads)("the verifier tags a program with %s as Linux does", (_, start, expected) => {
    expect(tag(whole(start))).toBe(expected);
  });

  it.each(loads)("the verifier dumps a program with %s as Linux does", (_, start, __, dump) => {
    const { refs } = check(whole(start), { fdArrayLength: 2 });
    const ids = refs.map((ref) => (ref.kind === "fd" ? ref.value : [3, 4][ref.value]) ?? 0);
    expect(relocate(whole(start), ids, refs)).toEqual(whole(dump));
  });

  it("a tag leaves out the fd and keeps the index", () => {
    const tagOf = (src: number, imm: number): string => tag(program(ldImm64(src, imm), R0, EXIT));
    expect(tagOf(1, 3)).toBe(tagOf(1, 99));
    expect(tagOf(5, 0)).not.toBe(tagOf(5, 1));
  });

  it("the verifier does not change its input", () => {
    const insns = program(ldImm64(5, 0), R0, EXIT);
    const copy = Buffer.from(insns);
    tag(insns);
    relocate(insns, [77], check(insns, { fdArrayLength: 1 }).refs);
    expect(insns).toEqual(copy);
  });
});

describe("cost of verification", () => {
  it("the cost grows with the number of instructions, not of paths", () => {
    const branches = Array.from({ length: 5_000 }, () => insnHex(0x1d, 1, 10, 1) + R0);
    const { refusal, insnsProcessed: steps } = verified(program(R0, ...branches, EXIT));
    expect(refusal).toBeNull();
    expect(steps).toBeLessThan(10 * 5_000);
  });

  it("a program with 8,192 pending branches is rejected as in Linux", () => {
    const branches = Array.from({ length: 8_193 }, () => insnHex(0x1d, 1, 10, 1) + R0);
    expect(verified(program(R0, ...branches, EXIT)).refusal).toEqual({
      errno: "EFAULT",
      log: "The sequence of 8193 jumps is too complex.",
    });
  });

  it("a program with one path too long is rejected as in Linux", () => {
    const long = program(R0, insnHex(0x07, 0, 0, 0, 1), insnHex(0x55, 0, 0, -2, 100_000), EXIT);
    const limits = { complexity: 10_000 };
    expect(verified(long, { limits }).refusal).toEqual({
      errno: "E2BIG",
      log: "BPF program is too large. Processed 10001 insn",
    });
    expect(check(long, { limits: { insns: 3 } }).beforeMaps?.errno).toBe("E2BIG");
  });
});
